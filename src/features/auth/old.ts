import { sql } from 'drizzle-orm'
import { ask, type Database } from '../../ports/postgres.ts'

/** For so long an ended session still tells a token that is used again from one that never was. */
const KEPT_D = 30
const ROWS_AT_ONCE = 5_000

/** Forgets sessions that ended long ago, so many at a time. Safe in many places at once. @returns how many */
export async function forgetOldSessions(db: Database): Promise<number> {
  // least() passes over a null: a session that nobody ended is over when it expires.
  const { rowCount } = await ask(
    db.execute(sql`
      DELETE FROM sessions WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM sessions
        WHERE least(ended_at, expires_at) < now() - make_interval(days => ${KEPT_D}::int)
        ORDER BY least(ended_at, expires_at) LIMIT ${ROWS_AT_ONCE}::int FOR UPDATE SKIP LOCKED))`),
  )
  return rowCount
}
