import { sql } from 'drizzle-orm'
import type { Database } from '../../ports/postgres.ts'

// How a batch at the door begins, where a person's would say lockAccount and standing. In this order: the account's
// row is locked before the key's, and whoever blocks or closes the account holds the first.

/** Takes the row of the account that the key spends from, if there is such a key. */
export const lockOwner = (db: Database, digest: string) =>
  db.execute(
    sql`SELECT 1 FROM accounts WHERE user_uid = (SELECT user_uid FROM keys WHERE digest = ${digest}::text) FOR UPDATE`,
  )

/**
 * Takes the key's row, and ends the batch when the key, or its owner, no longer stands.
 * @throws unauthenticated, account_blocked
 */
export const standingOfKey = (db: Database, digest: string) =>
  db.execute(sql`SELECT assert_key(${digest}::text)`)
