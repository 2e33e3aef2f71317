import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { NeonDbError, neon, neonConfig } from '@neondatabase/serverless'
import { eq, sql as raw } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/neon-http'
import { integer, pgTable } from 'drizzle-orm/pg-core'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type NeonBridge, startNeonBridge } from '../../dev/neon.ts'
import {
  createScratchDatabase,
  type Engine,
  pgliteEngine,
  postgresEngine,
} from '../../dev/postgres-engine.ts'
import { SAMPLES_SQL, valueCases, type World } from './neon-values.ts'

interface Opened {
  engine: Engine
  drop(): Promise<void>
}

const adminUrl = process.env.TEST_DATABASE_URL
const kinds: Array<{ kind: string; isReal: boolean; open(): Promise<Opened> }> = [
  {
    kind: 'PGlite',
    isReal: false,
    open: async () => ({ engine: pgliteEngine(), drop: async () => undefined }),
  },
]
if (adminUrl) {
  kinds.push({
    kind: 'Postgres',
    isReal: true,
    open: async () => {
      const database = await createScratchDatabase(adminUrl)
      return { engine: postgresEngine({ connectionString: database.url }), drop: database.drop }
    },
  })
}

const accounts = pgTable('accounts', {
  id: integer('id').primaryKey(),
  balance: integer('balance').notNull(),
})

const SCHEMA = [
  SAMPLES_SQL,
  `CREATE TABLE accounts (id int PRIMARY KEY, balance int NOT NULL CONSTRAINT no_debt CHECK (balance >= 0))`,
  `CREATE TABLE parents (id int PRIMARY KEY)`,
  `CREATE TABLE children (parent int REFERENCES parents (id) DEFERRABLE INITIALLY DEFERRED)`,
]

/** The driver's error; anything else fails the test. */
async function refused(promise: PromiseLike<unknown>): Promise<NeonDbError> {
  const error = await Promise.resolve(promise).then(
    () => undefined,
    (reason: unknown) => reason,
  )
  expect(error).toBeInstanceOf(NeonDbError)
  return error as NeonDbError
}

const endpointBefore = neonConfig.fetchEndpoint
beforeAll(() => {
  neonConfig.fetchEndpoint = (host, port) => `http://${host}:${port}/sql`
})
afterAll(() => {
  neonConfig.fetchEndpoint = endpointBefore
})

describe.each(kinds)('the bridge over $kind', ({ open, isReal }) => {
  let opened: Opened
  let bridge: NeonBridge
  let sql: World['sql']
  let db: World['db']
  const addressOf = (it: NeonBridge, password = 'secret') =>
    `postgresql://someone:${password}@127.0.0.1:${it.port}/main`
  const balance = async () => (await db.select().from(accounts).where(eq(accounts.id, 1)))[0]?.balance

  beforeAll(async () => {
    opened = await open()
    bridge = await startNeonBridge({ engine: opened.engine })
    sql = neon(addressOf(bridge))
    db = drizzle(sql)
    await sql.transaction(SCHEMA.map((statement) => sql.query(statement)))
  })
  afterAll(async () => {
    await bridge.close()
    await opened.engine.close()
    await opened.drop()
  })
  beforeEach(async () => {
    bridge.reset()
    await sql`TRUNCATE samples, accounts, children, parents`
    await sql`INSERT INTO accounts VALUES (1, 10)`
    bridge.reset()
  })

  valueCases(() => ({ bridge, sql, db }))

  test('runs a drizzle batch as one request', async () => {
    const [, updated, rest] = await db.batch([
      db.select().from(accounts).where(eq(accounts.id, 1)).for('update'),
      db.update(accounts).set({ balance: 3 }).returning({ balance: accounts.balance }),
      db.execute(raw`SELECT balance FROM accounts`),
    ])
    expect(updated).toEqual([{ balance: 3 }])
    expect(rest.rows).toEqual([{ balance: 3 }])
    expect(bridge.counts).toEqual({ requests: 1, statements: 3 })
    expect(bridge.log).toHaveLength(1)
    expect(bridge.log[0]?.statements[0]).toMatch(/for update$/)
    expect(await sql.transaction([])).toEqual([])
  })

  test('gives the fields of an SQL error', async () => {
    const taken = await refused(sql`INSERT INTO accounts VALUES (1, 5)`)
    expect(taken).toMatchObject({
      code: '23505',
      severity: 'ERROR',
      constraint: 'accounts_pkey',
      schema: 'public',
    })
    expect(taken).toMatchObject({ table: 'accounts', detail: 'Key (id)=(1) already exists.' })
    const debt = await refused(sql`UPDATE accounts SET balance = -1`)
    expect(debt).toMatchObject({ code: '23514', constraint: 'no_debt' })
    expect(debt.message).toContain('violates check constraint')
    expect(await refused(sql`SELEC 1`)).toMatchObject({ code: '42601', position: '1' })
    expect(await refused(sql`SELECT 1; SELECT 2`)).toMatchObject({ code: '42601' })
    expect(await refused(sql`SELECT balanc FROM accounts`)).toMatchObject({
      code: '42703',
      hint: expect.stringContaining('balance'),
    })
    expect(await refused(sql`INSERT INTO accounts (id) VALUES (2)`)).toMatchObject({ column: 'balance' })
    const viaDrizzle = await db
      .insert(accounts)
      .values({ id: 1, balance: 1 })
      .catch((error: unknown) => error)
    expect(viaDrizzle).toMatchObject({ cause: { code: '23505' } })
    expect(await refused(sql.query('SELECT $1::int', ['x']))).toMatchObject({ code: '22P02' })
  })

  test('rolls a batch back, and goes on', async () => {
    const failing = [
      sql`UPDATE accounts SET balance = 1`,
      sql`SELECT 1 / 0`,
      sql`UPDATE accounts SET balance = 2`,
    ]
    expect(await refused(sql.transaction(failing))).toMatchObject({ code: '22012' })
    expect(await balance()).toBe(10)
    // Refused by the COMMIT itself.
    const orphan = sql.transaction([
      sql`UPDATE accounts SET balance = 1`,
      sql`INSERT INTO children VALUES (7)`,
    ])
    expect(await refused(orphan)).toMatchObject({ code: '23503', constraint: 'children_parent_fkey' })
    expect(await balance()).toBe(10)
  })

  test('leaves no transaction open behind a lone BEGIN', async () => {
    await sql`BEGIN`
    await Promise.all(Array.from({ length: 5 }, () => sql`UPDATE accounts SET balance = balance - 1`))
    expect(await balance()).toBe(5)
  })

  test('respects isolation level, read only and deferrable', async () => {
    const settings = sql`SELECT current_setting('transaction_isolation') AS isolation,
      current_setting('transaction_read_only') AS ro, current_setting('transaction_deferrable') AS d`
    const [plain] = await sql.transaction([settings])
    expect(plain).toEqual([{ isolation: 'read committed', ro: 'off', d: 'off' }])
    for (const isolationLevel of [
      'ReadUncommitted',
      'ReadCommitted',
      'RepeatableRead',
      'Serializable',
    ] as const) {
      const [rows] = await sql.transaction([settings], { isolationLevel })
      expect(rows![0]!.isolation).toBe(isolationLevel.replace(/(?<=.)[A-Z]/, ' $&').toLowerCase())
    }
    const options = { isolationLevel: 'Serializable', readOnly: true, deferrable: true } as const
    const [strict] = await sql.transaction([settings], options)
    expect(strict).toEqual([{ isolation: 'serializable', ro: 'on', d: 'on' }])
    const write = sql.transaction([sql`UPDATE accounts SET balance = 1`], { readOnly: true })
    expect(await refused(write)).toMatchObject({ code: '25006' })
    expect(await balance()).toBe(10)
    const wrong = sql.transaction([settings], { isolationLevel: 'Sloppy' as 'Serializable' })
    expect((await refused(wrong)).message).toBe('invalid isolation level')
  })

  test('makes batches that lock the same row take turns', async () => {
    const first = sql.transaction([
      sql`SELECT balance FROM accounts WHERE id = 1 FOR UPDATE`,
      sql`SELECT pg_sleep(1.5)`,
      sql`UPDATE accounts SET balance = 4 WHERE id = 1`,
    ])
    first.catch(() => undefined)
    await delay(500)
    const [locked, seen] = await sql.transaction([
      sql`SELECT balance FROM accounts WHERE id = 1 FOR UPDATE`,
      sql`SELECT balance FROM accounts WHERE id = 1`,
    ])
    expect([locked, seen]).toEqual([[{ balance: 4 }], [{ balance: 4 }]])
    await first

    const spend = () =>
      sql.transaction([
        sql`SELECT 1 FROM accounts WHERE id = 1 FOR UPDATE`,
        sql`UPDATE accounts SET balance = balance - 1 WHERE id = 1 AND balance > 0 RETURNING balance`,
      ])
    const spent = await Promise.all(Array.from({ length: 40 }, spend))
    expect(spent.filter(([, rows]) => rows!.length === 1)).toHaveLength(4)
    expect(await balance()).toBe(0)
  })

  test('breaks a connection before or after the effect', async () => {
    const spend = () => sql`UPDATE accounts SET balance = balance - 1`
    bridge.fault = ({ statements }) => (statements[0]?.startsWith('UPDATE') ? 'before' : undefined)
    expect((await refused(spend())).message).toMatch(/^Error connecting to database/)
    expect(await balance()).toBe(10)
    bridge.fault = ({ statements }) => (statements.length === 2 ? 'after' : undefined)
    expect((await refused(sql.transaction([spend(), spend()]))).message).toMatch(/^Error connecting/)
    expect(await balance()).toBe(8)
    bridge.reset()
    await spend()
    expect([await balance(), bridge.counts]).toEqual([7, { requests: 2, statements: 2 }])
  })

  test('adds latency, keeps a bounded log and counts what failed', async () => {
    bridge.latencyMs = 120
    const before = performance.now()
    await Promise.all(Array.from({ length: 100 }, () => sql`SELECT 1`))
    const took = performance.now() - before
    expect(took).toBeGreaterThan(115)
    expect(took).toBeLessThan(10_000) // one after the other: 12 s
    bridge.reset()
    await refused(sql`SELECT 1 / 0`)
    expect(bridge.counts).toEqual({ requests: 1, statements: 1 })
    expect(Math.abs(Date.now() - bridge.log[0]!.at)).toBeLessThan(60_000)
    for (let round = 0; round < 10; round += 1) {
      await Promise.all(Array.from({ length: 101 }, () => sql`SELECT 1`))
    }
    expect([bridge.counts.requests, bridge.log.length]).toEqual([1011, 1000])
  })

  test('refuses a malformed request with a JSON error', async () => {
    const headers = { 'Neon-Raw-Text-Output': 'true' }
    const bodies = [
      '{',
      '[]',
      '"x"',
      'null',
      '{}',
      '{"query":1}',
      '{"query":"SELECT 1","params":{}}',
      '{"queries":[1]}',
    ]
    for (const body of bodies) {
      const response = await fetch(bridge.url, { method: 'POST', headers, body })
      expect([body, response.status]).toEqual([body, 400])
      expect(await response.json()).toMatchObject({ message: expect.any(String), code: null })
    }
    expect((await fetch(bridge.url, { method: 'POST', body: '{"query":"SELECT 1"}' })).status).toBe(400)
    expect((await fetch(bridge.url)).status).toBe(405)
    expect((await fetch(bridge.url.replace('/sql', '/other'), { method: 'POST' })).status).toBe(404)
    expect(bridge.counts.requests).toBe(0)
  })

  test('checks the connection string when asked, and closes without its engine', async () => {
    const strict = await startNeonBridge({ engine: opened.engine, password: 'right' })
    expect(await neon(addressOf(strict, 'right'))`SELECT 1 AS one`).toEqual([{ one: 1 }])
    const wrong = await refused(neon(addressOf(strict, 'wrong'))`SELECT 1`)
    expect(wrong.message).toBe("password authentication failed for user 'someone'")
    expect((await fetch(strict.url, { method: 'POST', body: '{}' })).status).toBe(400)
    expect(strict.counts.requests).toBe(1)
    await strict.close()
    expect(await balance()).toBe(10)
  })

  if (isReal) {
    test('fails a repeatable read that lost a race', async () => {
      const slow = sql.transaction([sql`UPDATE accounts SET balance = 1`, sql`SELECT pg_sleep(6)`])
      slow.catch(() => undefined)
      const sleeping = () =>
        sql`SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'`
      await expect.poll(async () => (await sleeping()).length).toBe(1)
      const late = sql.transaction([sql`UPDATE accounts SET balance = 2`], {
        isolationLevel: 'RepeatableRead',
      })
      expect(await refused(late)).toMatchObject({ code: '40001' })
      await slow
    })

    test('cancels what a lost client left running', async () => {
      const abort = new AbortController()
      const held = sql.transaction([sql`UPDATE accounts SET balance = 1`, sql`SELECT pg_sleep(30)`], {
        fetchOptions: { signal: abort.signal },
      })
      held.catch(() => undefined)
      await delay(200)
      abort.abort()
      await refused(held)
      const before = performance.now()
      await sql`UPDATE accounts SET balance = balance - 1`
      expect(performance.now() - before).toBeLessThan(20_000) // 30 s, if it were still held
      expect(await balance()).toBe(9)
      const open = await sql`SELECT state FROM pg_stat_activity
        WHERE datname = current_database() AND state LIKE 'idle in transaction%'`
      expect(open).toEqual([])
    })
  }
})

test('keeps an embedded database in its directory', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'neon-bridge-'))
  const dataDir = join(folder, 'deep', 'data')
  const run = async (text: string) => {
    const engine = pgliteEngine({ dataDir })
    try {
      return (await engine.run({ statements: [{ text, params: [] }] }))[0]?.rows
    } finally {
      await engine.close()
      await engine.close()
    }
  }
  await run('CREATE TABLE kept AS SELECT 7 AS n')
  expect(await run('SELECT n FROM kept')).toEqual([['7']])
  await rm(folder, { recursive: true })
})
