/** On a stack of its own: here books are made wrong, and elsewhere tests leave some that are. */
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { neonConfig } from '@neondatabase/serverless'
import { sql } from 'drizzle-orm'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createScratchDatabase } from '../../../dev/postgres-engine.ts'
import { root } from '../../../dev/root.ts'
import { type Stack, startStack } from '../../../dev/stack.ts'
import { newId } from '../../../src/core/id.ts'
import type { Audit } from '../../../src/features/transactions/schema.ts'
import { connectPostgres, type Database } from '../../../src/ports/postgres.ts'
import { checkAnswer } from '../../support/contract.ts'
import { atOnce } from '../../support/races.ts'
import { testVars } from '../../support/stack.ts'

const ANY = 'postgres://local:local@localhost/local'
const before = neonConfig.fetchEndpoint

let scratch: { url: string; drop(): Promise<void> } | undefined
let stack: Stack
let db: Database
let admin: string
beforeAll(async () => {
  const { TEST_DATABASE_URL } = process.env
  scratch = TEST_DATABASE_URL ? await createScratchDatabase(TEST_DATABASE_URL) : undefined
  stack = await startStack({
    vars: testVars,
    upstream: true,
    ...(scratch ? { databaseUrl: scratch.url } : {}),
  })
  db = connectPostgres(ANY, stack.neon.url)
  admin = (await register('ADMIN')).token
})
afterAll(async () => {
  await stack?.close()
  await scratch?.drop()
  neonConfig.fetchEndpoint = before
})

async function call(method: string, path: string, token?: string, json?: unknown): Promise<any> {
  const answer = await fetch(stack.url + path, {
    method,
    headers: {
      ...(token === undefined ? {} : { Authorization: `Bearer ${token}` }),
      ...(json === undefined ? {} : { 'Content-Type': 'application/json' }),
    },
    ...(json === undefined ? {} : { body: JSON.stringify(json) }),
  })
  const body = await answer.json()
  checkAnswer({ method, path, status: answer.status, headers: answer.headers, body })
  return body
}

async function register(role: string): Promise<{ uid: string; token: string }> {
  const { user, accessToken } = await call('POST', '/api/auth/register', undefined, {
    ...{ firstName: 'Test', lastName: 'Person', role },
    ...{ mail: `${newId()}@test.example`, password: 'a long password' },
  })
  return { uid: user.uid, token: accessToken }
}

/** With a model of their own: what fails for one cools down for nobody else. */
async function customer() {
  const { uid, token } = await register('USER')
  await call('POST', '/api/transaction/my/make', token, { amount: 10, type: 'PURCHASE' })
  const { chatUid } = await call('POST', '/api/chat/create', token, {})
  const { modelUid } = await call('POST', '/api/model/create', admin, {
    ...{ name: newId(), description: 'For a test.', token_cost: 1000 },
    ...{ api_link: stack.upstream!.url, type: 'demo-instant' },
  })
  const ask = (message: string) =>
    call('POST', '/api/chat/message', token, { role: 'user', message, chatUid, modelUid })
  return { uid, token, chatUid, ask }
}

const report = (): Promise<Audit> => call('GET', '/api/transaction/audit', admin)
const run = (text: string) => db.execute(sql.raw(text))

describe('the audit', () => {
  test('asks once besides the guard, and finds nothing where nothing is wrong', async () => {
    const { ask } = await customer()
    await ask('[[say:one two three]]')
    await ask('[[fault:status=500]]')
    await ask('[[fault:cut-after=2]] words')
    stack.neon.reset()
    const found = await report()
    expect(stack.neon.counts.requests).toBe(2)
    expect(found).toMatchObject({ ok: true, differences: [], truncated: false })
    expect(found.accounts).toBeGreaterThanOrEqual(2)
    expect(Math.abs(Date.parse(found.checkedAt) - Date.now())).toBeLessThan(60_000)
  })

  test('never mistakes what is busy for what is wrong', async () => {
    const people = await atOnce(12, customer)
    let busy = true
    const found: Audit[] = []
    const watching = (async () => {
      while (busy) found.push(await report())
    })()
    const said = [
      '[[say:a b c d]]',
      '[[fault:cut-after=1]] x',
      '[[fault:status=400]]',
      '[[tokens=60,delay=2]]',
    ]
    await Promise.all(
      people.map(async ({ uid, ask }, n) => {
        for (let i = 0; i < 8; i++) {
          await ask(said[(n + i) % said.length]!)
          await call('POST', '/api/transaction/make', admin, {
            ...{ userUid: uid, amount: 0.25, type: 'REFUND', description: 'Busy' },
          })
        }
      }),
    )
    busy = false
    await watching
    expect(found.length).toBeGreaterThan(3)
    expect(found.flatMap(({ differences }) => differences)).toEqual([])
  })
})

describe('the audit names', () => {
  let one: Awaited<ReturnType<typeof customer>>
  let other: string
  let answer: { uid: string; generation: string; transaction: string; micros: number }
  beforeAll(async () => {
    one = await customer()
    other = (await register('USER')).uid
    const { assistantMessage } = await one.ask('[[say:one two three]]')
    const { rows } = await db.execute<{ generation: string; transaction: string; cost: string }>(sql`
      SELECT g.uid AS generation, t.uid AS transaction, g.cost FROM generations g
      JOIN transactions t ON t.generation_uid = g.uid WHERE g.message_uid = ${assistantMessage.uid}`)
    const [{ generation, transaction, cost } = { generation: '', transaction: '', cost: '0' }] = rows
    answer = { uid: assistantMessage.uid, generation, transaction, micros: Number(cost) }
  })

  const RATES = 'input_rate, cached_input_rate, output_rate, rate_per, prompt_estimate, allowed_tokens'
  /** Another generation of the same person, RUNNING with `hold` or settled at `cost`. */
  const generation = (uid: string, { hold = 0, cost = 'NULL', lease = 'now()', key = 'NULL' }) =>
    `INSERT INTO generations (uid, user_uid, door, model_uid, model_name, key_uid, status, ${RATES}, hold, cost, shortfall,
      balance_after, lease_until, created_at, settled_at)
    SELECT '${uid}', user_uid, door, model_uid, model_name, ${key}, ${cost === 'NULL' ? `'RUNNING'` : `'COMPLETED'`}, ${RATES}, ${hold}, ${cost},
      CASE WHEN ${cost} IS NOT NULL THEN 0 END, CASE WHEN ${cost} IS NOT NULL THEN 0 END, ${lease}, now(),
      CASE WHEN ${cost} IS NOT NULL THEN now() END
    FROM generations WHERE uid = '${answer.generation}'`
  const key = (uid: string, spent: number, held: number) =>
    `INSERT INTO keys (uid, user_uid, name, digest, hint, spent, held) VALUES ('${uid}', '${one.uid}', 'k', '${uid}', 'h', ${spent}, ${held})`
  const remove = (table: string, uid: string) => `DELETE FROM ${table} WHERE uid = '${uid}'`
  const account = (change: string) => `UPDATE accounts SET ${change} WHERE user_uid = '${one.uid}'`
  const outbox = (uid: string) =>
    `INSERT INTO outbox VALUES ('${uid}', '${one.uid}', 'new_transaction', '{}', now() - interval '301 seconds')`
  const credits = (micros: number) => micros / 1_000_000

  async function named(breaking: string[], mending: string[]): Promise<Audit['differences']> {
    try {
      for (const text of breaking) await run(text)
      const { ok, differences } = await report()
      expect(ok).toBe(differences.length === 0)
      return differences
    } finally {
      for (const text of mending) await run(text)
      expect(await report()).toMatchObject({ ok: true, differences: [], truncated: false })
    }
  }

  test('a balance that is not the sum of the transactions', async () => {
    const held = await named([account('balance = balance + 1')], [account('balance = balance - 1')])
    const expected = credits(10_000_000 - answer.micros)
    expect(held).toEqual([
      expect.objectContaining({
        ...{ kind: 'balance', subject: one.uid, expected, actual: credits(10_000_001 - answer.micros) },
      }),
    ])
  })

  test('a hold that nothing holds, and an answer whose hold is not counted', async () => {
    expect(await named([account('held = 2500000')], [account('held = 0')])).toEqual([
      expect.objectContaining({ kind: 'held', subject: one.uid, expected: 0, actual: 2.5 }),
    ])
    const uid = newId()
    expect(await named([generation(uid, { hold: 7 })], [remove('generations', uid)])).toEqual([
      expect.objectContaining({ kind: 'held', subject: one.uid, expected: 0.000007, actual: 0 }),
    ])
  })

  test('a key whose figures are not those of its answers', async () => {
    const [uid, running] = [newId(), newId()]
    expect(await named([key(uid, 3, 4)], [remove('keys', uid)])).toEqual([
      expect.objectContaining({ kind: 'key_spent', subject: uid, expected: 0, actual: 0.000003 }),
      expect.objectContaining({ kind: 'key_held', subject: uid, expected: 0, actual: 0.000004 }),
    ])
    const used = [
      key(uid, 0, 5),
      generation(running, { hold: 5, key: `'${uid}'` }),
      account('held = 5'),
      `UPDATE generations SET key_uid = '${uid}' WHERE uid = '${answer.generation}'`,
    ]
    const back = [
      `UPDATE generations SET key_uid = NULL WHERE uid = '${answer.generation}'`,
      ...[account('held = 0'), remove('generations', running), remove('keys', uid)],
    ]
    const spent = { kind: 'key_spent', subject: uid, expected: credits(answer.micros), actual: 0 }
    expect(await named(used, back)).toEqual([expect.objectContaining(spent)])
  })

  test('an answer that was charged without a transaction', async () => {
    const uid = newId()
    expect(await named([generation(uid, { cost: '9' })], [remove('generations', uid)])).toEqual([
      expect.objectContaining({ kind: 'charge_missing', subject: uid, expected: -0.000009, actual: null }),
    ])
  })

  test('a transaction whose answer is gone, is not settled, is of somebody else, cost something else', async () => {
    const of = (change: string, uid = answer.generation) =>
      `UPDATE generations SET ${change} WHERE uid = '${uid}'`
    const unfounded = (expected: number | null) =>
      expect.objectContaining({
        ...{
          kind: 'charge_unfounded',
          subject: answer.transaction,
          expected,
          actual: -credits(answer.micros),
        },
      })
    expect(await named([of('cost = cost + 1')], [of('cost = cost - 1')])).toEqual([
      unfounded(-credits(answer.micros + 1)),
    ])
    expect(await named([of(`user_uid = '${other}'`)], [of(`user_uid = '${one.uid}'`)])).toEqual([
      unfounded(null),
    ])
    const elsewhere = newId()
    const gone = await named([of(`uid = '${elsewhere}'`)], [of(`uid = '${answer.generation}'`, elsewhere)])
    expect(gone).toHaveLength(2)
    expect(gone).toContainEqual(unfounded(null))
    expect(gone).toContainEqual(expect.objectContaining({ kind: 'charge_missing', subject: elsewhere }))
    const open = "status = 'RUNNING', settled_at = NULL, cost = NULL, hold = 0, lease_until = now()"
    const shut = `status = 'COMPLETED', settled_at = now(), cost = ${answer.micros}`
    expect(await named([of(open)], [of(shut)])).toEqual([
      unfounded(null),
      expect.objectContaining({ kind: 'message_status', expected: 'STREAMING', actual: 'COMPLETED' }),
    ])
  })

  test('a message that nobody writes', async () => {
    const is = (status: string) => `UPDATE messages SET status = '${status}' WHERE uid = '${answer.uid}'`
    expect(await named([is('STREAMING')], [is('COMPLETED')])).toEqual([
      expect.objectContaining({
        ...{ kind: 'message_status', subject: answer.uid, expected: 'COMPLETED', actual: 'STREAMING' },
      }),
    ])
    const uid = newId()
    const orphan = `INSERT INTO messages (uid, user_uid, chat_uid, role, message, status, created_at)
      VALUES ('${uid}', '${one.uid}', '${one.chatUid}', 'assistant', '', 'STREAMING', now())`
    expect(await named([orphan], [remove('messages', uid)])).toEqual([
      expect.objectContaining({ kind: 'message_status', subject: uid, expected: null, actual: 'STREAMING' }),
    ])
  })

  test('a lease that nobody swept, and an event that nobody published, once they are 5 minutes old', async () => {
    const [young, old] = [newId(), newId()]
    const lease = (seconds: number) => ({ lease: `now() - interval '${seconds} seconds'` })
    expect(
      await named(
        [generation(young, lease(240)), generation(old, lease(301))],
        [remove('generations', young), remove('generations', old)],
      ),
    ).toEqual([expect.objectContaining({ kind: 'lease_expired', subject: old, actual: 'RUNNING' })])
    expect(await named([outbox(old)], [remove('outbox', old)])).toEqual([
      expect.objectContaining({ kind: 'outbox_waiting', subject: old, actual: 'new_transaction' }),
    ])
  })

  test('no more than 100 of a kind, and says that there are more', async () => {
    const uids = Array.from({ length: 101 }, newId)
    const all = [...uids.map(outbox), account('held = 1')]
    const back = [...uids.map((uid) => remove('outbox', uid)), account('held = 0')]
    let found: Audit | undefined
    try {
      for (const text of all) await run(text)
      found = await report()
    } finally {
      for (const text of back) await run(text)
    }
    expect(found).toMatchObject({ ok: false, truncated: true })
    expect(found!.differences.filter(({ kind }) => kind === 'outbox_waiting')).toHaveLength(100)
    expect(found!.differences.filter(({ kind }) => kind === 'held')).toHaveLength(1)
  })

  test('all this to whoever runs the command, which fails then', async () => {
    const command = () =>
      promisify(execFile)(process.execPath, [join(root, 'dev/audit.ts')], {
        env: { ...process.env, DATABASE_URL: ANY, NEON_HTTP_ENDPOINT: stack.neon.url },
      })
    expect((await command()).stdout).toMatch(/accounts at .*: no differences/)
    await run(account('held = 2500000'))
    try {
      await expect(command()).rejects.toMatchObject({
        code: 1,
        stdout: expect.stringContaining(`held ${one.uid}`),
      })
    } finally {
      await run(account('held = 0'))
    }
  })
})
