import { sql } from 'drizzle-orm'
import { ask, type Database } from '../../ports/postgres.ts'

/** Twice what is promised: a key is good for at least 24 h. */
const KEPT_H = 48
const ROWS_AT_ONCE = 5_000
/** Statements of one call. */
const MOST = 20

/** Forgets keys that are old enough, 100,000 at most. Safe in many places at once. @returns how many */
export async function forgetOldKeys(db: Database): Promise<number> {
  let count = 0
  for (let i = 0; i < MOST; i++) {
    const { rowCount } = await ask(
      db.execute(sql`
        DELETE FROM idempotency WHERE ctid = ANY (ARRAY(
          SELECT ctid FROM idempotency
          WHERE created_at < now() - make_interval(hours => ${KEPT_H}::int)
          ORDER BY created_at LIMIT ${ROWS_AT_ONCE}::int FOR UPDATE SKIP LOCKED))`),
    )
    count += rowCount
    if (rowCount < ROWS_AT_ONCE) break
  }
  return count
}
