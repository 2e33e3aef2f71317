import { type SQL, sql } from 'drizzle-orm'
import type { Database } from '../../ports/postgres.ts'

/** Any number that no other advisory lock of the service uses. */
const ADMINISTRATORS_LOCK = 20_260_801

/**
 * Taken in a statement of its own before whatever depends on who the administrators are: in one statement the
 * count of others would not see what a concurrent one changes.
 */
export const lockAdministrators = (db: Database) =>
  db.execute(sql`SELECT pg_advisory_xact_lock(${ADMINISTRATORS_LOCK}::bigint)`)

/** True while somebody holds the role, able to act or not. */
export const someAdministrator: SQL = sql`EXISTS (SELECT FROM users WHERE role = 'ADMIN' AND status <> 'DELETED')`

/** True when, without this row of users, nobody is left to administrate. */
export const lastAdministrator = (user: SQL): SQL => sql`(${user}.role = 'ADMIN' AND ${user}.status = 'ACTIVE'
  AND NOT EXISTS (SELECT FROM users other WHERE other.uid <> ${user}.uid AND other.role = 'ADMIN' AND other.status = 'ACTIVE'))`
