import type { UpstreamFault, UpstreamFaultKind } from './port.ts'
import { isRecord } from './usage.ts'

/** An error as an upstream worded it, unredacted: for deciding, not for showing. */
export interface UpstreamError {
  message: string
  code?: string
  param?: string
  status?: number
}

function textOf(value: unknown): string | undefined {
  if (typeof value === 'string') return value.trim() === '' ? undefined : value
  return typeof value === 'number' ? String(value) : undefined
}

function statusOf(value: unknown): number | undefined {
  const number = typeof value === 'string' ? Number(value) : value
  return typeof number === 'number' && Number.isInteger(number) && number >= 400 && number <= 599
    ? number
    : undefined
}

/** FastAPI's list: where it went wrong, and how. */
function detailText(detail: unknown): string | undefined {
  if (!Array.isArray(detail)) return isRecord(detail) ? textOf(detail.message ?? detail.msg) : textOf(detail)
  const lines = detail.map((item) => {
    if (!isRecord(item)) return textOf(item) ?? ''
    const place = Array.isArray(item.loc) ? `${item.loc.join('.')}: ` : ''
    return place + (textOf(item.msg ?? item.message) ?? '')
  })
  return lines.join('; ') || undefined
}

function fromObject(object: Record<string, unknown>, around: Record<string, unknown>): UpstreamError {
  const message =
    textOf(object.message) ??
    textOf(object.msg) ??
    detailText(object.detail) ??
    (isRecord(object.message) ? JSON.stringify(object.message) : undefined) ??
    textOf(object.error) ??
    JSON.stringify(object)
  // Providers behind a router: the outer message is often only "Provider returned error".
  const inner = isRecord(object.metadata) ? textOf(object.metadata.raw) : undefined
  return {
    message: inner === undefined ? message : `${message}: ${inner}`,
    code: textOf(object.code) ?? textOf(object.type) ?? textOf(object.status),
    param: textOf(object.param),
    status: [object.code, object.status_code, object.status, around.status_code, around.status, around.code]
      .map(statusOf)
      .find((status) => status !== undefined),
  }
}

/**
 * The error that a JSON value is, if it is one. `certain`: something else has said that it is an error
 * (a status, `event: error`), so any wording will do; else only the known forms count.
 */
export function errorOf(value: unknown, certain: boolean): UpstreamError | undefined {
  // Google's compatible endpoint wraps its error into an array.
  const object = Array.isArray(value) && value.length === 1 ? value[0] : value
  if (!isRecord(object)) return certain ? { message: textOf(value) ?? JSON.stringify(value) } : undefined
  const error = object.error
  if (isRecord(error)) return fromObject(error, object)
  if (Array.isArray(error) && error.length > 0) return errorOf(error.slice(0, 1), true)
  const said = textOf(error)
  if (said !== undefined) {
    return {
      ...fromObject(object, object),
      message: said,
      code: textOf(object.code) ?? textOf(object.error_type),
    }
  }
  if (error === true || object.object === 'error' || object.type === 'error')
    return fromObject(object, object)
  if (object.choices !== undefined) return choiceError(object.choices, object)
  if (object.detail !== undefined && object.object === undefined) {
    return {
      ...fromObject(object, object),
      message: detailText(object.detail) ?? JSON.stringify(object.detail),
    }
  }
  return certain ? fromObject(object, object) : undefined
}

/** Routers put a provider's failure into the choice that it ended. */
function choiceError(choices: unknown, around: Record<string, unknown>): UpstreamError | undefined {
  const first: unknown = Array.isArray(choices) ? choices[0] : undefined
  return isRecord(first) && isRecord(first.error) ? fromObject(first.error, around) : undefined
}

/** Reads the body of an error answer: JSON in any of its forms, plain text; a page says nothing. */
export function errorFromBody(status: number, body: string): UpstreamError {
  const text = body.replace(/^\uFEFF/, '').trim()
  if (text === '') return { message: `HTTP ${status} without a body` }
  if (text.startsWith('<')) return { message: `HTTP ${status} with an HTML page` }
  // An event stream that answers with an error status: the data of its first event.
  const framed = /^(?:event:[^\n]*\n)?(?:data|error):[ ]?(.+)$/m.exec(text)
  try {
    return errorOf(JSON.parse(framed?.[1] ?? text), true) ?? { message: text }
  } catch {
    return { message: text }
  }
}

/** Seconds until a retry makes sense, from `retry-after-ms` or `Retry-After` (seconds or HTTP date), at most a day. */
export function retryAfterOf(headers: Headers, now: number): number | undefined {
  const exact = headers.get('retry-after-ms')
  const value = headers.get('retry-after')?.trim()
  let seconds = Number.NaN
  if (exact !== null && /^\d+(\.\d+)?$/.test(exact.trim())) seconds = Number(exact) / 1000
  else if (value !== undefined && /^\d+(\.\d+)?$/.test(value)) seconds = Number(value)
  else if (value !== undefined && /[a-z]/i.test(value)) seconds = (Date.parse(value) - now) / 1000
  return Number.isFinite(seconds) ? Math.min(Math.max(Math.ceil(seconds), 0), 86_400) : undefined
}

/** Makes a text fit to be shown to an administrator. */
export type Blot = (text: string, max?: number) => string

// Things that look like credentials, whoever's they are.
const LOOKS_SECRET =
  /\b(?:sk|pk|rk|gsk|xai|hf|r8|nvapi|csk|tgp|fw)[-_][\w*.-]{6,}|\bkey-[\w*.-]{6,}|\bAIza[\w-]{10,}|\beyJ[\w-]{8,}(?:\.[\w-]+){1,2}|\bBearer\s+[^\s"',;]+/gi

// A resolved address tells as much as the host that was kept out.
const LOOKS_ADDRESS = /\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?\b|\[[0-9a-f]*:[0-9a-f:.]+\](?::\d+)?/gi

// So does a name that only an inner network knows: of one label, or under a suffix that is nobody's in public.
const LOOKS_INTERNAL =
  /\bhttps?:\/\/(?:[\w-]+(?=[:/\s"']|$)|(?:[\w-]+\.)+(?:local|internal|intranet|corp|lan|home|svc|test)\b)(?::\d+)?|\b(?:[\w-]+\.)+(?:local|internal|intranet|corp|lan|svc)\b(?::\d+)?/gi

/**
 * Blots out the given secrets (as they are, URL-encoded and JSON-escaped), the upstream's host and whatever
 * looks like a key; then folds white space and control characters and cuts to `max` (500) characters.
 */
export function createBlot(url: string, secrets: Array<string | undefined>): Blot {
  const words = new Set<string>()
  for (const secret of secrets) {
    if (!secret) continue
    words.add(secret).add(encodeURIComponent(secret)).add(JSON.stringify(secret).slice(1, -1))
  }
  if (URL.canParse(url)) {
    const { host, hostname, searchParams } = new URL(url)
    // A very short name would blot out half of every sentence.
    for (const name of [host, hostname]) if (name.length > 3) words.add(name)
    for (const value of searchParams.values()) if (value.length >= 8) words.add(value)
  }
  words.delete('')
  // The longest first: a secret may contain another.
  const known = [...words].sort((a, b) => b.length - a.length)
  return (text, max = 500) => {
    let out = text
    for (const word of known) out = out.replaceAll(word, '***')
    out = out.replace(LOOKS_SECRET, '***').replace(LOOKS_INTERNAL, '***').replace(LOOKS_ADDRESS, '***')
    out = out.replace(/[\s\u0000-\u001f\u007f-\u009f]+/g, ' ').trim()
    return out.length <= max ? out : `${out.slice(0, max - 1).replace(/[\ud800-\udbff]$/, '')}…`
  }
}

/** Of an error's text no more than this is read, in bytes or characters. */
export const ERROR_BODY_LIMIT = 64 * 1024

const SOUNDS_LIMITED = /rate.?limit|too.?many.?requests/i

/** An upstream's error as a fault; what says 429 or "rate limit" becomes `rate_limited`. */
export function faultOf(
  kind: UpstreamFaultKind,
  error: UpstreamError,
  blot: Blot,
  retryAfterSeconds?: number,
): UpstreamFault {
  const limited =
    error.status === 429 || (error.status === undefined && SOUNDS_LIMITED.test(error.code ?? ''))
  const fault: UpstreamFault = {
    kind: limited ? 'rate_limited' : kind,
    // The bound keeps an event of megabytes from being searched; it is far beyond what is shown.
    message: blot(error.message.slice(0, ERROR_BODY_LIMIT)) || 'no message',
  }
  if (error.status !== undefined) fault.status = error.status
  if (retryAfterSeconds !== undefined) fault.retryAfterSeconds = retryAfterSeconds
  if (error.code !== undefined) fault.upstreamCode = blot(error.code, 100)
  if (error.param !== undefined) fault.param = blot(error.param, 100)
  return fault
}
