import type { UpstreamFault } from './port.ts'

/** A client waits meanwhile: an upstream that asks for more than this is better left to the caller. */
const LONGEST_RETRY_AFTER_S = 5
/** Before the first try again; four times as long before each further one. */
const FIRST_WAIT_MS = 250

/** What proxies say when nobody behind them took the request. A 500 may have worked, and would again. */
const NOBODY_THERE = [502, 503, 504]

/**
 * Milliseconds until the same request may be sent again after it was refused, or undefined if it may not: only
 * for what passes by itself within seconds. Never sooner than its Retry-After; spread, so that those who were
 * refused together do not come back together.
 * @param retry 1 before the first try again
 * @param fault of an exchange that ended before an answer of status 200
 */
export function waitBefore(
  retry: number,
  { kind, status, retryAfterSeconds }: UpstreamFault,
  random: () => number = Math.random,
): number | undefined {
  if (retryAfterSeconds !== undefined && retryAfterSeconds > LONGEST_RETRY_AFTER_S) return undefined
  // A 429 without a time is as often a spent quota as a busy moment.
  const limited = kind === 'rate_limited' && retryAfterSeconds !== undefined
  const away = kind === 'unreachable' || (kind === 'status' && NOBODY_THERE.includes(status ?? 0))
  if (!limited && !away) return undefined
  const wait = FIRST_WAIT_MS * 4 ** (retry - 1)
  return Math.max((retryAfterSeconds ?? 0) * 1000, wait / 2) + random() * wait
}
