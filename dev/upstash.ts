/**
 * A local stand-in for Upstash's Redis REST service, spoken to by the unmodified `@upstash/redis`. It can be
 * slow, away or faulty on demand, and counts and keeps what it was asked.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Outcome, type RedisEngine, RedisError, type Reply } from './redis-engine.ts'

export interface UpstashBridge {
  /** `http://host:port`, no slash at the end. */
  url: string
  port: number
  token: string
  /**
   * `requests`: every HTTP request that arrived, also refused and broken ones. `commands`: Redis commands of
   * accepted requests, subscriptions excluded. `subscriptions`: open now.
   */
  counts: { requests: number; commands: number; subscriptions: number }
  /** The last 1,000 accepted requests, `at` in epoch ms, long arguments cut; a subscription is `SUBSCRIBE`. */
  log: Array<{ at: number; commands: string[][] }>
  /** Waited before a request is looked at. Messages of an open subscription do not wait. */
  latencyMs: number
  /** Setting it breaks every open connection; while true every new request's socket is destroyed. */
  down: boolean
  /** Breaks the connection `before` the commands run or `after`, the answer lost; subscriptions too. */
  fault: ((commands: string[][]) => undefined | 'before' | 'after') | undefined
  /** Breaks open subscriptions, nothing else. */
  dropSubscriptions(): void
  /** Loses all data, as a restart without persistence does. */
  wipe(): Promise<void>
  /** Counts, log, latency, `down` and `fault` as at the start. Data and open subscriptions stay. */
  reset(): void
  /** Breaks what is open and frees the port. The engine lives on. */
  close(): Promise<void>
}

// Upstash's largest request is far smaller; this only keeps a runaway test from eating the machine.
const maxBodyBytes = 64 * 1024 * 1024
// A reader this far behind will not catch up.
const maxBehindBytes = 8 * 1024 * 1024
const maxLogged = 1_000
const maxLoggedChars = 4_096

/** A request that is answered with this status and `{"error": message}`. */
class Refusal extends Error {
  readonly status: number
  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

type Parsed =
  | { kind: 'command'; commands: [string[]] }
  | { kind: 'pipeline' | 'multi-exec'; commands: string[][] }
  | { kind: 'subscribe'; commands: [string[]]; channel: string }

/**
 * Listens on `host` (127.0.0.1) and `port` (a free one). Several bridges may share an engine.
 * @throws when the port is taken.
 */
export async function startUpstashBridge(options: {
  engine: RedisEngine
  token: string
  port?: number
  host?: string
}): Promise<UpstashBridge> {
  const { engine, token, host = '127.0.0.1' } = options
  const subscribers = new Set<ServerResponse>()
  let isDown = false

  async function answer(req: IncomingMessage, res: ServerResponse) {
    bridge.counts.requests++
    if (isDown) return void req.socket.destroy()
    if (bridge.latencyMs > 0) await sleep(bridge.latencyMs)
    const url = new URL(`http://bridge${req.url ?? '/'}`)
    if (!isAuthorized(req, url, token)) throw new Refusal(401, 'WRONGPASS invalid or missing auth token')
    const request = parse(req.method ?? 'GET', url, await bodyOf(req))
    if (isDown) return void req.socket.destroy()

    const fault = bridge.fault?.(request.commands)
    bridge.log.push({ at: Date.now(), commands: request.commands.map((words) => words.map(cut)) })
    if (bridge.log.length > maxLogged) bridge.log.splice(0, bridge.log.length - maxLogged)
    if (fault === 'before') return void req.socket.destroy()
    if (request.kind === 'subscribe') return follow(request.channel, res, fault === 'after')

    bridge.counts.commands += request.commands.length
    const encode = req.headers['upstash-encoding'] === 'base64' ? inBase64 : inText
    const body = await run(engine, request, encode).catch((error: unknown) => error)
    if (fault === 'after') return void req.socket.destroy()
    if (body instanceof Error) throw body
    send(res, 200, body)
  }

  /** Keeps the answer open and writes every message of the channel to it. */
  async function follow(channel: string, res: ServerResponse, isFaulty: boolean) {
    const leave = await engine.subscribe(
      channel,
      (payload) => {
        res.write(event(`message,${channel},${payload}`))
        if (res.writableLength > maxBehindBytes) res.destroy()
      },
      () => res.destroy(),
    )
    // The reader may have gone, or the bridge gone down, while Redis was asked.
    if (res.destroyed || isDown || isFaulty) {
      leave()
      return void res.destroy()
    }
    subscribers.add(res)
    bridge.counts.subscriptions++
    res.once('close', () => {
      leave()
      if (subscribers.delete(res)) bridge.counts.subscriptions--
    })
    res.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-cache' })
    res.write(event(`subscribe,${channel},1`))
  }

  const server = createServer((req, res) => {
    // A connection that breaks is an event of the test, not an error of the bridge.
    req.on('error', () => {})
    res.on('error', () => {})
    answer(req, res).catch((error: unknown) => {
      if (res.destroyed || res.headersSent) return void res.destroy()
      const status = error instanceof Refusal ? error.status : error instanceof RedisError ? 400 : 500
      send(res, status, { error: error instanceof Error ? error.message : String(error) })
    })
  })
  // workerd keeps connections and reuses them late: a shorter time here races with its next request.
  server.keepAliveTimeout = 75_000
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(options.port ?? 0, host, resolve)
  })
  const { port } = server.address() as AddressInfo

  const bridge: UpstashBridge = {
    url: `http://${host}:${port}`,
    port,
    token,
    counts: { requests: 0, commands: 0, subscriptions: 0 },
    log: [],
    latencyMs: 0,
    fault: undefined,
    get down() {
      return isDown
    },
    set down(value) {
      isDown = value
      if (isDown) server.closeAllConnections()
    },
    async wipe() {
      await engine.run(['FLUSHALL'])
    },
    dropSubscriptions() {
      for (const res of subscribers) res.destroy()
    },
    reset() {
      bridge.counts.requests = 0
      bridge.counts.commands = 0
      bridge.log.length = 0
      bridge.latencyMs = 0
      bridge.fault = undefined
      isDown = false
    },
    async close() {
      if (!server.listening) return
      const closed = new Promise((resolve) => server.close(resolve))
      server.closeAllConnections()
      await closed
    },
  }
  return bridge
}

async function run(
  engine: RedisEngine,
  request: Parsed,
  encode: (reply: Reply) => unknown,
): Promise<unknown> {
  const present = (outcome: Outcome) =>
    'error' in outcome ? { error: outcome.error } : { result: encode(outcome.result) }
  if (request.kind === 'multi-exec') return (await engine.transaction(request.commands)).map(present)
  if (request.kind !== 'pipeline') return { result: encode(await engine.run(request.commands[0]!)) }
  const outcomes = request.commands.map((command) =>
    engine.run(command).then(
      (result): Outcome => ({ result }),
      (error: Error): Outcome => ({ error: error.message }),
    ),
  )
  return (await Promise.all(outcomes)).map(present)
}

/** @throws Refusal 400 when this is no request the service knows. */
function parse(method: string, url: URL, body: Buffer): Parsed {
  const path = url.pathname.split('/').slice(1).map(unescaped)
  if (path.at(-1) === '') path.pop()
  if (method !== 'GET' && method !== 'POST') throw new Refusal(400, 'ERR method is not supported')
  const [first = '', ...rest] = path
  if (first === '') return { kind: 'command', commands: [words(json(body))] }
  if (path.length === 1 && (first === 'pipeline' || first === 'multi-exec')) {
    const list = json(body)
    if (!Array.isArray(list) || list.length === 0) throw new Refusal(400, 'ERR empty pipeline request')
    return { kind: first, commands: list.map(words) }
  }
  if (first.toLowerCase() === 'subscribe') {
    const channel = rest.join('/')
    if (channel === '') throw new Refusal(400, "ERR wrong number of arguments for 'subscribe' command")
    return { kind: 'subscribe', commands: [['SUBSCRIBE', channel]], channel }
  }
  // A command in the path: the body is its next argument, the query its last ones (`/set/key?EX=100`).
  const command = [...path]
  if (method === 'POST' && body.length > 0) command.push(body.toString())
  for (const [name, value] of url.searchParams) {
    if (name !== '_token') command.push(...(value === '' ? [name] : [name, value]))
  }
  return { kind: 'command', commands: [command] }
}

function json(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString())
  } catch {
    throw new Refusal(400, 'ERR failed to parse request body as JSON')
  }
}

/** A command as text: Redis knows no other arguments. @throws Refusal 400 */
function words(command: unknown): string[] {
  const isWord = (word: unknown) => ['string', 'number', 'boolean'].includes(typeof word)
  if (!Array.isArray(command) || !command.every(isWord)) {
    throw new Refusal(400, 'ERR a command must be an array of strings and numbers')
  }
  if (command.length === 0 || command[0] === '') throw new Refusal(400, 'ERR empty command')
  return command.map(String)
}

function unescaped(segment: string) {
  try {
    return decodeURIComponent(segment)
  } catch {
    return segment
  }
}

function isAuthorized(req: IncomingMessage, url: URL, token: string) {
  const header = req.headers.authorization
  return header === undefined ? url.searchParams.get('_token') === token : header === `Bearer ${token}`
}

async function bodyOf(req: IncomingMessage) {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of req as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > maxBodyBytes) throw new Refusal(413, `ERR max request size exceeded: ${maxBodyBytes} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

/** One message. A payload of several lines takes several `data:` lines, as the format wants it. */
function event(text: string) {
  return `${text
    .split(/\r\n|\r|\n/)
    .map((line) => `data: ${line}\n`)
    .join('')}\n`
}

function inText(reply: Reply): unknown {
  if (Array.isArray(reply)) return reply.map(inText)
  return reply instanceof Buffer ? reply.toString() : reply
}

/** The client decodes every text but a lone «OK». */
function inBase64(reply: Reply): unknown {
  if (!Array.isArray(reply) && inText(reply) === 'OK') return 'OK'
  return itemInBase64(reply)
}

function itemInBase64(reply: Reply): unknown {
  if (Array.isArray(reply)) return reply.map(itemInBase64)
  if (typeof reply === 'string') return Buffer.from(reply).toString('base64')
  return reply instanceof Buffer ? reply.toString('base64') : reply
}

const cut = (word: string) => (word.length > maxLoggedChars ? `${word.slice(0, maxLoggedChars)}…` : word)

function send(res: ServerResponse, status: number, body: unknown) {
  const text = JSON.stringify(body)
  res.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) })
  res.end(text)
}
