import { type Failure, type FailureCode, failures, openaiNames } from '../../core/failure.ts'

/** The one shape of a refusal at this door, and of what breaks a stream. */
export interface Envelope {
  error: { message: string; type: string; param: string | null; code: string; [more: string]: unknown }
}

/** A client that asked again would be told the same, or would ask (and pay) for what it has been given. */
const IN_VAIN = new Set<FailureCode>([
  'insufficient_credits',
  'key_budget_exceeded',
  'idempotency_repeated',
  'settlement_pending',
])

/**
 * A failure as OpenAI's clients know it. What the problem document has in further members (`available`, `needed`,
 * `generationUid`) stands beside the four; `upstreamCode` takes the place of our own code.
 */
export function envelopeOf({ code, details }: Failure): Envelope {
  const { detail, errors, extra: { upstreamCode, ...extra } = {} } = details
  const [first] = errors ?? []
  const names = openaiNames(code)
  const said = detail ?? `${failures[code].title}.`
  return {
    error: {
      message: first ? `${said} ${first.path === '' ? '' : `${first.path}: `}${first.message}` : said,
      type: names.type,
      param: first && first.path !== '' ? first.path : null,
      code: typeof upstreamCode === 'string' ? upstreamCode : names.code,
      ...extra,
    },
  }
}

/** What a client is told beside it: whether and when to ask again. */
export function headersOf({ code, status, details }: Failure): Record<string, string> {
  const { retryAfterSeconds } = details
  return {
    ...(retryAfterSeconds === undefined
      ? {}
      : { 'Retry-After': String(Math.max(1, Math.ceil(retryAfterSeconds))) }),
    ...(IN_VAIN.has(code) ? { 'x-should-retry': 'false' } : {}),
    ...(status === 401 ? { 'WWW-Authenticate': 'Bearer' } : {}),
  }
}
