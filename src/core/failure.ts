/**
 * The one table of failures. A code has exactly one status and one title; the problem documents, the OpenAI
 * envelope and the responses in openapi.json are all made from it, so nothing can drift apart.
 */
interface FailureKind {
  status: number
  title: string
  /** `error.type` in OpenAI's envelope. */
  openai:
    | 'invalid_request_error'
    | 'authentication_error'
    | 'permission_error'
    | 'insufficient_quota'
    | 'rate_limit_error'
    | 'api_error'
  /** `error.code` in OpenAI's envelope, where its clients know another word than ours. */
  openaiCode?: string
}

const invalid = 'invalid_request_error'
const api = 'api_error'

export const failures = {
  malformed_body: { status: 400, title: 'The body is not valid JSON', openai: invalid },
  /** Of the OpenAI door, whose clients know 400 for it. */
  invalid_parameter: { status: 400, title: 'The request does not fit its schema', openai: invalid },
  /** The upstream refused the request itself: at that door the caller is told why. */
  upstream_rejected: { status: 400, title: 'The model refused the request', openai: invalid },
  unauthenticated: {
    status: 401,
    title: 'Sign in first',
    openai: 'authentication_error',
    openaiCode: 'invalid_api_key',
  },
  bad_credentials: { status: 401, title: 'Wrong credentials', openai: 'authentication_error' },
  insufficient_credits: {
    status: 402,
    title: 'Not enough credits',
    openai: 'insufficient_quota',
    openaiCode: 'insufficient_quota',
  },
  key_budget_exceeded: { status: 402, title: "The key's budget is spent", openai: 'insufficient_quota' },
  forbidden: { status: 403, title: 'Not allowed', openai: 'permission_error' },
  account_blocked: { status: 403, title: 'This account is blocked', openai: 'permission_error' },
  origin_not_allowed: { status: 403, title: 'This origin may not send cookies', openai: 'permission_error' },
  admin_registration_closed: {
    status: 403,
    title: 'Administrators cannot register',
    openai: 'permission_error',
  },
  self_top_up_closed: {
    status: 403,
    title: 'Topping up oneself is switched off',
    openai: 'permission_error',
  },
  not_found: { status: 404, title: 'Nothing is here', openai: invalid, openaiCode: 'unknown_url' },
  user_not_found: { status: 404, title: 'No such user', openai: invalid },
  transaction_not_found: { status: 404, title: 'No such transaction', openai: invalid },
  model_not_found: { status: 404, title: 'No such model', openai: invalid },
  chat_not_found: { status: 404, title: 'No such chat', openai: invalid },
  key_not_found: { status: 404, title: 'No such API key', openai: invalid },
  message_not_found: { status: 404, title: 'No such message', openai: invalid },
  method_not_allowed: { status: 405, title: 'Not by this method', openai: invalid },
  mail_taken: { status: 409, title: 'This mail address is taken', openai: invalid },
  phone_taken: { status: 409, title: 'This phone number is taken', openai: invalid },
  model_name_taken: { status: 409, title: 'A model of this name exists', openai: invalid },
  too_many_keys: { status: 409, title: 'Too many API keys', openai: invalid },
  balance_would_be_negative: { status: 409, title: 'The balance would be negative', openai: invalid },
  balance_too_large: { status: 409, title: 'The balance would be too large', openai: invalid },
  generation_in_progress: { status: 409, title: 'An answer is being written in this chat', openai: invalid },
  idempotency_in_progress: {
    status: 409,
    title: 'The first request with this key still runs',
    openai: invalid,
  },
  idempotency_repeated: { status: 409, title: 'This Idempotency-Key was used before', openai: invalid },
  last_administrator: { status: 409, title: 'The last administrator must stay', openai: invalid },
  payload_too_large: { status: 413, title: 'The body is too large', openai: invalid },
  unsupported_media_type: { status: 415, title: 'The body must be JSON', openai: invalid },
  invalid_request: { status: 422, title: 'The request does not fit its schema', openai: invalid },
  idempotency_mismatch: { status: 422, title: 'This key was used with another request', openai: invalid },
  message_too_long: { status: 422, title: 'The message does not fit the model', openai: invalid },
  rate_limited: {
    status: 429,
    title: 'Too many requests',
    openai: 'rate_limit_error',
    openaiCode: 'rate_limit_exceeded',
  },
  too_many_attempts: { status: 429, title: 'Too many sign-in attempts', openai: 'rate_limit_error' },
  too_many_generations: { status: 429, title: 'Too many answers at once', openai: 'rate_limit_error' },
  internal_error: { status: 500, title: 'Something went wrong here', openai: api },
  upstream_failed: { status: 502, title: 'The model failed', openai: api },
  upstream_incomplete: { status: 502, title: "The model's answer broke off", openai: api },
  upstream_rate_limited: { status: 503, title: 'The model is busy', openai: api },
  model_cooling_down: { status: 503, title: 'The model is resting after failures', openai: api },
  settlement_pending: { status: 503, title: 'The answer is not booked yet', openai: api },
  unavailable: { status: 503, title: 'The service is not available for the moment', openai: api },
  upstream_timeout: { status: 504, title: 'The model took too long', openai: api },
} as const satisfies Record<string, FailureKind>

export type FailureCode = keyof typeof failures

/** Type and code of OpenAI's envelope. */
export const openaiNames = (code: FailureCode): { type: string; code: string } => {
  const { openai, openaiCode }: FailureKind = failures[code]
  return { type: openai, code: openaiCode ?? code }
}

/** One field that is wrong: `path` is dotted (`messages.0.role`), empty for the body as a whole. */
export interface FieldError {
  path: string
  message: string
}

export interface FailureDetails {
  /** A sentence for the person who reads it; never SQL, a stack or a secret. */
  detail?: string
  errors?: FieldError[]
  retryAfterSeconds?: number
  /** Further members of the problem document (`available`, `messageUid`, …). */
  extra?: Record<string, unknown>
  /** What really happened, for the log only. */
  cause?: unknown
}

/** The only exception that features throw on purpose. */
export class Failure extends Error {
  readonly code: FailureCode
  readonly details: FailureDetails

  constructor(code: FailureCode, details: FailureDetails | string = {}) {
    const full = typeof details === 'string' ? { detail: details } : details
    super(full.detail ?? failures[code].title, full.cause === undefined ? undefined : { cause: full.cause })
    this.name = 'Failure'
    this.code = code
    this.details = full
  }

  get status(): number {
    return failures[this.code].status
  }
}
