import { sql } from 'drizzle-orm'
import type { Actor } from '../../core/actor.ts'
import { ask, batchAs, type Database } from '../../ports/postgres.ts'
import { creditsIn } from './ledger.ts'
import type { Counters } from './schema.ts'

/** What an alarm looks at. By indexes: running ones by theirs, the last hour's by when they began. */
const counted = (db: Database) =>
  db.execute<{ counters: Counters }>(sql`
    WITH running AS (
      SELECT count(*) AS n, coalesce(sum(hold), 0) AS held,
        count(*) FILTER (WHERE lease_until < now() - interval '5 minutes') AS overdue
      FROM generations WHERE status = 'RUNNING'),
    hour AS (
      SELECT count(*) AS n, coalesce(sum(cost), 0) AS cost,
        count(*) FILTER (WHERE status = 'FAILED') AS failed,
        count(*) FILTER (WHERE usage_source = 'estimated') AS estimated,
        count(*) FILTER (WHERE shortfall > 0) AS shortfalls, coalesce(sum(shortfall), 0) AS shortfall
      FROM generations WHERE created_at > now() - interval '1 hour' AND status <> 'RUNNING'),
    waiting AS (SELECT count(*) AS n FROM outbox WHERE created_at < now() - interval '5 minutes')
    SELECT json_build_object(
      'checkedAt', to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
      'running', running.n, 'held', ${creditsIn(sql`running.held`)}, 'overdue', running.overdue,
      'outboxWaiting', waiting.n,
      'lastHour', json_build_object(
        'settled', hour.n, 'credits', ${creditsIn(sql`hour.cost`)}, 'failed', hour.failed,
        'estimated', hour.estimated, 'shortfalls', hour.shortfalls, 'shortfall', ${creditsIn(sql`hour.shortfall`)})
    ) AS counters FROM running, hour, waiting`)

/** For the log. One round trip. */
export async function counters(db: Database): Promise<Counters> {
  const { rows } = await ask(counted(db))
  return rows[0]!.counters
}

/** For an administrator. One round trip. */
export async function countersFor(db: Database, administrator: Actor): Promise<Counters> {
  const [{ rows }] = await batchAs(db, administrator, [counted(db)], { administrator: true })
  return rows[0]!.counters
}
