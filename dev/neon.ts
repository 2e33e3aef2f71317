import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import type {
  Engine,
  IsolationLevel,
  Statement,
  StatementResult,
  TransactionMode,
} from './postgres-engine.ts'

/** A local server that speaks Neon's HTTP SQL protocol, with what tests need to see and to break. */
export interface NeonBridge {
  /** http://HOST:PORT/sql, for `neonConfig.fetchEndpoint`. */
  url: string
  port: number
  /** Well-formed requests received and the statements in them, failed ones included. */
  counts: { requests: number; statements: number }
  /** The last 1,000 requests; `at` is epoch milliseconds. */
  log: Array<{ at: number; statements: string[] }>
  /** Added to every request before its statements run, in milliseconds. */
  latencyMs: number
  /** Cuts the connection `before` the statements run, or `after` they took effect, without an answer. */
  fault: ((request: { statements: string[] }) => undefined | 'before' | 'after') | undefined
  /** Back to the start: counts, log, latency and fault. */
  reset(): void
  /** Cuts every connection and stops listening; the engine stays open. */
  close(): Promise<void>
}

const LOG_LENGTH = 1000
const MAX_BODY_BYTES = 64 * 1024 * 1024
// Longer than any client here keeps an idle connection, so that it is never we who close under its request.
const KEEP_ALIVE_MS = 120_000

const ISOLATION_LEVELS: readonly string[] = [
  'ReadUncommitted',
  'ReadCommitted',
  'RepeatableRead',
  'Serializable',
] satisfies IsolationLevel[]

/** The members of Neon's error body beside `message`, named as the Postgres drivers name them. */
const ERROR_FIELDS = [
  ...[
    'code',
    'detail',
    'hint',
    'position',
    'internalPosition',
    'internalQuery',
    'severity',
    'where',
    'table',
  ],
  ...['column', 'schema', 'dataType', 'constraint', 'file', 'line', 'routine'],
]

interface Refusal extends Error {
  status: number
}

/** A request refused by the bridge itself; the driver reads the body of a 400 only. */
const refusal = (message: string, status = 400): Refusal => Object.assign(new Error(message), { status })

interface Query extends Statement {
  arrayMode?: boolean
}

interface Call {
  queries: Query[]
  /** Present for a batch. */
  transaction?: TransactionMode
  arrayMode: boolean
}

interface BridgeOptions {
  engine: Engine
  /** Any free port unless told. */
  port?: number
  /** 127.0.0.1 unless told. */
  host?: string
  /** Refuse a request without a usable Neon-Connection-String. */
  requireConnectionString?: boolean
  /** Refuse a connection string with another password. */
  password?: string
}

/**
 * Starts a bridge over an engine, which several bridges may share.
 * @throws when the port is taken.
 */
export async function startNeonBridge(options: BridgeOptions): Promise<NeonBridge> {
  const host = options.host ?? '127.0.0.1'
  const server = createServer((request, response) => {
    answer(bridge, options, request, response).catch((error: unknown) => refuse(response, error))
  })
  server.keepAliveTimeout = KEEP_ALIVE_MS
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(options.port ?? 0, host, resolve)
  })
  const { port } = server.address() as AddressInfo

  const bridge: NeonBridge = {
    url: `http://${host}:${port}/sql`,
    port,
    counts: { requests: 0, statements: 0 },
    log: [],
    latencyMs: 0,
    fault: undefined,
    reset() {
      bridge.counts.requests = 0
      bridge.counts.statements = 0
      bridge.log.length = 0
      bridge.latencyMs = 0
      bridge.fault = undefined
    },
    close() {
      return new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      })
    },
  }
  return bridge
}

async function answer(
  bridge: NeonBridge,
  options: BridgeOptions,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  // Like Neon, what nobody waits for any more is cancelled, unless it has committed.
  const gone = new AbortController()
  response.once('close', () => gone.abort())

  if (new URL(request.url ?? '/', 'http://bridge').pathname !== '/sql') throw refusal('no such path', 404)
  if (request.method !== 'POST') throw refusal('only POST is answered here', 405)
  checkConnectionString(request, options)
  const call = readCall(request, await readBody(request))
  const statements = call.queries.map((query) => query.text)
  record(bridge, statements)
  const fault = bridge.fault?.({ statements })
  if (bridge.latencyMs > 0) await delay(bridge.latencyMs)

  if (fault === 'before') return void request.socket.destroy()
  const running = options.engine.run({
    statements: call.queries,
    transaction: call.transaction,
    signal: gone.signal,
  })
  if (fault === 'after') {
    // With an SQL error there was no effect to lose, and the answer is lost all the same.
    await running.catch(() => undefined)
    return void request.socket.destroy()
  }
  const results = (await running).map((result, index) => present(result, call, call.queries[index]))
  reply(response, 200, call.transaction ? { results } : results[0], echoed(call.transaction))
}

function record(bridge: NeonBridge, statements: string[]): void {
  bridge.counts.requests += 1
  bridge.counts.statements += statements.length
  bridge.log.push({ at: Date.now(), statements })
  if (bridge.log.length > LOG_LENGTH) bridge.log.shift()
}

function checkConnectionString(request: IncomingMessage, options: BridgeOptions): void {
  const header = request.headers['neon-connection-string']
  if (header === undefined && !options.requireConnectionString && options.password === undefined) return
  if (typeof header !== 'string' || header === '') throw refusal('missing connection string')
  const url = URL.canParse(header) ? new URL(header) : undefined
  if (url?.protocol !== 'postgres:' && url?.protocol !== 'postgresql:') {
    throw refusal('invalid connection string: not a postgres URL')
  }
  const user = decodeURIComponent(url.username)
  if (user === '') throw refusal('invalid connection string: missing username')
  if (options.password !== undefined && decodeURIComponent(url.password) !== options.password) {
    throw refusal(`password authentication failed for user '${user}'`)
  }
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length
    if (length > MAX_BODY_BYTES) throw refusal(`request is too large (max is ${MAX_BODY_BYTES} bytes)`, 413)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function readCall(request: IncomingMessage, text: string): Call {
  const { headers } = request
  // Neon can also convert values to JSON types; no driver asks for that, so it is refused, not half done.
  if (headers['neon-raw-text-output'] !== 'true') {
    throw refusal('this bridge gives raw text only: send Neon-Raw-Text-Output: true')
  }
  const arrayMode = headers['neon-array-mode'] === 'true'
  let body: unknown
  try {
    body = JSON.parse(text)
  } catch {
    throw refusal('could not parse the request body as JSON')
  }
  if (isRecord(body) && Array.isArray(body.queries)) {
    return { queries: body.queries.map(readQuery), transaction: readMode(request), arrayMode }
  }
  return { queries: [readQuery(body)], arrayMode }
}

function readMode({ headers }: IncomingMessage): TransactionMode {
  const isolation = headers['neon-batch-isolation-level']
  if (isolation !== undefined && !ISOLATION_LEVELS.includes(String(isolation))) {
    throw refusal('invalid isolation level')
  }
  return {
    isolation: isolation as IsolationLevel | undefined,
    readOnly: headers['neon-batch-read-only'] === 'true',
    deferrable: headers['neon-batch-deferrable'] === 'true',
  }
}

function readQuery(value: unknown): Query {
  if (!isRecord(value) || typeof value.query !== 'string') {
    throw refusal('the request body must hold `query`, or `queries` that do')
  }
  const params = value.params ?? []
  if (!Array.isArray(params)) throw refusal('`params` must be an array')
  const arrayMode = typeof value.arrayMode === 'boolean' ? value.arrayMode : undefined
  return { text: value.query, params: params.map(parameterText), arrayMode }
}

/** Drivers send text or null; what a hand-written request sends is converted as Neon does. */
function parameterText(value: unknown): string | null {
  if (value === null) return null
  if (typeof value === 'string') return value
  return Array.isArray(value) ? arrayText(value) : JSON.stringify(value)
}

function arrayText(values: unknown[]): string {
  const elements = values.map((value) => {
    if (Array.isArray(value)) return arrayText(value)
    if (value === null) return 'NULL'
    return typeof value === 'object' ? JSON.stringify(JSON.stringify(value)) : JSON.stringify(value)
  })
  return `{${elements.join(',')}}`
}

function present(result: StatementResult, call: Call, query: Query | undefined) {
  const asArrays = query?.arrayMode ?? call.arrayMode
  const names = result.fields.map((field) => field.name)
  return {
    rowAsArray: asArrays,
    fields: result.fields.map((field) => ({
      name: field.name,
      dataTypeID: field.dataTypeID,
      tableID: field.tableID,
      columnID: field.columnID,
      dataTypeSize: field.dataTypeSize,
      dataTypeModifier: field.dataTypeModifier,
      format: 'text',
    })),
    rows: asArrays
      ? result.rows
      : result.rows.map((row) => Object.fromEntries(row.map((value, index) => [names[index], value]))),
    command: result.command,
    rowCount: result.rowCount,
  }
}

function echoed(mode: TransactionMode | undefined): Record<string, string> {
  return {
    ...(mode?.isolation && { 'Neon-Batch-Isolation-Level': mode.isolation }),
    ...(mode?.readOnly && { 'Neon-Batch-Read-Only': 'true' }),
    ...(mode?.deferrable && { 'Neon-Batch-Deferrable': 'true' }),
  }
}

function refuse(response: ServerResponse, error: unknown): void {
  const message = error instanceof Error ? error.message : String(error)
  const fields = isRecord(error) ? error : {}
  // Only an error the server itself sent has a severity; an error of neither kind is the bridge's own trouble.
  const isSql = typeof fields.severity === 'string'
  const status = isSql ? 400 : typeof fields.status === 'number' ? fields.status : 500
  const details = ERROR_FIELDS.map((name) => [name, isSql ? (fields[name] ?? null) : null])
  reply(response, status, { message, ...Object.fromEntries(details) })
}

function reply(
  response: ServerResponse,
  status: number,
  body: unknown,
  headers: Record<string, string> = {},
) {
  if (response.destroyed || response.headersSent) return
  // A body that was not read to its end would be taken for the next request.
  if (!response.req.complete) headers.Connection = 'close'
  response.writeHead(status, { 'Content-Type': 'application/json', ...headers })
  response.end(JSON.stringify(body))
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
