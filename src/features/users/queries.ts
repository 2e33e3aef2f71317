import { type SQL, sql } from 'drizzle-orm'
import { beyond, type PageRequest } from '../../http/page.ts'
import type { Database } from '../../ports/postgres.ts'
import { lastAdministrator } from './administrators.ts'
import { type ProfileRow, profileJson } from './profile.ts'
import type { ProfileChange, UserChange } from './schema.ts'

// Accounts, sessions, chats and the rest are named in SQL and not imported: those rooms are built on this one.

/** The person. */
export const profileOf = (db: Database, userUid: string) =>
  db.execute<{ profile: ProfileRow }>(
    sql`SELECT ${profileJson(sql`u`, sql`a`)} AS profile
      FROM users u LEFT JOIN accounts a ON a.user_uid = u.uid WHERE u.uid = ${userUid}::uuid`,
  )

/**
 * Changes what is given and leaves the rest; `phone: null` removes it.
 * @throws a violation of users_mail_key or users_phone_key
 */
export const changeProfile = (db: Database, userUid: string, change: ProfileChange) =>
  db.execute(sql`UPDATE users SET
      first_name = coalesce(${change.firstName ?? null}::text, first_name),
      last_name = coalesce(${change.lastName ?? null}::text, last_name),
      mail = coalesce(${change.mail ?? null}::text, mail),
      phone = CASE WHEN ${change.phone !== undefined}::boolean THEN ${change.phone ?? null}::text ELSE phone END
    WHERE uid = ${userUid}::uuid AND status = 'ACTIVE'`)

/** The hash to compare with; never part of an answer. */
export const passwordHashOf = (db: Database, userUid: string) =>
  db.execute<{ hash: string | null }>(
    sql`SELECT password_hash AS hash FROM users WHERE uid = ${userUid}::uuid`,
  )

/** Replaces the very hash that was compared, else nothing; a row says that it did. */
export const replaceHash = (db: Database, userUid: string, old: string, fresh: string) =>
  db.execute<{ uid: string }>(sql`UPDATE users SET password_hash = ${fresh}
    WHERE uid = ${userUid}::uuid AND password_hash = ${old} RETURNING uid`)

/** Ends all sessions but one, provided that the account now has this hash. */
export const endOtherSessions = (db: Database, userUid: string, keep: string, hash: string) =>
  db.execute(sql`UPDATE sessions SET ended_at = now()
    WHERE user_uid = ${userUid}::uuid AND uid <> ${keep}::uuid AND ended_at IS NULL
      AND EXISTS (SELECT FROM users WHERE uid = ${userUid}::uuid AND password_hash = ${hash})`)

/** Everybody, newest first, one more than the page holds; `search` in mail and name. */
export const usersBy = (db: Database, search: string | undefined, { limit, cursor }: PageRequest) =>
  db.execute<{ profile: ProfileRow; at: string }>(
    sql`SELECT ${profileJson(sql`u`, sql`a`)} AS profile, u.created_at::text AS at
      FROM users u LEFT JOIN accounts a ON a.user_uid = u.uid
      WHERE ${search === undefined ? sql`true` : matches(search)} ${beyond(cursor)}
      ORDER BY u.created_at DESC, u.uid DESC LIMIT ${limit + 1}::int`,
  )

const matches = (search: string): SQL => {
  const pattern = `%${search.replace(/[\\%_]/g, '\\$&')}%`
  return sql`(u.mail ILIKE ${pattern} OR u.first_name || ' ' || u.last_name ILIKE ${pattern})`
}

/**
 * An administrator's change, under the lock on administrators. `found` without a profile: it would have left
 * nobody to administrate.
 */
export const manageUser = (db: Database, userUid: string, change: UserChange) =>
  db.execute<{ found: boolean; profile: ProfileRow | null }>(sql`
    WITH target AS (SELECT * FROM users WHERE uid = ${userUid}::uuid AND status <> 'DELETED'),
    changed AS (
      UPDATE users u SET role = coalesce(${change.role ?? null}::text, u.role),
        status = coalesce(${change.status ?? null}::text, u.status)
      FROM target t
      WHERE u.uid = t.uid AND u.status <> 'DELETED'
        AND NOT (${change.role === 'USER' || change.status === 'BLOCKED'}::boolean AND ${lastAdministrator(sql`t`)})
      RETURNING u.*)
    SELECT EXISTS (SELECT FROM target) AS found,
      (SELECT ${profileJson(sql`c`, sql`a`)} FROM changed c LEFT JOIN accounts a ON a.user_uid = c.uid) AS profile`)

/**
 * Ends the sessions of somebody who is not active any more, so that an old token stays dead when unblocked. After
 * the change and not within it: only a later statement sees the session of a sign-in that ran beside it.
 */
export const endSessionsOf = (db: Database, userUid: string) =>
  db.execute(sql`UPDATE sessions SET ended_at = now()
    WHERE user_uid = ${userUid}::uuid AND ended_at IS NULL
      AND EXISTS (SELECT FROM users WHERE uid = ${userUid}::uuid AND status <> 'ACTIVE')`)

/** Asks the running answers of somebody who may no longer have any to stop. */
export const stopRunningOf = (db: Database, userUid: string) =>
  db.execute<{
    messageUid: string | null
  }>(sql`UPDATE generations SET stop_requested_at = coalesce(stop_requested_at, now())
    WHERE user_uid = ${userUid}::uuid AND status = 'RUNNING'
      AND EXISTS (SELECT FROM users WHERE uid = ${userUid}::uuid AND status <> 'ACTIVE')
    RETURNING message_uid AS "messageUid"`)

/** Takes away what names the person, unless it is the last administrator; a row says that it did. */
export const anonymise = (db: Database, userUid: string) =>
  db.execute<{ uid: string }>(sql`UPDATE users u
    SET first_name = '', last_name = '', mail = NULL, phone = NULL, password_hash = NULL, status = 'DELETED'
    WHERE u.uid = ${userUid}::uuid AND u.status <> 'DELETED' AND NOT ${lastAdministrator(sql`u`)}
    RETURNING u.uid`)

/**
 * What else goes with a person, each only once the account is DELETED: keys end, chats are hidden,
 * what was said is blanked (a running answer by whoever settles it, as in any deleted chat), kept answers go.
 * The ledger, and the figures of generations, stay.
 */
export const eraseTraces = (db: Database, userUid: string) => {
  const gone = sql`user_uid = ${userUid}::uuid AND EXISTS (SELECT FROM users WHERE uid = ${userUid}::uuid AND status = 'DELETED')`
  return [
    db.execute(sql`UPDATE keys SET name = '', revoked_at = coalesce(revoked_at, now()) WHERE ${gone}`),
    // What was deleted before has neither a text nor a title any more.
    db.execute(sql`UPDATE messages SET message = '', reasoning = NULL
      WHERE status <> 'STREAMING' AND ${gone}
        AND chat_uid IN (SELECT uid FROM chats WHERE user_uid = ${userUid}::uuid AND deleted_at IS NULL)`),
    db.execute(sql`UPDATE chats SET deleted_at = now(), title = NULL WHERE deleted_at IS NULL AND ${gone}`),
    db.execute(
      sql`UPDATE generations SET text_so_far = '', reasoning_so_far = '' WHERE status <> 'RUNNING' AND ${gone}`,
    ),
    db.execute(sql`DELETE FROM idempotency WHERE ${gone}`),
  ] as const
}
