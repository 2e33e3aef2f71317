import { type SQL, sql } from 'drizzle-orm'
import type { Database } from '../../ports/postgres.ts'
import type { Dimension } from './schema.ts'

/** From the first instant on, to just before the second. */
export interface Range {
  from: Date
  to: Date
}

/** Sums over answers, as JSON of Postgres: `cost` in micro-credits, exact as all numbers are up to 2^53. */
export type Sums = Record<keyof typeof figures, number>

/** What the sums are of: a day (`2026-11-22`), a model, a key (null: none). */
export interface Subject {
  day?: string
  modelUid?: string
  model?: string
  keyUid?: string | null
  key?: string | null
}

/** Groups, the dearest first, and the sums over all of them, also over those beyond the limit. */
export interface Used {
  total: Sums
  groups: (Subject & Sums)[]
}

// The names are those of the JSON.
const dimensions: Record<Dimension, { of: SQL; column: SQL; shown: SQL }> = {
  day: { of: sql`(created_at AT TIME ZONE 'UTC')::date`, column: sql`day`, shown: sql`day` },
  model: {
    of: sql`model_uid`,
    column: sql`"modelUid"`,
    shown: sql`"modelUid", (SELECT name FROM models WHERE uid = "modelUid") AS model`,
  },
  key: {
    of: sql`key_uid`,
    column: sql`"keyUid"`,
    shown: sql`"keyUid", (SELECT name FROM keys WHERE uid = "keyUid") AS key`,
  },
}

const figures = {
  requests: sql`count(*)`,
  failures: sql`count(*) FILTER (WHERE status = 'FAILED')`,
  promptTokens: sql`coalesce(sum(prompt_tokens), 0)`,
  completionTokens: sql`coalesce(sum(completion_tokens), 0)`,
  totalTokens: sql`coalesce(sum(total_tokens), 0)`,
  cachedTokens: sql`coalesce(sum(cached_tokens), 0)`,
  reasoningTokens: sql`coalesce(sum(reasoning_tokens), 0)`,
  cost: sql`sum(cost)`,
}

const list = (parts: SQL[]): SQL => sql.join(parts, sql`, `)
/** A part of a list for each figure, made of its name, its column and what it is. */
const eachFigure = (part: (name: string, column: SQL, of: SQL) => SQL): SQL =>
  list(Object.entries(figures).map(([name, of]) => part(name, sql`${sql.identifier(name)}`, of)))

/** What one person has used. Goes by generations_user_newest. */
export const usageOf = (db: Database, userUid: string, range: Range, by: Dimension[], limit: number) =>
  used(db, sql`user_uid = ${userUid}::uuid`, range, by, limit)

/** What everybody has used: for administrators. Goes by generations_newest. */
export const usageOfAll = (db: Database, range: Range, by: Dimension[], limit: number) =>
  used(db, sql`true`, range, by, limit)

/**
 * Settled answers of the range, by the instant at which they were asked. The total is summed over the groups: grouping
 * sets would sort all answers to make both, and that takes twice the time.
 */
function used(db: Database, whose: SQL, { from, to }: Range, by: Dimension[], limit: number) {
  const chosen = by.map((name) => dimensions[name])
  const columns = list(chosen.map(({ column }) => column))
  return db.execute<{ used: Used }>(sql`
    WITH counted AS (
      SELECT ${list(chosen.map(({ of, column }) => sql`${of} AS ${column}`))},
        ${eachFigure((_, column, of) => sql`${of} AS ${column}`)}
      FROM generations
      WHERE ${whose} AND status <> 'RUNNING'
        AND created_at >= ${from.toISOString()}::timestamptz AND created_at < ${to.toISOString()}::timestamptz
      GROUP BY ${columns}),
    dearest AS (
      SELECT ${list(chosen.map(({ shown }) => shown))}, ${eachFigure((_, column) => column)}
      FROM (SELECT * FROM counted ORDER BY cost DESC, requests DESC, ${columns} LIMIT ${limit}::int) AS counted)
    SELECT json_build_object(
      'total', (SELECT json_build_object(${eachFigure((name, column) => sql`${name}::text, coalesce(sum(${column}), 0)`)}) FROM counted),
      'groups', (SELECT coalesce(json_agg(dearest ORDER BY cost DESC, requests DESC, ${columns}), '[]') FROM dearest)
    ) AS used`)
}
