// When a model rests: what the end of a generation says of its upstream, and what that writes on the model's row.
import { type SQL, sql } from 'drizzle-orm'
import type { UpstreamEnd, UpstreamFault } from '../../ports/upstream/port.ts'

/** An upstream that says "rate limited" is left alone as long as it asks for, within these bounds. */
const RATE_LIMITED_S = { least: 1, usual: 10, most: 60 }
/** Fewer failures in a row may be bad luck. */
const FAILURES = 3
/** After that many; twice as long with each further failure. */
const FIRST_REST_S = 15
const LONGEST_REST_S = 300

/** What an end says of the upstream behind `link`. */
export type Sign = { link: string } & (
  | { kind: 'works' | 'fails' }
  | { kind: 'rate_limited'; restSeconds: number }
)

/**
 * Undefined when it says nothing: we cancelled it, or it refused the request as such. A wrong key (401, 403) is
 * one of these: the upstream is up, a pause repairs nothing, and 502 with the status tells more than a rest.
 */
export function signOf(link: string, { fault }: UpstreamEnd, anyToken: boolean): Sign | undefined {
  if (fault?.kind === 'rate_limited') {
    const { least, usual, most } = RATE_LIMITED_S
    const restSeconds = Math.min(Math.max(fault.retryAfterSeconds ?? usual, least), most)
    return { link, kind: 'rate_limited', restSeconds }
  }
  if (fault === undefined || anyToken) return { link, kind: 'works' }
  return isAway(fault) ? { link, kind: 'fails' } : undefined
}

/** Before the first token: not there, too slow, or a failure on its side. */
function isAway({ kind, status }: UpstreamFault): boolean {
  if (kind === 'status' || kind === 'error_in_stream') return (status ?? 0) >= 500
  return kind === 'unreachable' || kind === 'incomplete' || kind.endsWith('_timeout')
}

/**
 * A CTE for the settle statement, so that it counts once, with the settling: reads `settled`. The account is locked
 * before, the model last, and whoever changes a model takes no account after it. A success that changes nothing
 * writes nothing: the row is shared by all who use the model.
 * Invariant: a generation that began before the last rest ended says nothing about what came after it; so many
 * that fail together make one rest, and an old answer that ends well does not end a new count.
 */
export function restCte(sign: Sign | undefined): SQL {
  if (!sign) return sql``
  const where = sql`m.uid = settled.model_uid AND m.api_link = ${sign.link}::text AND m.deleted_at IS NULL`
  const isNews = sql`(m.cooldown_until IS NULL OR m.cooldown_until < settled.created_at)`
  switch (sign.kind) {
    case 'works':
      return sql`rested AS (
      UPDATE models m SET consecutive_failures = 0, cooldown_until = NULL
      FROM settled WHERE ${where} AND ${isNews} AND m.consecutive_failures > 0),`
    case 'fails':
      return sql`rested AS (
      UPDATE models m SET
        consecutive_failures = m.consecutive_failures + 1,
        cooldown_until = CASE WHEN m.consecutive_failures + 1 < ${FAILURES}::int THEN m.cooldown_until ELSE
          clock_timestamp() + make_interval(secs => least(${LONGEST_REST_S}::int,
            ${FIRST_REST_S}::int * 2 ^ least(m.consecutive_failures + 1 - ${FAILURES}::int, 10))) END
      FROM settled WHERE ${where} AND ${isNews}),`
    case 'rate_limited':
      // Extended by a second or more only: those who are refused together write it once.
      return sql`rested AS (
      UPDATE models m SET cooldown_until = clock_timestamp() + make_interval(secs => ${sign.restSeconds}::int)
      FROM settled WHERE ${where} AND (m.cooldown_until IS NULL
        OR m.cooldown_until < clock_timestamp() + make_interval(secs => ${sign.restSeconds - 1}::int))),`
  }
}
