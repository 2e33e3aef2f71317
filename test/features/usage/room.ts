/** People who have used models long ago and now, and what the books say of it. */
import { sql } from 'drizzle-orm'
import { newId } from '../../../src/core/id.ts'
import type { Usage } from '../../../src/features/usage/schema.ts'
import type { Person, Reply } from '../../support/world.ts'
import { openBank } from '../transactions/bank.ts'

/** An answer of the past. `cost` in micro-credits, the tokens what it was paid for. */
export interface Past {
  at: string
  modelUid: string
  cost: number
  keyUid?: string
  status?: 'COMPLETED' | 'STOPPED' | 'FAILED'
  tokens?: { prompt: number; completion: number; cached?: number; reasoning?: number }
}

export type Told = Usage & { code: string; errors: { path: string; message: string }[] }

export async function openRoom() {
  const bank = await openBank()
  const { world: at, rows } = bank

  return {
    ...{ at, rows, close: bank.close },
    /** The answer to `?query`; world.ts has held it against the document. */
    ask: (person: Person, query = '', headers = {}): Promise<Reply<Told>> =>
      person.get(`/api/usage${query === '' ? '' : `?${query}`}`, headers),
    async usage(person: Person, query = ''): Promise<Usage> {
      const { status, body } = await this.ask(person, query)
      if (status !== 200) throw new Error(`${query} answered ${status}: ${JSON.stringify(body)}`)
      return body
    },
    /** Answers behind the service's back, paid for, so that the books agree. */
    async past(userUid: string, ...answers: Past[]): Promise<void> {
      for (const { at: when, modelUid, cost, keyUid, status = 'COMPLETED', tokens } of answers) {
        const uid = newId()
        await rows(sql`
          INSERT INTO generations (uid, user_uid, door, model_uid, model_name, key_uid, status, input_rate, cached_input_rate,
            output_rate, rate_per, prompt_estimate, allowed_tokens, hold, lease_until, prompt_tokens, completion_tokens,
            total_tokens, cached_tokens, reasoning_tokens, usage_source, cost, shortfall, balance_after, created_at, settled_at)
          VALUES (${uid}::uuid, ${userUid}::uuid, ${keyUid ? 'gateway' : 'chat'}, ${modelUid}::uuid, 'its name then',
            ${keyUid ?? null}::uuid, ${status}, 1, 1, 1, 1, 1, 1, 0, now(), ${tokens?.prompt ?? null}::int,
            ${tokens?.completion ?? null}::int, ${tokens ? tokens.prompt + tokens.completion : null}::int,
            ${tokens?.cached ?? null}::int, ${tokens?.reasoning ?? null}::int, 'upstream', ${cost}::bigint, 0, 0,
            ${when}::timestamptz, now())`)
        if (cost > 0)
          await bank.past(
            userUid,
            { amount: cost, at: when },
            { amount: -cost, at: when, type: 'GENERATION_COST', generationUid: uid },
          )
        if (keyUid)
          await rows(sql`UPDATE keys SET spent = spent + ${cost}::bigint WHERE uid = ${keyUid}::uuid`)
      }
    },
    async key(userUid: string, name: string): Promise<string> {
      const uid = newId()
      await rows(sql`INSERT INTO keys (uid, user_uid, name, digest, hint) VALUES
        (${uid}::uuid, ${userUid}::uuid, ${name}, ${uid}, 'hint')`)
      return uid
    },
  }
}

export type Room = Awaited<ReturnType<typeof openRoom>>

export const micros = (credits: number) => Math.round(credits * 1_000_000)
export const sum = (numbers: number[]) => numbers.reduce((total, number) => total + number, 0)
