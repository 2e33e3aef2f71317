import { Failure, type FailureCode } from '../../core/failure.ts'
import type { UpstreamFault } from '../../ports/upstream/port.ts'
import type { GenerationRow } from './settle.ts'

// What stood in the way of an answer: as it is recorded for administrators, and as callers are told.

type FaultCode = 'upstream_failed' | 'upstream_incomplete' | 'upstream_rate_limited' | 'upstream_timeout'

const FINISH: Record<FaultCode, string> = {
  upstream_failed: 'upstream_error',
  upstream_incomplete: 'upstream_incomplete',
  upstream_rate_limited: 'upstream_error',
  upstream_timeout: 'upstream_timeout',
}

export const finishOf = (fault: UpstreamFault): string => FINISH[codeOf(fault)]

export function codeOf({ kind }: UpstreamFault): FaultCode {
  switch (kind) {
    case 'connect_timeout':
    case 'first_token_timeout':
    case 'silence_timeout':
    case 'total_timeout':
      return 'upstream_timeout'
    case 'rate_limited':
      return 'upstream_rate_limited'
    case 'incomplete':
      return 'upstream_incomplete'
    default:
      return 'upstream_failed'
  }
}

/** What of our own stood in the way. Of an error that nobody foresaw not a word: it may hold anything. */
export const brokenBy = (error: unknown): UpstreamFault =>
  error instanceof Failure
    ? {
        kind: 'not_called',
        message: error.details.detail ?? (error.details.cause as Error)?.name ?? error.code,
      }
    : { kind: 'bad_answer', message: 'the gateway failed' }

/** The parts of a fault that callers are told of. */
type Told = Pick<UpstreamFault, 'status' | 'retryAfterSeconds'>

/**
 * For administrators: `rate_limited 429, retry after 7 s: the words of the upstream`, which the adapter has redacted.
 * `toldIn` reads what stands before the words, so that a repeat is told what the first caller was.
 */
export function detailOf({ kind, status, retryAfterSeconds, message }: UpstreamFault, retries = 0): string {
  const later =
    kind === 'rate_limited' && retryAfterSeconds !== undefined ? `, retry after ${retryAfterSeconds} s` : ''
  const tries = retries === 0 ? '' : ` (asked ${retries + 1} times)`
  return `${kind}${status === undefined ? '' : ` ${status}`}${later}: ${message}${tries}`
}

function toldIn(detail: string | null): Told {
  const [, status, seconds] = /^[a-z_]+(?: (\d+))?(?:, retry after ([\d.]+) s)?: /.exec(detail ?? '') ?? []
  return {
    ...(status === undefined ? {} : { status: Number(status) }),
    ...(seconds === undefined ? {} : { retryAfterSeconds: Number(seconds) }),
  }
}

/** What callers are told: the kind and the status, never the upstream's own words, which may hold anything. */
export function failureOf(code: FailureCode, fault: Told | undefined): Failure {
  if (code === 'upstream_rate_limited')
    return new Failure(code, { retryAfterSeconds: fault?.retryAfterSeconds ?? 10 })
  if (code === 'upstream_failed' && fault?.status !== undefined)
    return new Failure(code, `The model's upstream answered with status ${fault.status}.`)
  return new Failure(code)
}

/** The same of a generation that is settled; undefined when it did not fail. */
export const recordedFailure = ({ failure_code: code, failure_detail: detail }: GenerationRow) =>
  code === null ? undefined : failureOf(code as FailureCode, toldIn(detail))
