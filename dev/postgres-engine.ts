import { randomBytes } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { messages, PGlite, protocol } from '@electric-sql/pglite'
import { Client, type ClientConfig, Pool, type PoolClient, type QueryArrayConfig } from 'pg'

/** One statement with its parameters in Postgres text form; null is SQL NULL. */
export interface Statement {
  text: string
  params: Array<string | null>
}

export type IsolationLevel = 'ReadUncommitted' | 'ReadCommitted' | 'RepeatableRead' | 'Serializable'

export interface TransactionMode {
  isolation?: IsolationLevel
  readOnly?: boolean
  deferrable?: boolean
}

/** With `transaction` the statements are one unit; without it there is one statement, and it commits itself. */
export interface EngineRequest {
  statements: Statement[]
  transaction?: TransactionMode
  /** Fires when nobody waits any more: what has not committed by then is cancelled and rolled back. */
  signal?: AbortSignal
}

export interface Field {
  name: string
  tableID: number
  columnID: number
  dataTypeID: number
  dataTypeSize: number
  dataTypeModifier: number
}

/** Rows hold Postgres text output; `rowCount` is null where the command tag carries no number. */
export interface StatementResult {
  command: string
  rowCount: number | null
  fields: Field[]
  rows: Array<Array<string | null>>
}

/**
 * A Postgres behind the bridge. `run` gives one result per statement and rejects with the server's own
 * error (fields `severity`, `code`, `detail` and so on); after it no transaction is left open.
 */
export interface Engine {
  run(request: EngineRequest): Promise<StatementResult[]>
  close(): Promise<void>
}

type Send = (statement: Statement) => Promise<StatementResult>

// What decides the text form of values, fixed here so that no server's own configuration shows through.
const SESSION = { TimeZone: 'UTC', DateStyle: 'ISO,MDY', IntervalStyle: 'postgres', bytea_output: 'hex' }

const ISOLATION_SQL: Record<IsolationLevel, string> = {
  ReadUncommitted: 'READ UNCOMMITTED',
  ReadCommitted: 'READ COMMITTED',
  RepeatableRead: 'REPEATABLE READ',
  Serializable: 'SERIALIZABLE',
}

const plain = (text: string): Statement => ({ text, params: [] })

function beginSql(mode: TransactionMode): string {
  const isolation = mode.isolation ? ` ISOLATION LEVEL ${ISOLATION_SQL[mode.isolation]}` : ''
  return `BEGIN${isolation}${mode.readOnly ? ' READ ONLY' : ''}${mode.deferrable ? ' DEFERRABLE' : ''}`
}

async function perform(request: EngineRequest, send: Send): Promise<StatementResult[]> {
  if (request.transaction) await send(plain(beginSql(request.transaction)))
  const results: StatementResult[] = []
  for (const statement of request.statements) {
    request.signal?.throwIfAborted()
    results.push(await send(statement))
  }
  request.signal?.throwIfAborted()
  if (request.transaction) await send(plain('COMMIT'))
  return results
}

/** The one session parameter of `pg` that may carry several settings; a space ends a setting. */
const sessionOptions = Object.entries(SESSION)
  .map(([name, value]) => `-c ${name}=${value}`)
  .join(' ')

/**
 * An engine over a real Postgres, one pooled connection per request.
 * @param options.max connections, 20 unless told; requests beyond it wait their turn.
 */
export function postgresEngine(options: { connectionString: string; max?: number }): Engine {
  const config: ClientConfig = {
    connectionString: options.connectionString,
    options: sessionOptions,
    application_name: 'neon-bridge',
    types: { getTypeParser: () => (value: string) => value },
  }
  const pool = new Pool({ ...config, max: options.max ?? 20, idleTimeoutMillis: 60_000 })
  // A connection lost while idle is replaced, one lost at work fails its query; neither may end the process.
  pool.on('error', () => undefined)
  pool.on('connect', (client) => client.on('error', () => undefined))
  let closed: Promise<void> | undefined

  return {
    async run(request) {
      const client = await pool.connect()
      // A cancellation may arrive late, so a connection that saw one never serves another request.
      let spoilt = false
      const cancel = () => {
        spoilt = true
        void cancelBackend(config, client)
      }
      request.signal?.addEventListener('abort', cancel, { once: true })
      try {
        return await perform(request, (statement) => sendToPool(client, statement))
      } finally {
        request.signal?.removeEventListener('abort', cancel)
        client.release(spoilt || !(await isIdle(client)))
      }
    },
    close() {
      closed ??= pool.end()
      return closed
    },
  }
}

async function sendToPool(client: PoolClient, statement: Statement): Promise<StatementResult> {
  // Extended mode even without parameters: Neon refuses several statements in one string.
  const query: QueryArrayConfig & { queryMode: 'extended' } = {
    text: statement.text,
    values: statement.params,
    rowMode: 'array',
    queryMode: 'extended',
  }
  const result = await client.query<Array<string | null>>(query)
  return {
    command: result.command ?? '',
    rowCount: result.rowCount,
    fields: result.fields,
    rows: result.rows,
  }
}

/** Rolls back what is open; false when the connection is of no more use. */
async function isIdle(client: PoolClient): Promise<boolean> {
  if (client.getTransactionStatus() === 'I') return true
  return client.query('ROLLBACK').then(
    () => true,
    () => false,
  )
}

/** On a connection of its own: every pooled one may be waiting for the lock the cancelled one holds. */
async function cancelBackend(config: ClientConfig, busy: PoolClient): Promise<void> {
  const { processID } = busy as PoolClient & { processID: number | null }
  const client = new Client(config)
  client.on('error', () => undefined)
  try {
    await client.connect()
    await client.query('SELECT pg_cancel_backend($1)', [processID])
  } catch {
    // A server that cannot be reached holds no lock for us either.
  } finally {
    await client.end().catch(() => undefined)
  }
}

/**
 * An engine over an embedded Postgres, which starts at once and is awaited by the first request. It has one
 * connection: requests take turns, a batch is one uninterrupted turn. It proves logic, not locking.
 * @param options.dataDir where the data is kept; in memory when absent.
 */
export function pgliteEngine(options: { dataDir?: string } = {}): Engine {
  const opening = openPGlite(options.dataDir)
  // A failed start is told to the first request, not to the process.
  opening.catch(() => undefined)
  let closed: Promise<void> | undefined

  return {
    async run(request) {
      const db = await opening
      return db.runExclusive(async () => {
        try {
          return await perform(request, (statement) => sendToPGlite(db, statement))
        } finally {
          if (db.isInTransaction()) await sendToPGlite(db, plain('ROLLBACK'))
          await db.syncToFs()
        }
      })
    },
    close() {
      closed ??= opening.then(
        (db) => db.close(),
        () => undefined,
      )
      return closed
    },
  }
}

async function openPGlite(dataDir?: string): Promise<PGlite> {
  if (dataDir) mkdirSync(dataDir, { recursive: true })
  const db = await PGlite.create(dataDir)
  for (const [name, value] of Object.entries(SESSION)) await db.exec(`SET ${name} = '${value}'`)
  return db
}

/** The wire protocol in one pass: PGlite's own `query` takes five, and would parse and rewrite values. */
async function sendToPGlite(db: PGlite, statement: Statement): Promise<StatementResult> {
  const { serialize } = protocol
  const packet = Buffer.concat([
    serialize.parse({ text: statement.text }),
    serialize.bind({ values: statement.params }),
    serialize.describe({ type: 'P' }),
    serialize.execute({}),
    serialize.sync(),
  ])
  const result: StatementResult = { command: '', rowCount: null, fields: [], rows: [] }
  for (const message of await db.execProtocolStream(packet, { syncToFs: false })) {
    if (message instanceof messages.RowDescriptionMessage) result.fields = message.fields
    else if (message instanceof messages.DataRowMessage) result.rows.push(message.fields)
    else if (message instanceof messages.CommandCompleteMessage) {
      // The tag is "SELECT 2", "INSERT 0 1" or words only, as in "CREATE TABLE".
      const words = message.text.split(' ')
      const last = words.at(-1) ?? ''
      result.command = words[0] ?? ''
      result.rowCount = /^\d+$/.test(last) ? Number(last) : null
    }
  }
  return result
}

/**
 * Creates an empty database of a random name on a real server.
 * @param adminUrl a database of that server on which the user may create others.
 * @returns its address, and `drop`, which also ends whatever is still connected.
 */
export async function createScratchDatabase(
  adminUrl: string,
): Promise<{ url: string; drop(): Promise<void> }> {
  const name = `scratch_${randomBytes(8).toString('hex')}`
  // From template0, which nobody can be connected to: a connected template refuses to be copied.
  await asAdmin(adminUrl, `CREATE DATABASE ${name} TEMPLATE template0 ENCODING 'UTF8'`)
  const url = new URL(adminUrl)
  url.pathname = `/${name}`
  return {
    url: url.href,
    drop: () => asAdmin(adminUrl, `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`),
  }
}

async function asAdmin(adminUrl: string, sql: string): Promise<void> {
  const client = new Client({ connectionString: adminUrl })
  await client.connect()
  try {
    await client.query(sql)
  } finally {
    await client.end()
  }
}
