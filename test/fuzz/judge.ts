/** What an answer must be, whatever was asked. */
import { checkAnswer, componentFault, operationOf } from '../support/contract.ts'
import { PLANTED } from './cast.ts'
import type { Draft } from './drafts.ts'
import type { Answer, Sent } from './wire.ts'

/** They ask a model: what it does wrong may be told. */
const ASK = new Set(['sendMessage', 'retryMessage', 'createChatCompletion'])
const OF_UPSTREAMS = new Set([
  ...['upstream_failed', 'upstream_incomplete', 'upstream_timeout', 'upstream_rate_limited'],
  ...['model_cooling_down', 'settlement_pending'],
])
/** What a request that fits the document is never told. */
const OF_MISFITS = new Set([
  ...[
    'malformed_body',
    'unsupported_media_type',
    'payload_too_large',
    'invalid_request',
    'invalid_parameter',
  ],
  ...['unauthenticated', 'invalid_api_key', 'forbidden', 'origin_not_allowed', 'not_found', 'unknown_url'],
])
const TELLS_TOKENS = new Set(['register', 'login', 'refresh'])
const TOKEN = /eyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]{10,}/
const KEY = /sk-bh-[\w-]{43}/
const INSIDE = /\bSELECT [\s\S]* FROM |INSERT INTO |node_modules|\.ts:\d+|postgres(ql)?:\/\/|at async /

/** The operation that a request reached, by the rules of URLs: dots and needless escapes fall away. */
export function reached({ method, path }: Pick<Sent, 'method' | 'path'>): {
  operationId?: string
  path: string
} {
  const { pathname, search } = new URL(`http://host${path.startsWith('//') ? `/${path.slice(1)}` : path}`)
  let plain = pathname
  try {
    plain = decodeURI(pathname)
  } catch {}
  const operationId = operationOf(method, plain)?.operationId
  return { path: `${plain}${search}`, ...(operationId ? { operationId } : {}) }
}

export const bodyOf = ({ headers, text }: Answer): any =>
  /[/+]json/.test(headers.get('content-type') ?? '') && text !== '' ? JSON.parse(text) : text

/** What is wrong with the answer; undefined when nothing is. */
export function faultOf(draft: Draft, sent: Sent, answer: Answer): string | undefined {
  const { status, headers, text } = answer
  const { path, operationId = '' } = reached(sent)
  const body = bodyOf(answer)
  const code: string = body?.code ?? body?.error?.code ?? ''
  if (status >= 500 && !(ASK.has(operationId) && OF_UPSTREAMS.has(code))) return `a ${status} (${code})`
  const leak = leakIn(operationId, answer)
  if (leak) return leak
  const bare = headerFault(sent.method, path, headers)
  if (bare) return bare
  const declared = operationOf(sent.method, path)?.responses
  if (declared && !(status in declared)) return `${operationId} declares no ${status}`
  // Like GET, without its body.
  if (sent.method === 'HEAD') return text === '' ? undefined : 'HEAD has a body'
  try {
    checkAnswer({ method: sent.method, path, status, headers, body })
  } catch (error) {
    return (error as Error).message
  }
  if (headers.get('content-type')?.startsWith('text/event-stream')) {
    const broken = streamFault(text, answer.cut)
    if (broken) return broken
  }
  if (draft.kind === 'valid' && OF_MISFITS.has(code)) return `it fits the document, and was told ${code}`
  if (draft.expected.length > 0 && !draft.expected.includes(status))
    return `it should have been ${draft.expected.join(' or ')} (${code})`
  if (draft.blamed === undefined) return undefined
  const blamed: string[] = body.errors?.map((each: { path: string }) => each.path) ?? [
    body.error?.param ?? '',
  ]
  return blamed.some((each) => each.startsWith(draft.blamed!))
    ? undefined
    : `it does not name ${draft.blamed}`
}

function leakIn(operationId: string, { text, headers }: Answer): string | undefined {
  const said = `${text}\n${[...headers]
    .filter(([name]) => name !== 'set-cookie')
    .flat()
    .join('\n')}`
  if (said.includes(PLANTED)) return 'a secret comes out again'
  if (TOKEN.test(said) && !TELLS_TOKENS.has(operationId)) return 'a token is told'
  if (KEY.test(said) && operationId !== 'createKey') return 'a key is told'
  return INSIDE.test(said) && operationId !== '' ? 'the inside shows' : undefined
}

function headerFault(method: string, path: string, headers: Headers): string | undefined {
  if (headers.get('x-content-type-options') !== 'nosniff' && /^\/(api|v1)\b/.test(path)) return 'no nosniff'
  if (
    method !== 'OPTIONS' &&
    /^\/(api|v1)\b/.test(path) &&
    !/no-store|no-cache/.test(headers.get('cache-control') ?? '')
  )
    return `may be kept: ${headers.get('cache-control')}`
  if (headers.get('access-control-allow-origin') !== null) return 'a foreign page may read it'
  const loose = headers
    .getSetCookie()
    .find((line) => !/; HttpOnly/.test(line) || !/; SameSite=Lax/.test(line))
  if (loose) return 'a loose cookie'
  return headers.has('x-evil') || headers.get('location')?.includes('evil')
    ? 'a header was smuggled in'
    : undefined
}

const PARTS: Record<string, string> = { message: 'Message', chat: 'Chat', usage: 'Usage' }

/** Events as they should be: JSON, of declared parts, and one end of an answer. */
function streamFault(text: string, cut: boolean): string | undefined {
  const events = text.split('\n\n').slice(0, cut ? -1 : undefined)
  let ends = 0
  for (const event of events) {
    const lines = event.split('\n').filter((line) => line !== '')
    const odd = lines.find((line) => !/^(id: \S+|event: \w+|data: .*|retry: \d+|:.*)$/s.test(line))
    if (odd !== undefined) return `a strange line: ${odd.slice(0, 100)}`
    const name = lines.find((line) => line.startsWith('event: '))?.slice(7)
    const data = lines.find((line) => line.startsWith('data: '))?.slice(6)
    if (name === 'message_end' || name === 'message_error') ends++
    if (data === undefined || data === '[DONE]') continue
    const parsed = JSON.parse(data)
    for (const [part, component] of Object.entries(PARTS)) {
      const wrong = name && parsed[part] ? componentFault(component, parsed[part]) : undefined
      if (wrong) return `${name}: ${wrong}`
    }
  }
  return ends > 1 ? 'an answer ends twice' : undefined
}
