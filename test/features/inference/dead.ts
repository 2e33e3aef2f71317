/** What a test needs to let workers die and to look behind the service's back. */
import { type SQL, sql } from 'drizzle-orm'
import { expect, vi } from 'vitest'
import { createLog } from '../../../src/http/log.ts'
import { connectPostgres } from '../../../src/ports/postgres.ts'
import { connectRedis } from '../../../src/ports/redis.ts'
import { sweep } from '../../../src/sweep.ts'
import { eventsOf, type SentEvent } from '../../support/events.ts'
import { stack } from '../../support/stack.ts'
import type { Person, World } from '../../support/world.ts'

const ANY = 'postgres://local:local@localhost/local'

export interface Begun {
  chatUid: string
  messageUid: string
  /** The sender's answer; undefined when its connection broke. */
  reply: Promise<{ status: number; body: any } | undefined>
  /** Asks the same again, in the same words under the same key. */
  again(): Promise<{ status: number; body: any }>
}

export interface Ledger {
  balance: number
  held: number
  /** Sum of all transactions. */
  booked: number
  /** Sum of the running generations' holds. */
  holds: number
  charges: number
}

export function mortuary(at: World) {
  const db = connectPostgres(ANY, at.neon.url)
  const rows = async <Row extends Record<string, unknown>>(query: SQL): Promise<Row[]> =>
    (await db.execute<Row>(query)).rows
  let keys = 0

  const generation = async (messageUid: string): Promise<any> =>
    (
      await rows<{ row: any }>(
        sql`SELECT to_jsonb(g) AS row FROM generations g WHERE message_uid = ${messageUid}::uuid`,
      )
    )[0]?.row

  return {
    db,
    rows,
    generation,
    async begin(person: Person, modelUid: string, message: string, chat?: string): Promise<Begun> {
      const chatUid = chat ?? (await person.post<{ chatUid: string }>('/api/chat/create', {})).body.chatUid
      const send = () =>
        person.post<any>(
          '/api/chat/message',
          { role: 'user', message, chatUid, modelUid },
          { 'Idempotency-Key': key },
        )
      const key = `dead-${++keys}`
      const reply = send().catch(() => undefined)
      const running = async () =>
        (
          await rows<{ uid: string }>(
            sql`SELECT message_uid AS uid FROM generations WHERE chat_uid = ${chatUid}::uuid AND status = 'RUNNING'`,
          )
        )[0]?.uid
      const messageUid = await vi.waitUntil(running, { timeout: 30_000 })
      return { chatUid, messageUid, reply, again: send }
    },
    /** What other tests have left behind, however young, is over: no answer runs, no event waits. */
    async clear(): Promise<void> {
      await rows(sql`UPDATE outbox SET created_at = created_at - interval '1 min'`)
      await rows(sql`UPDATE generations SET lease_until = now() - interval '1 s' WHERE status = 'RUNNING'`)
      const redis = connectRedis(at.upstash.url, (await stack()).secrets.UPSTASH_REDIS_REST_TOKEN ?? '')
      await sweep({ db, redis }, createLog({ sweep: 'of a test' }), true)
    },
    /** The lease ends now, having saved `text` (what it had, when absent). */
    async expire(messageUid: string, text?: string, reasoning = ''): Promise<void> {
      await db.execute(sql`
        UPDATE generations SET lease_until = clock_timestamp() - interval '1 s',
          text_so_far = coalesce(${text ?? null}::text, text_so_far),
          reasoning_so_far = CASE WHEN ${text ?? null}::text IS NULL THEN reasoning_so_far ELSE ${reasoning}::text END
        WHERE message_uid = ${messageUid}::uuid AND status = 'RUNNING'`)
    },
    /** Micro-credits. */
    async ledger(person: Person): Promise<Ledger> {
      const [row] = await rows<{ ledger: Ledger }>(sql`
        SELECT json_build_object(
          'balance', balance, 'held', held,
          'booked', (SELECT coalesce(sum(amount), 0) FROM transactions t WHERE t.user_uid = a.user_uid),
          'holds', (SELECT coalesce(sum(hold), 0) FROM generations g WHERE g.user_uid = a.user_uid AND status = 'RUNNING'),
          'charges', (SELECT count(*) FROM transactions t WHERE t.user_uid = a.user_uid AND type = 'GENERATION_COST')
        ) AS ledger FROM accounts a WHERE user_uid = ${person.uid}::uuid`)
      const { ledger } = row!
      expect(ledger.balance).toBe(ledger.booked)
      expect(ledger.held).toBe(ledger.holds)
      return ledger
    },
  }
}

/** A feed of a Worker that does not die, from now on. */
export async function listenTo(url: string, person: Person) {
  const seen: SentEvent[] = []
  const stop = new AbortController()
  const response = await fetch(`${url}/api/feed`, {
    headers: { authorization: `Bearer ${person.token}` },
    signal: stop.signal,
  })
  const reading = (async () => {
    for await (const event of eventsOf(response)) seen.push(event)
  })().catch(() => undefined)
  await expect.poll(() => seen.length, { timeout: 30_000 }).toBeGreaterThan(0)
  return {
    of: (...events: string[]) => seen.filter(({ event }) => events.includes(event)),
    ends: (messageUid: string) =>
      seen.filter(
        ({ event, data }) => /^message_(end|error)$/.test(event) && data.message.uid === messageUid,
      ),
    async close() {
      stop.abort()
      await reading
    },
  }
}
