// One HTTP exchange with an upstream, up to its headers; what goes wrong is a fault, never an exception.
import {
  type Blot,
  ERROR_BODY_LIMIT,
  errorFromBody,
  faultOf,
  retryAfterOf,
  type UpstreamError,
} from './error.ts'
import type { UpstreamFault } from './port.ts'
import type { StopKind, Watch } from './watch.ts'

/** Of an error's body only as much is waited for as comes at once. */
const ERROR_BODY_MS = 5000

export type Exchange = { response: Response } | { fault: UpstreamFault; error?: UpstreamError }

const STOPPED: Record<StopKind, string> = {
  aborted: 'cancelled by the gateway',
  connect_timeout: 'the host does not accept connections',
  first_token_timeout: 'no token came in time',
  silence_timeout: 'the stream fell silent',
  total_timeout: 'the answer took too long',
}

/** The fault of a watch that stopped. */
export function stoppedFault(kind: StopKind): UpstreamFault {
  return { kind, message: STOPPED[kind] }
}

/** Reads at most `limit` bytes as text, or what a failing or stopped body gave until then. */
export async function readText(
  response: Response,
  limit: number,
  watch: Watch,
): Promise<{ text: string; end: 'whole' | 'limit' | 'lost' }> {
  const reader = response.body?.getReader()
  if (reader === undefined) return { text: '', end: 'whole' }
  watch.onStop(() => void reader.cancel().catch(() => {}))
  const decoder = new TextDecoder()
  const parts: string[] = []
  let left = limit
  let end: 'whole' | 'limit' | 'lost' = 'lost'
  try {
    while (left > 0) {
      const { done, value } = await reader.read()
      if (done) {
        if (watch.stopped() === undefined) end = 'whole'
        break
      }
      parts.push(decoder.decode(value.subarray(0, left), { stream: true }))
      left -= value.length
      if (left <= 0) end = 'limit'
    }
  } catch {
    // A broken body is as good as a short one.
  }
  reader.cancel().catch(() => {})
  return { text: parts.join('') + decoder.decode(), end }
}

function unreachable(error: unknown, blot: Blot): UpstreamFault {
  // Node puts the reason into the cause; a resolved address in its message is nobody's business.
  const cause: unknown = error instanceof Error ? error.cause : undefined
  const code =
    typeof cause === 'object' && cause !== null && 'code' in cause && typeof cause.code === 'string'
      ? cause.code
      : undefined
  const reason = code ?? (error instanceof Error ? error.message : '')
  return {
    kind: code === 'UND_ERR_CONNECT_TIMEOUT' || code === 'ETIMEDOUT' ? 'connect_timeout' : 'unreachable',
    message: blot(reason === '' ? 'no connection' : `no connection: ${reason}`),
  }
}

/**
 * Sends one request and waits for headers, as long as `watch` allows. A redirect is never followed: the
 * address was checked, where it leads was not. An answer outside 2xx is read (64 KiB, 5 s) and told.
 */
export async function exchange(
  send: typeof fetch,
  url: string,
  init: RequestInit,
  watch: Watch,
  blot: Blot,
): Promise<Exchange> {
  let response: Response
  try {
    const pending = send(url, { ...init, redirect: 'manual', signal: watch.signal })
    const first = await Promise.race([pending, watch.whenStopped])
    if (first === undefined) {
      // A fetch that does not heed its signal must not leave a body behind.
      pending.then((late) => late.body?.cancel()).catch(() => {})
      return { fault: stoppedFault(watch.stopped() ?? 'aborted') }
    }
    response = first
  } catch (error) {
    const stopped = watch.stopped()
    return { fault: stopped === undefined ? unreachable(error, blot) : stoppedFault(stopped) }
  }
  if (response.ok) return { response }
  const status = response.status
  // Browsers' fetch hides a redirect behind status 0.
  if (status === 0 || (status >= 300 && status < 400)) {
    response.body?.cancel().catch(() => {})
    return {
      fault: { kind: 'status', status, message: 'the upstream redirects; redirects are not followed' },
    }
  }
  watch.arm('first_token_timeout', ERROR_BODY_MS)
  const { text } = await readText(response, ERROR_BODY_LIMIT, watch)
  const stopped = watch.stopped()
  if (stopped === 'aborted') return { fault: stoppedFault(stopped) }
  const error = { ...errorFromBody(status, text), status }
  return { fault: faultOf('status', error, blot, retryAfterOf(response.headers, Date.now())), error }
}

/** Headers of every request. The name is for operators who wonder who calls them. */
export function headersFor(accept: string, authToken: string | undefined): Record<string, string> {
  const headers: Record<string, string> = { accept, 'user-agent': 'bothub-edge' }
  if (authToken) headers.authorization = `Bearer ${authToken}`
  return headers
}
