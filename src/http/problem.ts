import type { ErrorHandler, NotFoundHandler } from 'hono'
import { HTTPException } from 'hono/http-exception'
import { Failure, type FailureCode, failures } from '../core/failure.ts'
import type { App, Ctx } from './context.ts'

/** Any error as the failure that may be told; what it really was goes to the log. */
export function asFailure(error: unknown): Failure {
  if (error instanceof Failure) return error
  if (error instanceof HTTPException) {
    if (error.status === 413) return new Failure('payload_too_large')
    if (error.status === 415)
      return new Failure('unsupported_media_type', 'Send Content-Type: application/json.')
    if (error.status === 400) return new Failure('malformed_body')
  }
  return new Failure('internal_error', { cause: error })
}

/** RFC 9457, with our `code`, `requestId` and, for a body that does not fit, `errors`. */
export function problemDocument(failure: Failure, requestId: string): Record<string, unknown> {
  const { status, title } = failures[failure.code]
  const { detail, errors, extra } = failure.details
  return {
    type: `urn:bothub-edge:problem:${failure.code}`,
    title,
    status,
    code: failure.code satisfies FailureCode,
    detail: detail ?? `${title}.`,
    requestId,
    ...(errors ? { errors } : {}),
    ...extra,
  }
}

export function problem(c: Ctx, failure: Failure): Response {
  const headers: Record<string, string> = { 'Content-Type': 'application/problem+json' }
  if (failure.details.retryAfterSeconds !== undefined)
    headers['Retry-After'] = String(Math.max(1, Math.ceil(failure.details.retryAfterSeconds)))
  if (failure.status === 401) headers['WWW-Authenticate'] = 'Bearer'
  return c.body(JSON.stringify(problemDocument(failure, c.var.requestId)), failure.status as 400, headers)
}

export const onError: ErrorHandler<App> = (error, c) => problem(c, logged(c, error))

/** Any error as the failure that may be told, after what the log must know of it is there. */
export function logged(c: Ctx, error: unknown): Failure {
  const failure = asFailure(error)
  if (failure.status >= 500 || failure.details.cause !== undefined) {
    const cause = failure.details.cause ?? error
    // The kind and the place of an unknown error, not its message: that may hold SQL, a URL or a secret.
    c.var.log.error('request_failed', {
      code: failure.code,
      cause:
        cause instanceof Failure || /^Postgres/.test(String((cause as Error)?.message))
          ? String(cause)
          : (cause as Error)?.name,
      stack: failure.code === 'internal_error' ? framesOf(cause) : undefined,
    })
  }
  return failure
}

export const onNotFound: NotFoundHandler<App> = (c) =>
  problem(c, new Failure('not_found', `There is no ${c.req.method} ${c.req.path.slice(0, 200)}.`))

/** The stack without its first line, which is the message. */
const framesOf = (error: unknown): string[] | undefined =>
  error instanceof Error
    ? error.stack
        ?.split('\n')
        .filter((line) => /^\s+at /.test(line))
        .slice(0, 8)
    : undefined
