import { type SQL, sql } from 'drizzle-orm'
import type { Actor, Role } from '../../core/actor.ts'
import type { Database } from '../../ports/postgres.ts'
import { someAdministrator } from '../users/administrators.ts'
import { type ProfileRow, profileJson } from '../users/profile.ts'
import { type RefreshProof, SESSION_DAYS, type SessionState } from './tokens.ts'

/** Seconds in which a rotated token still gets its successor: for parallel requests and lost answers. */
const REPEAT_S = 10

const lifetime: SQL = sql.raw(`interval '${SESSION_DAYS} days'`)
const repeat: SQL = sql.raw(`interval '${REPEAT_S} seconds'`)

const sessionJson = (session: SQL): SQL => sql`json_build_object(
  'userUid', ${session}.user_uid, 'sessionUid', ${session}.uid, 'generation', ${session}.generation,
  'rotatedAt', floor(extract(epoch FROM ${session}.rotated_at))::bigint,
  'expiresAt', floor(extract(epoch FROM ${session}.expires_at))::bigint)`

/** A person with the session that was opened or rotated. */
export type SignedInRow = {
  profile: ProfileRow
  session: SessionState
}

export interface NewUser {
  uid: string
  sessionUid: string
  firstName: string
  lastName: string
  mail: string
  phone: string | undefined
  role: Role
  passwordHash: string
}

/**
 * A person, the account and the first session in one statement; no row when the role may not be claimed. With
 * `first` it stands behind `lockAdministrators`.
 * @param by an administrator, by the token's word; here the database is asked
 * @throws a violation of users_mail_key or users_phone_key
 */
export const insertUser = (
  db: Database,
  user: NewUser,
  rule: 'open' | 'first' | 'closed',
  by: Actor | undefined,
) => {
  const byAdministrator = sql`EXISTS (SELECT FROM users u JOIN sessions s ON s.user_uid = u.uid
    WHERE u.uid = ${by?.userUid ?? null}::uuid AND u.role = 'ADMIN' AND u.status = 'ACTIVE'
      AND s.uid = ${by?.sessionUid ?? null}::uuid AND s.ended_at IS NULL AND s.expires_at > now())`
  const allowed =
    user.role === 'USER' || rule === 'open'
      ? sql`true`
      : rule === 'first'
        ? sql`(NOT ${someAdministrator} OR ${byAdministrator})`
        : byAdministrator
  return db.execute<SignedInRow>(sql`
    WITH person AS (
      INSERT INTO users (uid, first_name, last_name, mail, phone, role, status, password_hash)
      SELECT ${user.uid}::uuid, ${user.firstName}, ${user.lastName}, ${user.mail}, ${user.phone ?? null}::text,
        ${user.role}, 'ACTIVE', ${user.passwordHash}
      WHERE ${allowed} RETURNING *),
    account AS (INSERT INTO accounts (user_uid) SELECT uid FROM person RETURNING *),
    session AS (${openSession(user.sessionUid)})
    SELECT ${profileJson(sql`p`, sql`a`)} AS profile, ${sessionJson(sql`s`)} AS session
    FROM person p, account a, session s`)
}

const openSession = (sessionUid: string): SQL => sql`
  INSERT INTO sessions (uid, user_uid, rotated_at, expires_at)
  SELECT ${sessionUid}::uuid, uid, now(), now() + ${lifetime} FROM person RETURNING *`

/** What a login is compared with. Closed accounts have neither a mail nor a phone. */
export const credentialsOf = (db: Database, by: { mail?: string | undefined; phone?: string | undefined }) =>
  db.execute<{ uid: string; status: ProfileRow['status']; hash: string | null }>(
    sql`SELECT uid, status, password_hash AS hash FROM users
      WHERE ${by.mail === undefined ? sql`phone = ${by.phone ?? null}::text` : sql`mail = ${by.mail}::text`}`,
  )

/**
 * Opens a session if the account is active and its hash is still the one that was compared, and puts `fresh` in
 * its place. The update takes the row's lock, so a change of password at the same time comes before or after.
 */
export const signIn = (
  db: Database,
  by: { userUid: string; sessionUid: string; hash: string; fresh: string },
) =>
  db.execute<SignedInRow>(sql`
    WITH person AS (
      UPDATE users SET password_hash = ${by.fresh}
      WHERE uid = ${by.userUid}::uuid AND status = 'ACTIVE' AND password_hash = ${by.hash} RETURNING *),
    session AS (${openSession(by.sessionUid)})
    SELECT ${profileJson(sql`p`, sql`a`)} AS profile, ${sessionJson(sql`s`)} AS session
    FROM person p CROSS JOIN session s LEFT JOIN accounts a ON a.user_uid = p.uid`)

/**
 * Rotates, repeats or ends. Its one UPDATE decides: whoever waits for the row is judged by what the first made of
 * it. The current generation moves on; the one before, within 10 s, finds the state that its successor is made
 * of; any older one ends the family. No row: no such session, it is over, or its account is closed.
 */
export const rotate = (db: Database, proof: RefreshProof) => {
  const n = sql`${proof.generation}::int`
  return db.execute<SignedInRow & { ended: boolean }>(sql`
    WITH moved AS (
      UPDATE sessions s SET
        generation = CASE WHEN s.generation = ${n} THEN s.generation + 1 ELSE s.generation END,
        rotated_at = CASE WHEN s.generation = ${n} THEN now() ELSE s.rotated_at END,
        expires_at = CASE WHEN s.generation = ${n} THEN now() + ${lifetime} ELSE s.expires_at END,
        ended_at = CASE WHEN ${isCurrent(sql`s`, n)} THEN NULL ELSE now() END
      WHERE s.uid = ${proof.sessionUid}::uuid AND s.user_uid = ${proof.userUid}::uuid
        AND s.ended_at IS NULL AND s.expires_at > now()
        AND EXISTS (SELECT FROM users WHERE uid = s.user_uid AND status = 'ACTIVE')
      RETURNING *)
    SELECT ${profileJson(sql`u`, sql`a`)} AS profile, ${sessionJson(sql`m`)} AS session, m.ended_at IS NOT NULL AS ended
    FROM moved m JOIN users u ON u.uid = m.user_uid LEFT JOIN accounts a ON a.user_uid = u.uid`)
}

const isCurrent = (session: SQL, n: SQL): SQL => sql`(${session}.generation = ${n}
  OR (${session}.generation = ${n} + 1 AND ${session}.rotated_at > now() - ${repeat}))`

/** Whose session it is, if its token is the current one or the one before, within 10 s. Changes nothing. */
export const ownerOf = (db: Database, proof: RefreshProof) =>
  db.execute<{ role: Role; status: ProfileRow['status'] }>(sql`
    SELECT u.role, u.status FROM sessions s JOIN users u ON u.uid = s.user_uid
    WHERE s.uid = ${proof.sessionUid}::uuid AND s.user_uid = ${proof.userUid}::uuid
      AND s.ended_at IS NULL AND s.expires_at > now() AND ${isCurrent(sql`s`, sql`${proof.generation}::int`)}`)

export const endSession = (db: Database, of: { userUid: string; sessionUid: string }) =>
  db.execute(sql`UPDATE sessions SET ended_at = now()
    WHERE uid = ${of.sessionUid}::uuid AND user_uid = ${of.userUid}::uuid AND ended_at IS NULL`)
