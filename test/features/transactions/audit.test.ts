import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { root } from '../../../dev/root.ts'
import { newId } from '../../../src/core/id.ts'
import type { Audit } from '../../../src/features/transactions/schema.ts'
import { atOnce } from '../../support/races.ts'
import { ANY, type AuditRoom, type Customer, credits, openAuditRoom } from './audit-room.ts'

let room: AuditRoom
beforeAll(async () => {
  room = await openAuditRoom()
})
afterAll(() => room?.close())

const customer = () => room.customer()
const report = () => room.report()
const named = (breaking: string[], mending: string[]) => room.named(breaking, mending)

describe('the audit', () => {
  test('asks once besides the guard, and finds nothing where nothing is wrong', async () => {
    const { ask } = await customer()
    await ask('[[say:one two three]]')
    await ask('[[fault:status=500]]')
    await ask('[[fault:cut-after=2]] words')
    room.stack.neon.reset()
    const found = await report()
    expect(room.stack.neon.counts.requests).toBe(2)
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
          await room.call('POST', '/api/transaction/make', room.admin.token, {
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
  let one: Customer
  let other: string
  /** A program's answer, which has no message. */
  const answer = { generation: newId(), transaction: newId(), micros: 7 }
  beforeAll(async () => {
    one = await customer()
    other = (await room.register('USER')).uid
    await one.ask('[[say:one two three]]')
    await room.run(
      generation(answer.generation, { cost: `${answer.micros}` }),
      account(`balance = balance - ${answer.micros}, seq = seq + 1`),
      `INSERT INTO transactions (uid, user_uid, amount, type, description, balance_after, seq, generation_uid, created_at)
      SELECT '${answer.transaction}', user_uid, -${answer.micros}, 'GENERATION_COST', 'Then', balance, seq, '${answer.generation}', now()
      FROM accounts WHERE user_uid = '${one.uid}'`,
    )
  })

  const RATES = 'input_rate, cached_input_rate, output_rate, rate_per, prompt_estimate, allowed_tokens'
  /** Another generation of the same person, RUNNING with `hold` or settled at `cost`. */
  const generation = (uid: string, { hold = 0, cost = 'NULL', lease = 'now()', key = 'NULL' }) =>
    `INSERT INTO generations (uid, user_uid, door, model_uid, model_name, key_uid, status, ${RATES}, hold, cost, shortfall,
      balance_after, lease_until, created_at, settled_at)
    SELECT '${uid}', user_uid, 'gateway', model_uid, model_name, ${key}, ${cost === 'NULL' ? `'RUNNING'` : `'COMPLETED'`}, ${RATES}, ${hold}, ${cost},
      CASE WHEN ${cost} IS NOT NULL THEN 0 END, CASE WHEN ${cost} IS NOT NULL THEN 0 END, ${lease}, now(),
      CASE WHEN ${cost} IS NOT NULL THEN now() END
    FROM generations WHERE user_uid = '${one.uid}' AND door = 'chat' LIMIT 1`
  const key = (uid: string, spent: number, held: number) =>
    `INSERT INTO keys (uid, user_uid, name, digest, hint, spent, held) VALUES ('${uid}', '${one.uid}', 'k', '${uid}', 'h', ${spent}, ${held})`
  const remove = (table: string, uid: string) => `DELETE FROM ${table} WHERE uid = '${uid}'`
  const account = (change: string) => `UPDATE accounts SET ${change} WHERE user_uid = '${one.uid}'`
  const outbox = (uid: string) =>
    `INSERT INTO outbox VALUES ('${uid}', '${one.uid}', 'new_transaction', '{}', now() - interval '301 seconds')`

  test('a balance that is not the sum of the transactions', async () => {
    const held = await named([account('balance = balance + 1')], [account('balance = balance - 1')])
    expect(held).toEqual([expect.objectContaining({ kind: 'balance', subject: one.uid })])
    const [difference] = held
    expect(Math.round((Number(difference!.actual) - Number(difference!.expected)) * 1e6)).toBe(1)
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
    expect(await named([of(open)], [of(shut)])).toEqual([unfounded(null)])
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
      await room.run(...all)
      found = await report()
    } finally {
      await room.run(...back)
    }
    expect(found).toMatchObject({ ok: false, truncated: true })
    expect(found!.differences.filter(({ kind }) => kind === 'outbox_waiting')).toHaveLength(100)
    expect(found!.differences.filter(({ kind }) => kind === 'held')).toHaveLength(1)
  })

  test('all this to whoever runs the command, which fails then', async () => {
    const command = () =>
      promisify(execFile)(process.execPath, [join(root, 'dev/audit.ts')], {
        env: { ...process.env, DATABASE_URL: ANY, NEON_HTTP_ENDPOINT: room.stack.neon.url },
      })
    expect((await command()).stdout).toMatch(/accounts at .*: no differences/)
    await room.run(account('held = 2500000'))
    try {
      await expect(command()).rejects.toMatchObject({
        code: 1,
        stdout: expect.stringContaining(`held ${one.uid}`),
      })
    } finally {
      await room.run(account('held = 0'))
    }
  })
})
