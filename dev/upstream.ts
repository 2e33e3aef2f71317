// The demo upstream: an OpenAI-compatible model server for `npm start` and the tests. Node only.
//
// Directives in the last user message:
//   [[say:text]]  [[tokens=200]]  [[chunks=20000,size=100]]  [[line=1000000]]  [[delay=0]]  [[tool:name {"a":1}]]
//   [[fault:status=429,retry-after=7]]  [[fault:redirect=http://…]]  [[fault:content-type=text/html]]
//   [[fault:slow-headers=3000]]  [[fault:slow-first-token=3000]]  [[fault:stall-after=5]]  [[fault:cut-after=5]]
//   [[fault:error-after=3]]  [[fault:no-usage]]  [[fault:no-done]]  [[fault:stay-open]]  [[fault:refuse=max_tokens]]
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setImmediate as breathe, setTimeout as sleep } from 'node:timers/promises'
import { type Directives, directivesOf, piecesFor, piecesOf, reasoningFor } from './upstream-script.ts'

export interface DemoRequest {
  headers: IncomingHttpHeaders
  body: Record<string, unknown>
  /** Milliseconds since the epoch. */
  at: number
  /** The client hung up before the answer was complete. */
  clientGone: boolean
}

export interface DemoUpstream {
  /** Base URL, to be a model's `api_link`. */
  url: string
  port: number
  /** The last completions asked for, oldest first, 1000 at most. */
  requests: DemoRequest[]
  close(): Promise<void>
}

interface Answer {
  model: string
  pieces: string[]
  reasoning: string[]
  tool?: { name: string; arguments: string }
  finish: 'stop' | 'length' | 'tool_calls'
  choices: number
  usage: Record<string, unknown>
  delayMs: number
  directives: Directives
}

const MODELS = ['demo', 'demo-instant', 'demo-reasoner']
const KEPT_REQUESTS = 1000
// About the pace of a large model, and pleasant to read along.
const WORD_MS = 30
// At full speed words are gathered into writes of this size: a syscall for each would measure Node.
const WRITE_BYTES = 16 * 1024

// Sockets that died by our own hand: not clients that left.
const cut = new WeakSet<ServerResponse>()

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function textOf(content: unknown): string {
  if (typeof content === 'string') return content
  if (!Array.isArray(content)) return ''
  return content
    .map((part: unknown) => (isRecord(part) && typeof part.text === 'string' ? part.text : ''))
    .join('')
}

function numberOf(directives: Directives, name: string): number | undefined {
  const value = directives.values.get(name)
  return value === undefined ? undefined : Number(value) || 0
}

/** Works out the whole answer before a word of it is sent, so that usage and text always agree. */
function answerTo(body: Record<string, unknown>): Answer {
  const messages = Array.isArray(body.messages) ? body.messages.filter(isRecord) : []
  const directives = directivesOf(textOf(messages.findLast((message) => message.role === 'user')?.content))
  const model = typeof body.model === 'string' ? body.model : 'demo'
  const limits = [body.max_tokens, body.max_completion_tokens].filter((limit) => typeof limit === 'number')
  const limit = Math.min(...limits, Number.POSITIVE_INFINITY)
  const thought = model.includes('reasoner') ? piecesOf(reasoningFor(directives.rest)) : []
  const call = /^(\S+)\s*([\s\S]*)$/.exec(directives.values.get('tool') ?? '')
  const wanted = call === null ? piecesFor(directives) : []
  const reasoning = thought.slice(0, limit)
  const pieces = wanted.slice(0, Math.max(limit - reasoning.length, 0))
  const short = reasoning.length + pieces.length < thought.length + wanted.length
  const choices = typeof body.n === 'number' && body.n > 1 ? Math.min(body.n, 16) : 1
  const prompt = messages.reduce((sum, message) => sum + piecesOf(textOf(message.content)).length + 1, 0)
  const completion = (reasoning.length + pieces.length + (call === null ? 0 : 1)) * choices
  return {
    model,
    pieces,
    reasoning,
    tool: call === null ? undefined : { name: call[1]!, arguments: call[2] || '{}' },
    finish: short ? 'length' : call === null ? 'stop' : 'tool_calls',
    choices,
    usage: {
      prompt_tokens: prompt,
      completion_tokens: completion,
      total_tokens: prompt + completion,
      prompt_tokens_details: { cached_tokens: 0 },
      completion_tokens_details: { reasoning_tokens: reasoning.length * choices },
    },
    delayMs: numberOf(directives, 'delay') ?? (model === 'demo-instant' ? 0 : WORD_MS),
    directives,
  }
}

function sendJson(
  res: ServerResponse,
  status: number,
  body: unknown,
  headers: Record<string, string> = {},
): void {
  res.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body))
}

function sendError(
  res: ServerResponse,
  status: number,
  message: string,
  over: object = {},
  headers = {},
): void {
  const code = status === 429 ? 'rate_limit_exceeded' : 'demo_fault'
  sendJson(res, status, { error: { message, type: 'demo_error', param: null, code, ...over } }, headers)
}

function cutOff(res: ServerResponse): void {
  cut.add(res)
  res.destroy()
}

/** Waits, but not for somebody who has left. */
async function pause(ms: number, gone: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal: gone }).catch(() => {})
}

function untilGone(gone: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (gone.aborted) resolve()
    else gone.addEventListener('abort', () => resolve(), { once: true })
  })
}

/** Refusals that are asked for; true if one was sent. */
function refuse(res: ServerResponse, body: Record<string, unknown>, { values }: Directives): boolean {
  const status = Number(values.get('status'))
  const redirect = values.get('redirect')
  const refused = values.get('refuse')
  const after = values.get('retry-after')
  if (status)
    sendError(res, status, `a fault was asked for: ${status}`, {}, after ? { 'retry-after': after } : {})
  else if (redirect !== undefined) res.writeHead(302, { location: redirect }).end()
  else if (refused !== undefined && body[refused] !== undefined) {
    sendError(res, 400, `Unsupported parameter: '${refused}'`, {
      param: refused,
      code: 'unsupported_parameter',
    })
  } else return false
  return true
}

function messageOf(answer: Answer, index: number): Record<string, unknown> {
  const message: Record<string, unknown> = { role: 'assistant', content: answer.pieces.join('') }
  if (answer.reasoning.length > 0) message.reasoning_content = answer.reasoning.join('')
  if (answer.tool !== undefined) {
    message.content = null
    message.tool_calls = [{ id: 'call_demo', type: 'function', function: answer.tool }]
  }
  return { index, message, logprobs: null, finish_reason: answer.finish }
}

async function sendWhole(res: ServerResponse, answer: Answer, id: string, gone: AbortSignal): Promise<void> {
  const { values } = answer.directives
  // Nobody watches the words come, so only the feeling of work remains.
  await pause(Math.min(answer.pieces.length * answer.delayMs, 1500), gone)
  if (values.has('error-after')) return sendError(res, 200, 'a fault was asked for')
  const body = JSON.stringify({
    id,
    object: 'chat.completion',
    created: Math.floor(Date.now() / 1000),
    model: answer.model,
    choices: Array.from({ length: answer.choices }, (_, index) => messageOf(answer, index)),
    ...(values.has('no-usage') ? {} : { usage: answer.usage }),
  })
  res.writeHead(200, { 'content-type': values.get('content-type') ?? 'application/json' })
  if (!values.has('stall-after') && !values.has('cut-after')) {
    res.end(body)
    return
  }
  res.write(body.slice(0, body.length / 2))
  if (values.has('stall-after')) await untilGone(gone)
  else await pause(20, gone)
  cutOff(res)
}

/** The deltas of one answer in order; `token` marks those that count for `…-after` directives. */
function* deltasOf(answer: Answer): Generator<{ delta: Record<string, unknown>; token: boolean }> {
  yield { delta: { role: 'assistant', content: '' }, token: false }
  for (const piece of answer.reasoning) yield { delta: { reasoning_content: piece }, token: true }
  for (const piece of answer.pieces) yield { delta: { content: piece }, token: true }
  if (answer.tool === undefined) return
  const call = {
    index: 0,
    id: 'call_demo',
    type: 'function',
    function: { name: answer.tool.name, arguments: '' },
  }
  yield { delta: { tool_calls: [call] }, token: true }
  yield {
    delta: { tool_calls: [{ index: 0, function: { arguments: answer.tool.arguments } }] },
    token: false,
  }
}

async function sendStream(
  res: ServerResponse,
  answer: Answer,
  id: string,
  wantsUsage: boolean,
  gone: AbortSignal,
): Promise<void> {
  const { values } = answer.directives
  const created = Math.floor(Date.now() / 1000)
  let buffer = ''
  const flush = async (): Promise<void> => {
    if (buffer === '') return
    const ready = res.write(buffer)
    buffer = ''
    if (!ready) await new Promise<void>((resolve) => res.once('drain', resolve).once('close', resolve))
    else await breathe() // a client that has left is noticed only between turns
  }
  const put = async (choices: unknown[], more: object = {}): Promise<void> => {
    const object = 'chat.completion.chunk'
    buffer += `data: ${JSON.stringify({ id, object, created, model: answer.model, choices, ...more })}\n\n`
    if (answer.delayMs > 0 || buffer.length >= WRITE_BYTES) await flush()
  }
  const putAll = async (delta: object, finish: string | null): Promise<void> => {
    for (let index = 0; index < answer.choices; index++) {
      await put([{ index, delta, logprobs: null, finish_reason: finish }])
    }
  }
  res.writeHead(200, {
    'content-type': values.get('content-type') ?? 'text/event-stream; charset=utf-8',
    'cache-control': 'no-cache',
  })
  res.flushHeaders()
  await pause(numberOf(answer.directives, 'slow-first-token') ?? 0, gone)
  const start = performance.now()
  let tokens = 0
  const due = (name: string): boolean => numberOf(answer.directives, name) === tokens
  for (const { delta, token } of deltasOf(answer)) {
    if (gone.aborted) return
    if (token && (due('stall-after') || due('cut-after') || due('error-after'))) break
    await putAll(delta, null)
    if (!token) continue
    tokens++
    // By the clock, so that the pace does not drift with the work in between.
    if (answer.delayMs > 0)
      await pause(Math.max(start + tokens * answer.delayMs - performance.now(), 0), gone)
  }
  if (due('error-after'))
    buffer += 'event: error\ndata: {"error":{"message":"a fault was asked for","code":"demo_fault"}}\n\n'
  else if (!due('stall-after') && !due('cut-after')) {
    await putAll({}, answer.finish)
    if (wantsUsage && !values.has('no-usage')) await put([], { usage: answer.usage })
    if (!values.has('no-done')) buffer += 'data: [DONE]\n\n'
  }
  if (due('stall-after') || due('cut-after') || values.has('stay-open')) {
    await flush()
    // What was written should leave before the socket dies.
    if (due('cut-after')) await pause(20, gone)
    else await untilGone(gone)
    cutOff(res)
    return
  }
  // In one write with the end: a client hangs up at [DONE], and should not look like one that left early.
  res.end(buffer)
}

async function readBody(req: IncomingMessage): Promise<Record<string, unknown> | undefined> {
  const parts: Uint8Array[] = []
  for await (const part of req) parts.push(part as Uint8Array)
  try {
    const body: unknown = JSON.parse(Buffer.concat(parts).toString('utf8'))
    return isRecord(body) ? body : undefined
  } catch {
    return undefined
  }
}

/**
 * Starts the demo upstream (`port` 0 or none: a free one). Models `demo` (a word each 30 ms), `demo-instant`
 * (full speed) and `demo-reasoner` (thinks first); any other id is served like `demo`. Tokens are words.
 */
export async function startDemoUpstream(
  options: { port?: number; host?: string } = {},
): Promise<DemoUpstream> {
  const host = options.host ?? '127.0.0.1'
  const requests: DemoRequest[] = []
  let serial = 0

  async function complete(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const at = Date.now()
    const body = await readBody(req)
    if (body === undefined) return sendError(res, 400, 'the body is not a JSON object', { code: 'bad_body' })
    const seen: DemoRequest = { headers: req.headers, body, at, clientGone: false }
    requests.push(seen)
    if (requests.length > KEPT_REQUESTS) requests.shift()
    const gone = new AbortController()
    res.on('close', () => {
      seen.clientGone = !res.writableFinished && !cut.has(res)
      gone.abort()
    })
    const answer = answerTo(body)
    await pause(numberOf(answer.directives, 'slow-headers') ?? 0, gone.signal)
    if (refuse(res, body, answer.directives)) return
    const id = `chatcmpl-demo-${++serial}`
    const asked = isRecord(body.stream_options) && body.stream_options.include_usage === true
    if (body.stream === true) await sendStream(res, answer, id, asked, gone.signal)
    else await sendWhole(res, answer, id, gone.signal)
  }

  const server = createServer((req, res) => {
    const path = (req.url ?? '/').split('?')[0]
    if (req.method === 'GET' && path === '/v1/models') {
      const data = MODELS.map((id) => ({ id, object: 'model', created: 0, owned_by: 'demo' }))
      sendJson(res, 200, { object: 'list', data })
    } else if (req.method === 'POST' && path === '/v1/chat/completions') {
      complete(req, res).catch((error: unknown) => {
        console.error('demo upstream:', error)
        res.destroy()
      })
    } else sendError(res, 404, 'no such route', { code: 'not_found' })
  })
  server.keepAliveTimeout = 60_000
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(options.port ?? 0, host, resolve)
  })
  const { port } = server.address() as AddressInfo
  return {
    url: `http://${host}:${port}/v1`,
    port,
    requests,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
