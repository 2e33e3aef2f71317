import { sql } from 'drizzle-orm'
import type { Log } from '../../http/log.ts'
import { ask, type Database } from '../../ports/postgres.ts'
import { billFor } from './billing.ts'
import type { Door, DoorSettle } from './door.ts'
import { factsOf, type Outcome, type Settled, settle } from './settle.ts'

/** What one sweep settles at most; the next one goes on. */
const MOST = 200

/** A generation whose worker has not renewed its lease, with what it had saved. Numbers as JSON has them. */
interface Expired {
  uid: string
  user_uid: string
  door: Door
  stop: boolean
  text_so_far: string
  reasoning_so_far: string
  input_rate: number
  cached_input_rate: number
  output_rate: number
  rate_per: number
  prompt_estimate: number
  /** With microseconds. */
  lease_until: string
}

/**
 * Money rule 7: settles what workers left behind, by the text that they had saved. Safe in many places at once, and
 * beside a worker that only was slow: whose lease is renewed keeps its generation.
 * @returns what this call settled. @throws Error when Postgres cannot be asked; what was settled stays so
 */
export async function settleExpired(
  { db, log }: { db: Database; log: Log },
  doors: Record<Door, DoorSettle>,
): Promise<Settled[]> {
  const done: Settled[] = []
  // One at a time: an answer may be large, and there are few.
  let row = await nextExpired(db, undefined)
  for (let looked = 0; row && looked < MOST; looked++) {
    try {
      const settled = await settle(db, outcomeOf(row), doors[row.door], 'sweep')
      const { generation } = settled
      if (settled.account) {
        done.push(settled)
        log.info('generation_swept', factsOf(generation))
      }
    } catch (error) {
      // The next sweep tries it again; one that cannot be settled must not keep the others waiting.
      log.error('settle_failed', { generationUid: row.uid, error: String(error) })
    }
    row = await nextExpired(db, row)
  }
  return done
}

/** Whether an answer runs anywhere, or an event waits to be told. */
export async function isAnythingOpen(db: Database): Promise<boolean> {
  const { rows } = await ask(
    db.execute<{ open: boolean }>(sql`
      SELECT EXISTS (SELECT FROM generations WHERE status = 'RUNNING') OR EXISTS (SELECT FROM outbox) AS open`),
  )
  return rows[0]!.open
}

/** The one that expired first after `last`. now(), not the wall clock, which could not use the index. */
async function nextExpired(db: Database, last: Expired | undefined): Promise<Expired | undefined> {
  const behind = last
    ? sql`AND (lease_until, uid) > (${last.lease_until}::timestamptz, ${last.uid}::uuid)`
    : sql``
  const { rows } = await ask(
    db.execute<{ expired: Expired }>(sql`
      SELECT json_build_object(
        'uid', uid, 'user_uid', user_uid, 'door', door, 'stop', stop_requested_at IS NOT NULL,
        'text_so_far', text_so_far, 'reasoning_so_far', reasoning_so_far,
        'input_rate', input_rate, 'cached_input_rate', cached_input_rate, 'output_rate', output_rate,
        'rate_per', rate_per, 'prompt_estimate', prompt_estimate, 'lease_until', lease_until) AS expired
      FROM generations WHERE status = 'RUNNING' AND lease_until < now() ${behind}
      ORDER BY lease_until, uid LIMIT 1`),
  )
  return rows[0]?.expired
}

/** A stop that was asked for stands; else the answer is a truncated one. */
function outcomeOf(row: Expired): Outcome {
  const { text_so_far: text, reasoning_so_far: reasoning } = row
  const any = text !== '' || reasoning !== ''
  const price = {
    input: row.input_rate,
    cachedInput: row.cached_input_rate,
    output: row.output_rate,
    per: row.rate_per,
  }
  return {
    generationUid: row.uid,
    userUid: row.user_uid,
    status: row.stop ? 'STOPPED' : 'FAILED',
    finishReason: row.stop ? 'stopped' : any ? 'upstream_incomplete' : 'worker_lost',
    failureCode: row.stop ? null : 'upstream_incomplete',
    failureDetail: 'worker_lost: its lease ended',
    text,
    reasoning,
    bill: billFor(price, row.prompt_estimate, { any, text, reasoning, extra: '' }, undefined, true),
    firstTokenMs: null,
    learned: undefined,
  }
}
