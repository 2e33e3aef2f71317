import { type SQL, sql } from 'drizzle-orm'
import { Failure } from '../../core/failure.ts'
import type { Once } from '../../http/idempotency.ts'

/**
 * The fragments by which a writing statement happens once. The statement stands in a batch behind the lock on the
 * caller's account row, so two requests with one key follow each other and the second sees what the first wrote.
 *
 * `owner`: a uid, or SQL that says one.
 *
 *   WITH ${once.prior}, made AS (INSERT … SELECT … WHERE ${once.fresh} RETURNING …), ${once.remember(…)}
 *   SELECT (SELECT to_json(prior) FROM prior) AS prior, …
 */
export function onceFragments(owner: string | SQL, once: Once | undefined) {
  const user = typeof owner === 'string' ? sql`${owner}::uuid` : owner
  const key = once?.key ?? null
  return {
    /** CTE `prior`: the earlier use of the key, if there is one. */
    prior: sql`prior AS (
      SELECT fingerprint, status, body, generation_uid FROM idempotency
      WHERE user_uid = ${user} AND key = ${key}::text)`,
    /** True when nothing was done under this key yet. */
    fresh: sql`NOT EXISTS (SELECT FROM prior)`,
    /** CTE `remembered`: keeps the answer. `from` is a CTE with a row if the work was done; `body` its JSON. */
    remember: (
      from: SQL,
      status: number,
      body: SQL,
      generationUid: SQL = sql`NULL::uuid`,
    ): SQL => sql`remembered AS (
      INSERT INTO idempotency (user_uid, key, fingerprint, status, body, generation_uid)
      SELECT ${user}, ${key}::text, ${once?.fingerprint ?? ''}::text, ${status}::smallint, ${body}, ${generationUid}
      FROM ${from} WHERE ${key}::text IS NOT NULL)`,
  }
}

/** A row of `prior`, as `to_json` gives it. */
export interface Prior {
  fingerprint: string
  status: number | null
  body: unknown
  generation_uid: string | null
}

/**
 * The answer that the key already has.
 * @returns undefined when the key is new
 * @throws idempotency_mismatch when it stood for another request
 */
export function replayOf(prior: Prior | null | undefined, once: Once | undefined): Prior | undefined {
  if (!prior || !once) return undefined
  if (prior.fingerprint !== once.fingerprint) throw new Failure('idempotency_mismatch')
  return prior
}
