import { type SQL, sql } from 'drizzle-orm'
import { toCredits } from '../../core/credits.ts'
import type { Profile } from './schema.ts'

/** What a statement gives of a person: money in micro-credits, `createdAt` as Postgres writes it in JSON. */
export interface ProfileRow {
  uid: string
  firstName: string
  lastName: string
  mail: string | null
  phone: string | null
  role: 'USER' | 'ADMIN'
  status: 'ACTIVE' | 'BLOCKED' | 'DELETED'
  balance: number
  held: number
  createdAt: string
}

/**
 * A `ProfileRow` as JSON, because raw statements give numbers and times as text otherwise.
 * @param user a row of users in the statement; `account` its row of accounts. The columns are named one by one:
 * a password's hash cannot slip through.
 */
export const profileJson = (user: SQL, account: SQL): SQL => sql`json_build_object(
  'uid', ${user}.uid, 'firstName', ${user}.first_name, 'lastName', ${user}.last_name, 'mail', ${user}.mail,
  'phone', ${user}.phone, 'role', ${user}.role, 'status', ${user}.status,
  'balance', coalesce(${account}.balance, 0), 'held', coalesce(${account}.held, 0), 'createdAt', ${user}.created_at)`

/** A person as the person sees it: credits, ISO 8601 UTC. */
export const presentProfile = (row: ProfileRow): Profile => ({
  uid: row.uid,
  firstName: row.firstName,
  lastName: row.lastName,
  mail: row.mail,
  phone: row.phone,
  role: row.role,
  balance: toCredits(row.balance),
  available: toCredits(row.balance - row.held),
  createdAt: new Date(row.createdAt).toISOString(),
})
