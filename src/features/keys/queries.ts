import { type SQL, sql } from 'drizzle-orm'
import type { Once } from '../../http/idempotency.ts'
import { beyond, type PageRequest } from '../../http/page.ts'
import type { Database } from '../../ports/postgres.ts'
import { onceFragments, type Prior } from '../idempotency/once.ts'

/** What a statement gives of a key: money in micro-credits, times as Postgres writes them in JSON. */
export interface KeyRow {
  uid: string
  name: string
  hint: string
  budget: number | null
  spent: number
  held: number
  models: string[] | null
  expiresAt: string | null
  lastUsedAt: string | null
  revokedAt: string | null
  status: 'ACTIVE' | 'EXPIRED' | 'REVOKED'
  createdAt: string
}

/** `key` names the row in the statement. The columns are named one by one: the digest cannot slip through. */
const keyJson = (key: SQL): SQL => sql`json_build_object(
  'uid', ${key}.uid, 'name', ${key}.name, 'hint', ${key}.hint,
  'budget', ${key}.budget, 'spent', ${key}.spent, 'held', ${key}.held, 'models', ${key}.model_uids,
  'expiresAt', ${key}.expires_at, 'lastUsedAt', ${key}.last_used_at, 'revokedAt', ${key}.revoked_at,
  'status', CASE WHEN ${key}.revoked_at IS NOT NULL THEN 'REVOKED'
    WHEN ${key}.expires_at <= clock_timestamp() THEN 'EXPIRED' ELSE 'ACTIVE' END,
  'createdAt', ${key}.created_at)`

/** Limits as the statements take them; undefined leaves what is there. */
export interface Limits {
  expiresAt?: Date | null | undefined
  /** Micro-credits. */
  budget?: number | null | undefined
  models?: string[] | null | undefined
}

/** The limits as SQL, and what can be wrong with them: `past` and `unknown` are booleans. */
function limitsOf({ expiresAt, budget, models }: Limits) {
  const expiry = sql`${expiresAt?.toISOString() ?? null}::timestamptz`
  const uids = sql`jsonb_array_elements_text(${models ? JSON.stringify(models) : null}::jsonb)`
  return {
    expiry,
    budget: sql`${budget ?? null}::bigint`,
    models: sql`(SELECT array_agg(uid::uuid ORDER BY at) FROM ${uids} WITH ORDINALITY AS wanted(uid, at))`,
    past: sql`coalesce(${expiry} <= clock_timestamp(), false)`,
    unknown: sql`EXISTS (SELECT FROM ${uids} AS wanted(uid)
      WHERE NOT EXISTS (SELECT FROM models WHERE models.uid = wanted.uid::uuid AND deleted_at IS NULL))`,
  }
}

export interface NewKey extends Limits {
  uid: string
  userUid: string
  name: string
  digest: string
  hint: string
}

/** Why no key was made, if one of these holds. */
export interface Made {
  prior: Prior | null
  past: boolean
  unknown: boolean
  full: boolean
}

/** Makes the key, once, unless a limit is wrong or the person has `most`. Stands behind the lock on the account. */
export function keyCreated(db: Database, key: NewKey, most: number, once: Once | undefined) {
  const guard = onceFragments(key.userUid, once)
  const limits = limitsOf(key)
  return db.execute<Record<string, unknown> & Made>(sql`WITH
    ${guard.prior},
    asked AS (
      SELECT ${limits.past} AS past, ${limits.unknown} AS "unknown", (
        SELECT count(*) FROM keys WHERE user_uid = ${key.userUid}::uuid AND revoked_at IS NULL
      ) >= ${most}::int AS "full"),
    made AS (
      INSERT INTO keys (uid, user_uid, name, digest, hint, budget, model_uids, expires_at, created_at)
      SELECT ${key.uid}::uuid, ${key.userUid}::uuid, ${key.name}::text, ${key.digest}::text, ${key.hint}::text,
        ${limits.budget}, ${limits.models}, ${limits.expiry}, clock_timestamp()
      FROM asked WHERE ${guard.fresh} AND NOT (past OR "unknown" OR "full")
      RETURNING uid),
    ${guard.remember(sql`made`, 201, sql`jsonb_build_object('keyUid', made.uid)`)}
    SELECT (SELECT to_json(prior) FROM prior) AS prior, past, "unknown", "full" FROM asked`)
}

/** Everything that the person ever had, newest first, one more than the page holds. */
export const keysOf = (db: Database, userUid: string, { limit, cursor }: PageRequest) =>
  db.execute<{ row: KeyRow; at: string }>(sql`
    SELECT ${keyJson(sql`keys`)} AS row, created_at::text AS at FROM keys
    WHERE user_uid = ${userUid}::uuid ${beyond(cursor)}
    ORDER BY created_at DESC, uid DESC LIMIT ${limit + 1}::int`)

/** Why the key was not changed, if one of these holds; `row` is what it became. */
export interface Changed {
  past: boolean
  unknown: boolean
  found: boolean
  row: KeyRow | null
}

/** Changes what is given of a key that is not revoked. Takes its row alone, so it waits for no running answer. */
export function keyChanged(
  db: Database,
  userUid: string,
  keyUid: string,
  change: Limits & { name?: string | undefined },
) {
  const limits = limitsOf(change)
  const given = (value: unknown, fresh: SQL, old: SQL) => (value === undefined ? old : fresh)
  const own = sql`keys.uid = ${keyUid}::uuid AND keys.user_uid = ${userUid}::uuid AND keys.revoked_at IS NULL`
  return db.execute<Record<string, unknown> & Changed>(sql`WITH
    asked AS (SELECT ${limits.past} AS past, ${limits.unknown} AS "unknown"),
    changed AS (
      UPDATE keys SET
        name = coalesce(${change.name ?? null}::text, name),
        expires_at = ${given(change.expiresAt, limits.expiry, sql`expires_at`)},
        budget = ${given(change.budget, limits.budget, sql`budget`)},
        model_uids = ${given(change.models, limits.models, sql`model_uids`)}
      FROM asked WHERE ${own} AND NOT (past OR "unknown")
      RETURNING keys.*)
    SELECT past, "unknown", EXISTS (SELECT FROM keys WHERE ${own}) AS found,
      (SELECT ${keyJson(sql`changed`)} FROM changed) AS row
    FROM asked`)
}

/** Ends the key and keeps its row for the history. Answers its uid if it was there. */
export const keyRevoked = (db: Database, userUid: string, keyUid: string) =>
  db.execute<{ uid: string }>(sql`
    UPDATE keys SET revoked_at = clock_timestamp()
    WHERE uid = ${keyUid}::uuid AND user_uid = ${userUid}::uuid AND revoked_at IS NULL
    RETURNING uid`)
