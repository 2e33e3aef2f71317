import { desc, type SQL, sql } from 'drizzle-orm'
import type { Once } from '../../http/idempotency.ts'
import { beyond, type PageRequest } from '../../http/page.ts'
import type { Database } from '../../ports/postgres.ts'
import { onceFragments } from '../idempotency/once.ts'
import { models } from './table.ts'

/** What an administrator's words become in the row. Prices as in table.ts. */
export interface ModelValues {
  name: string
  description: string
  type: string
  apiLink: string
  authTokenSealed: string | null
  tokenCostMicros: number
  inputPrice: number | null
  outputPrice: number | null
  cachedInputPrice: number | null
  contextTokens: number
  maxOutputTokens: number | null
  limitParam: string
  enabled: boolean
}

const columns: Record<keyof ModelValues, { name: string; type: string }> = {
  name: { name: 'name', type: 'text' },
  description: { name: 'description', type: 'text' },
  type: { name: 'type', type: 'text' },
  apiLink: { name: 'api_link', type: 'text' },
  authTokenSealed: { name: 'auth_token_sealed', type: 'text' },
  tokenCostMicros: { name: 'token_cost_micros', type: 'bigint' },
  inputPrice: { name: 'input_price', type: 'bigint' },
  outputPrice: { name: 'output_price', type: 'bigint' },
  cachedInputPrice: { name: 'cached_input_price', type: 'bigint' },
  contextTokens: { name: 'context_tokens', type: 'integer' },
  maxOutputTokens: { name: 'max_output_tokens', type: 'integer' },
  limitParam: { name: 'limit_param', type: 'text' },
  enabled: { name: 'enabled', type: 'boolean' },
}

/** The columns that a patch names, with their new values. */
const given = (patch: Partial<ModelValues>) =>
  (Object.keys(columns) as (keyof ModelValues)[])
    .filter((key) => patch[key] !== undefined)
    .map((key) => ({
      column: sql.raw(columns[key].name),
      value: sql`${patch[key]}::${sql.raw(columns[key].type)}`,
    }))

const list = (parts: SQL[]): SQL => sql.join(parts, sql`, `)

/** Makes the model, once. Answers one row `{prior}`; a name in use violates `models_name_key`. */
export function insertModel(
  db: Database,
  userUid: string,
  once: Once | undefined,
  uid: string,
  values: ModelValues,
) {
  const { prior, fresh, remember } = onceFragments(userUid, once)
  const members = given(values)
  return db.execute(sql`
    WITH ${prior}, made AS (
      INSERT INTO models (uid, ${list(members.map(({ column }) => column))})
      SELECT ${uid}::uuid, ${list(members.map(({ value }) => value))}
      WHERE ${fresh} RETURNING uid
    ), ${remember(sql`made`, 201, sql`jsonb_build_object('modelUid', uid)`)}
    SELECT (SELECT to_json(prior) FROM prior) AS prior`)
}

/** What one `viewer` may see: everything for administrators, by the database's word, else what is enabled. */
const visibleTo = (viewer: string) => {
  const administrator = sql<boolean>`EXISTS (SELECT FROM users WHERE users.uid = ${viewer}::uuid AND role = 'ADMIN')`
  return { administrator, rows: sql`deleted_at IS NULL AND (enabled OR ${administrator})` }
}

/** Never the sealed secret: only whether there is one. */
const view = (administrator: SQL<boolean>) => ({
  uid: models.uid,
  name: models.name,
  description: models.description,
  type: models.type,
  apiLink: models.apiLink,
  hasAuthToken: sql<boolean>`auth_token_sealed IS NOT NULL`,
  tokenCostMicros: models.tokenCostMicros,
  inputPrice: models.inputPrice,
  outputPrice: models.outputPrice,
  cachedInputPrice: models.cachedInputPrice,
  contextTokens: models.contextTokens,
  maxOutputTokens: models.maxOutputTokens,
  limitParam: models.limitParam,
  enabled: models.enabled,
  cooldownUntil: models.cooldownUntil,
  createdAt: models.createdAt,
  updatedAt: models.updatedAt,
  /** `created_at` to the microsecond, for cursors. */
  at: sql<string>`created_at::text`,
  /** Whether the viewer is an administrator. */
  administrator,
})

export const modelsSeenBy = (db: Database, viewer: string, { limit, cursor }: PageRequest) => {
  const { administrator, rows } = visibleTo(viewer)
  return db
    .select(view(administrator))
    .from(models)
    .where(sql`${rows} ${beyond(cursor)}`)
    .orderBy(desc(models.createdAt), desc(models.uid))
    .limit(limit + 1)
}

export const modelSeenBy = (db: Database, viewer: string, uid: string) => {
  const { administrator, rows } = visibleTo(viewer)
  return db.select(view(administrator)).from(models).where(sql`${rows} AND uid = ${uid}::uuid`)
}

export type ModelRow = Awaited<ReturnType<typeof modelsSeenBy>>[number]

/** Takes the model's row, so that the statements behind it see it as the last one left it. */
export const lockModel = (db: Database, uid: string) =>
  db.execute(sql`SELECT 1 FROM models WHERE uid = ${uid}::uuid AND deleted_at IS NULL FOR UPDATE`)

/** The rules between columns that a merged row may break; one member for each rule of service.ts. */
export interface Clashes {
  prices_apart: boolean
  cached_alone: boolean
  output_too_long: boolean
  /** The secret of one upstream would be shown to another. */
  secret_carried: boolean
}

/**
 * Changes what the patch names, unless the row as it would then be breaks a rule. Answers one row of `Clashes`, or
 * none when there is no such model. Stands behind `lockModel`.
 * Another `api_link` is another upstream: what was learned from the old one is forgotten.
 */
export function changeModel(db: Database, uid: string, patch: Partial<ModelValues>) {
  const merged = (key: keyof ModelValues) => {
    const { name, type } = columns[key]
    const value = patch[key]
    return value === undefined ? sql.raw(name) : sql`${value}::${sql.raw(type)}`
  }
  const changes = given(patch).map(({ column, value }) => sql`${column} = ${value}`)
  if (patch.apiLink !== undefined) {
    const moved = sql`api_link <> ${patch.apiLink}::text`
    changes.push(sql`stream_options = stream_options OR ${moved}`)
    changes.push(sql`cooldown_until = CASE WHEN ${moved} THEN NULL ELSE cooldown_until END`)
    changes.push(sql`consecutive_failures = CASE WHEN ${moved} THEN 0 ELSE consecutive_failures END`)
    if (patch.limitParam === undefined)
      changes.push(sql`limit_param = CASE WHEN ${moved} THEN 'max_tokens' ELSE limit_param END`)
  }
  return db.execute(sql`
    WITH clashes AS (
      SELECT (${merged('inputPrice')} IS NULL) <> (${merged('outputPrice')} IS NULL) AS prices_apart,
        ${merged('cachedInputPrice')} IS NOT NULL AND ${merged('inputPrice')} IS NULL AS cached_alone,
        coalesce(${merged('maxOutputTokens')} >= ${merged('contextTokens')}, false) AS output_too_long,
        ${patch.authTokenSealed === undefined}::boolean AND auth_token_sealed IS NOT NULL
          AND ${originOf(sql`api_link`)} <> ${originOf(merged('apiLink'))} AS secret_carried
      FROM models WHERE uid = ${uid}::uuid AND deleted_at IS NULL
    ), changed AS (
      UPDATE models SET ${list([...changes, sql`updated_at = clock_timestamp()`])}
      WHERE uid = ${uid}::uuid AND deleted_at IS NULL
        AND EXISTS (SELECT FROM clashes WHERE NOT (prices_apart OR cached_alone OR output_too_long OR secret_carried))
    )
    SELECT prices_apart, cached_alone, output_too_long, secret_carried FROM clashes`)
}

/** Scheme, host and port of a link, which the rule for links has normalised enough to compare. */
const originOf = (link: SQL): SQL => sql`lower(substring(${link} FROM '^[^/]+//[^/]+'))`

/** Hides the model and forgets its secret; the row stays for history. Answers its uid if it was there. */
export const hideModel = (db: Database, uid: string) =>
  db.execute(sql`
    UPDATE models SET deleted_at = clock_timestamp(), updated_at = clock_timestamp(), auth_token_sealed = NULL
    WHERE uid = ${uid}::uuid AND deleted_at IS NULL RETURNING uid`)

const callable = {
  uid: models.uid,
  name: models.name,
  type: models.type,
  apiLink: models.apiLink,
  authTokenSealed: models.authTokenSealed,
  limitParam: models.limitParam,
  streamOptions: models.streamOptions,
  updatedAt: models.updatedAt,
}

/** A model as far as calling it goes; enabled or not. */
export const callableModel = (db: Database, uid: string) =>
  db.select(callable).from(models).where(sql`uid = ${uid}::uuid AND deleted_at IS NULL`)

export type CallableModel = Awaited<ReturnType<typeof callableModel>>[number]

export const callableModels = (db: Database, most: number) =>
  db
    .select(callable)
    .from(models)
    .where(sql`deleted_at IS NULL`)
    .orderBy(desc(models.createdAt), desc(models.uid))
    .limit(most)

/** Keeps what an upstream taught, as long as the model still points to it. */
export const rememberLearned = (
  db: Database,
  uid: string,
  apiLink: string,
  learned: { limitParam?: string; streamOptions?: boolean },
) =>
  db.execute(sql`
    UPDATE models SET
      limit_param = coalesce(${learned.limitParam ?? null}::text, limit_param),
      stream_options = coalesce(${learned.streamOptions ?? null}::boolean, stream_options)
    WHERE uid = ${uid}::uuid AND api_link = ${apiLink}::text AND deleted_at IS NULL`)

/** Ends a rest and forgets the failures before it: the upstream behind this link has just answered. */
export const wakeModel = (db: Database, uid: string, apiLink: string) =>
  db.execute(sql`
    UPDATE models SET cooldown_until = NULL, consecutive_failures = 0
    WHERE uid = ${uid}::uuid AND api_link = ${apiLink}::text AND deleted_at IS NULL
      AND (cooldown_until IS NOT NULL OR consecutive_failures > 0)`)

/** Every secret. */
export const sealedSecrets = (db: Database) =>
  db.execute<{ uid: string; sealed: string }>(sql`
    SELECT uid, auth_token_sealed AS sealed FROM models WHERE auth_token_sealed IS NOT NULL`)

/** Only if it is still the one that was opened. */
export const secretResealed = (db: Database, uid: string, before: string, after: string) =>
  db.execute<{ uid: string }>(sql`
    UPDATE models SET auth_token_sealed = ${after}::text
    WHERE uid = ${uid}::uuid AND auth_token_sealed = ${before}::text RETURNING uid`)
