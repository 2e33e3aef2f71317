import { type SQL, sql } from 'drizzle-orm'
import { Failure } from '../../core/failure.ts'
import type { Log } from '../../http/log.ts'
import { ask, type Database } from '../../ports/postgres.ts'
import type { Redis } from '../../ports/redis.ts'
import { published } from '../../ports/redis-keys.ts'
import { forget, publish } from './bus.ts'
import type { FeedEvent } from './events.ts'

/** The worker that wrote a row publishes it at once; what is still there after this long was left behind. */
const LEFT_BEHIND_S = 20
const ROWS_AT_ONCE = 200

/** A row of the outbox: what became true, written with it. */
export interface OutboxRow {
  uid: string
  user_uid: string
  event: string
  data: Record<string, unknown>
}

/** What a row says to the feeds. */
export interface Told {
  events: FeedEvent[]
  /** An answer that is over. */
  forget?: string
  /** The log is dropped after it, because of what stands in it. */
  isLast?: boolean
}

/** Made by the room that wrote the row. */
export type Teller = (db: Database, row: OutboxRow) => Promise<Told>

interface Parts {
  db: Database
  redis: Redis
  log: Log
}

/**
 * Publishes what no worker did, once each, and clears the rows that are out. Safe in many places at once: a row's
 * uid stands for its publication.
 * @param own uids of rows that the caller wrote and no worker will publish: they need not wait
 * @returns how many it published. @throws Error when Redis or Postgres cannot be asked; nothing is lost then
 */
export async function publishOutbox(
  parts: Parts,
  tellers: Record<string, Teller>,
  own: string[],
): Promise<number> {
  let count = 0
  if (own.length > 0) count += (await publishRows(parts, tellers, sql`uid = ${anyOf(own)}`)).published
  // now(), not the wall clock, which could not use the index.
  const leftBehind = sql`created_at < now() - make_interval(secs => ${LEFT_BEHIND_S}::int)`
  for (;;) {
    const { found, published } = await publishRows(parts, tellers, leftBehind)
    count += published
    if (found < ROWS_AT_ONCE) return count
  }
}

/** Publishes what a row says, once, whoever else does. @throws Error when Redis cannot be asked: the sweep does it */
export async function publishNoted(
  redis: Redis,
  userUid: string,
  { events, forget: over, isLast }: Told,
  outboxUid: string,
): Promise<void> {
  await publish(redis, userUid, events, { outboxUid, ...(over ? { forget: over } : {}) })
  if (isLast) await forget(redis, userUid)
}

async function publishRows(
  { db, redis, log }: Parts,
  tellers: Record<string, Teller>,
  which: SQL,
): Promise<{ found: number; published: number }> {
  const { rows } = await ask(
    db.execute<Record<string, unknown> & OutboxRow>(sql`
      SELECT uid, user_uid, event, data FROM outbox WHERE ${which}
      ORDER BY created_at LIMIT ${ROWS_AT_ONCE}::int`),
  )
  if (rows.length === 0) return { found: 0, published: 0 }
  const marks = await redis.mget<(string | null)[]>(...rows.map(({ uid }) => published(uid)))
  let count = 0
  for (const [index, row] of rows.entries()) {
    if (marks[index] !== null) continue
    // A row that nobody can tell must not keep the others waiting.
    const told = await tellers[row.event]?.(db, row).catch((error: Error) => {
      if (error instanceof Failure && error.code === 'unavailable') throw error
    })
    if (!told) log.error('outbox_untold', { event: row.event, outboxUid: row.uid })
    else {
      await publishNoted(redis, row.user_uid, told, row.uid)
      count++
    }
  }
  await ask(db.execute(sql`DELETE FROM outbox WHERE uid = ${anyOf(rows.map(({ uid }) => uid))}`))
  return { found: rows.length, published: count }
}

/** An array and no subquery, which would be joined by reading the whole table. */
const anyOf = (uids: string[]): SQL =>
  sql`ANY (ARRAY(SELECT value::uuid FROM jsonb_array_elements_text(${JSON.stringify(uids)}::jsonb)))`
