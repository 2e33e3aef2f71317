import { sql } from 'drizzle-orm'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { newId } from '../../../src/core/id.ts'
import { type Answer, type Bank, type Customer, entry, openBank } from './bank.ts'

let bank: Bank
let admin: Customer
let person: Customer
beforeAll(async () => {
  bank = await openBank()
  admin = await bank.administrator()
  person = await bank.person()
})
afterAll(() => bank?.close())

const OWN = { amount: 1, type: 'PURCHASE', description: 'Card' }

function expectRefusal(answer: Answer, status: number, code: string) {
  expect([answer.status, answer.body.status, answer.body.code]).toEqual([status, status, code])
}

/** Refused for this field, without a word of what stood in it, and nothing booked. */
function expectBadField(answer: Answer, field: string) {
  expectRefusal(answer, 422, 'invalid_request')
  expect(answer.body.errors.map((error: { path: string }) => error.path)).toContain(field)
}

describe('POST /my/make', () => {
  test('credits the own account', async () => {
    const someone = await bank.person()
    const first = await someone.call('POST', '/my/make', { ...OWN, amount: 0.1 })
    const second = await someone.call('POST', '/my/make', { ...OWN, amount: 0.2 })
    expect([first.status, second.status]).toEqual([201, 201])
    expect(first.body.newBalance).toBe(0.1)
    expect(second.body.newBalance).toBe(0.3)
  })

  test('the description may be left out, is trimmed, and cannot carry what Postgres cannot hold', async () => {
    const someone = await bank.person()
    await someone.call('POST', '/my/make', { amount: 1, type: 'PURCHASE' })
    await someone.call('POST', '/my/make', { ...OWN, description: '  a\0b\ud800 ' })
    const { body } = await someone.call('GET', '/my')
    expect(body.data.map((row: { description: string }) => row.description)).toEqual([
      'a\uFFFDb\uFFFD',
      'Top-up',
    ])
  })

  test.each([
    ['1e308'],
    ['1e309'],
    ['1e-7'],
    ['0.30000000000000004'],
    ['1.0000001'],
    ['10000000.000001'],
    ['0'],
    ['-0'],
    ['-1'],
    ['-0.000001'],
    ['"1"'],
    ['null'],
    ['true'],
    ['[1]'],
    ['{}'],
  ])('%s is no amount', async (amount) => {
    const answer = await person.call('POST', '/my/make', `{"amount":${amount},"type":"PURCHASE"}`)
    expectBadField(answer, 'amount')
  })

  test.each([['NaN'], ['Infinity'], ['01'], ['']])('%s is not even JSON', async (amount) => {
    const answer = await person.call('POST', '/my/make', `{"amount":${amount},"type":"PURCHASE"}`)
    expectRefusal(answer, 400, 'malformed_body')
  })

  test.each([
    ['1', '1'],
    ['1.50', '1.5'],
    ['1e-6', '0.000001'],
    ['1E1', '10'],
    ['9999999.999999', '9999999.999999'],
    ['10000000', '10000000'],
  ])('%s is %s', async (amount, balance) => {
    const someone = await bank.person()
    const answer = await someone.call('POST', '/my/make', `{"amount":${amount},"type":"PURCHASE"}`)
    expect(String(answer.body.newBalance)).toBe(balance)
  })

  test('only a purchase, only known fields, a description of 1 to 500 characters', async () => {
    for (const [change, field] of [
      [{ type: 'REFUND' }, 'type'],
      [{ type: 'ADJUSTMENT' }, 'type'],
      [{ type: undefined }, 'type'],
      [{ amount: undefined }, 'amount'],
      [{ userUid: admin.uid }, ''],
      [{ description: '' }, 'description'],
      [{ description: '   ' }, 'description'],
      [{ description: 'x'.repeat(501) }, 'description'],
      [{ description: 5 }, 'description'],
    ] as const)
      expectBadField(await person.call('POST', '/my/make', { ...OWN, ...change }), field)
    const rows = await bank.rows(sql`SELECT uid FROM transactions WHERE user_uid = ${person.uid}`)
    expect(rows).toEqual([])
  })

  test('a balance has a largest size', async () => {
    const rich = await bank.person()
    await bank.past(rich.uid, { amount: 999_999_999_000_000 })
    expectRefusal(await rich.call('POST', '/my/make', { ...OWN, amount: 1.000001 }), 409, 'balance_too_large')
    expect((await rich.call('POST', '/my/make', OWN)).body.newBalance).toBe(1_000_000_000)
    expectRefusal(await rich.call('POST', '/my/make', { ...OWN, amount: 1e-6 }), 409, 'balance_too_large')
  })
})

describe('POST /make', () => {
  test.each([
    ['PURCHASE', 2_000_000, 12],
    ['REFUND', 500_001, 10.500001],
    ['GENERATION_COST', 2_000_000, 8],
    ['ADJUSTMENT', 1, 10.000001],
    ['ADJUSTMENT', -10_000_000, 0],
  ])('%s of %d micro-credits on 10 credits', async (type, amount, balance) => {
    const someone = await bank.person()
    await bank.past(someone.uid, { amount: 10_000_000 })
    const answer = await admin.call('POST', '/make', entry(someone.uid, amount, type))
    expect(answer.status).toBe(201)
    expect(answer.body.newBalance).toBe(balance)
    const { body } = await someone.call('GET', `/info/${answer.body.transactionUid}`)
    expect([body.amount, body.balanceAfter]).toEqual([Math.round((balance - 10) * 1e6) / 1e6, balance])
  })

  test.each([
    ['PURCHASE', -1],
    ['REFUND', -1],
    ['GENERATION_COST', -1],
    ['PURCHASE', 0],
    ['ADJUSTMENT', 0],
    ['ADJUSTMENT', -10_000_001_000_000],
    ['GENERATION_COST', 10_000_001_000_000],
  ])('no %s of %d', async (type, amount) => {
    expectBadField(await admin.call('POST', '/make', entry(person.uid, amount, type)), 'amount')
  })

  test('what holds take cannot be debited', async () => {
    const someone = await bank.person()
    await bank.past(someone.uid, { amount: 10_000_000 })
    await bank.hold(someone.uid, 4000000)
    const over = await admin.call('POST', '/make', entry(someone.uid, -6_000_001))
    expectRefusal(over, 409, 'balance_would_be_negative')
    expect((await admin.call('POST', '/make', entry(someone.uid, -6_000_000))).body.newBalance).toBe(4)
  })

  test('a stranger and a deleted account are no users; a blocked one still is', async () => {
    const [deleted, blocked] = [await bank.person(), await bank.person()]
    await bank.rows(sql`UPDATE users SET status = 'DELETED' WHERE uid = ${deleted.uid}`)
    await bank.rows(sql`UPDATE users SET status = 'BLOCKED' WHERE uid = ${blocked.uid}`)
    for (const uid of [newId(), deleted.uid])
      expectRefusal(await admin.call('POST', '/make', entry(uid, 1)), 404, 'user_not_found')
    expectBadField(await admin.call('POST', '/make', entry('me', 1)), 'userUid')
    expect((await admin.call('POST', '/make', entry(blocked.uid, 1))).status).toBe(201)
  })

  test('an administrator must say why', async () => {
    const { description, ...rest } = entry(person.uid, 1)
    expect(description).toBe('Test')
    expectBadField(await admin.call('POST', '/make', rest), 'description')
  })
})

describe('who may', () => {
  test('nobody without a token', async () => {
    for (const [method, path] of [
      ['POST', '/my/make'],
      ['POST', '/make'],
      ['GET', '/my'],
      ['GET', '/all'],
      ['GET', `/info/${newId()}`],
    ] as const) {
      const answer = await person.call(method, path, method === 'POST' ? '{' : undefined, {
        Authorization: 'Bearer nobody',
      })
      expectRefusal(answer, 401, 'unauthenticated')
    }
  })

  test('only administrators book for others and see all, by the database and not by the token', async () => {
    const fallen = await bank.administrator()
    await bank.rows(sql`UPDATE users SET role = 'USER' WHERE uid = ${fallen.uid}`)
    for (const someone of [person, fallen]) {
      expectRefusal(await someone.call('POST', '/make', entry(someone.uid, 1)), 403, 'forbidden')
      expectRefusal(await someone.call('POST', '/make', {}), 403, 'forbidden')
      expectRefusal(await someone.call('GET', '/all'), 403, 'forbidden')
    }
    const risen = await bank.person()
    await bank.rows(sql`UPDATE users SET role = 'ADMIN' WHERE uid = ${risen.uid}`)
    expect((await risen.call('GET', '/all')).status).toBe(200)
  })

  test('nobody who is blocked, or whose session has ended', async () => {
    const [blocked, ended] = [await bank.administrator(), await bank.administrator()]
    await bank.rows(sql`UPDATE users SET status = 'BLOCKED' WHERE uid = ${blocked.uid}`)
    await bank.rows(sql`UPDATE sessions SET ended_at = now() WHERE user_uid = ${ended.uid}`)
    for (const [someone, status, code] of [
      [blocked, 403, 'account_blocked'],
      [ended, 401, 'unauthenticated'],
    ] as const) {
      expectRefusal(await someone.call('POST', '/my/make', OWN), status, code)
      expectRefusal(await someone.call('POST', '/make', entry(person.uid, 1)), status, code)
      expectRefusal(await someone.call('GET', '/my'), status, code)
      expectRefusal(await someone.call('GET', '/all'), status, code)
      expectRefusal(await someone.call('GET', `/info/${newId()}`), status, code)
    }
    const rows = await bank.rows(
      sql`SELECT uid FROM transactions WHERE user_uid IN (${blocked.uid}, ${ended.uid})`,
    )
    expect(rows).toEqual([])
  })
})

describe('Idempotency-Key', () => {
  test('a repeat gets the first answer, with the balance as it was then', async () => {
    const someone = await bank.person()
    const key = { 'Idempotency-Key': 'k' }
    const first = await someone.call('POST', '/my/make', OWN, key)
    await someone.call('POST', '/my/make', OWN)
    const again = await someone.call(
      'POST',
      '/my/make',
      '{"description":"Card", "type":"PURCHASE", "amount":1.0}',
      key,
    )
    expect([again.status, JSON.stringify(again.body)]).toEqual([201, JSON.stringify(first.body)])
    expect((await someone.call('GET', '/my')).body.data).toHaveLength(2)
  })

  test('it stands for one body, one path and one person', async () => {
    const key = { 'Idempotency-Key': newId() }
    const other = await bank.administrator()
    const order = entry(person.uid, 1_000_000)
    const first = await admin.call('POST', '/make', order, key)
    expect(first.status).toBe(201)
    for (const [path, body] of [
      ['/make', { ...order, amount: 2 }],
      ['/make', { ...order, description: 'Another' }],
      ['/make', { ...order, userUid: newId() }],
      ['/my/make', OWN],
    ] as const)
      expectRefusal(await admin.call('POST', path, body, key), 422, 'idempotency_mismatch')
    const second = await other.call('POST', '/make', order, key)
    expect(second.status).toBe(201)
    expect(second.body.transactionUid).not.toBe(first.body.transactionUid)
    expect((await person.call('POST', '/my/make', OWN, key)).status).toBe(201)
  })

  test('it is 1 to 255 visible characters', async () => {
    for (const key of ['', 'a b', 'x'.repeat(256), 'é'])
      expectRefusal(
        await person.call('POST', '/my/make', OWN, { 'Idempotency-Key': key }),
        422,
        'invalid_request',
      )
    const longest = { 'Idempotency-Key': '~'.repeat(255) }
    expect((await person.call('POST', '/my/make', OWN, longest)).status).toBe(201)
  })

  test('an answer that was lost on the way back is not booked again', async () => {
    const someone = await bank.person()
    const key = { 'Idempotency-Key': 'lost' }
    const { neon } = bank.world
    neon.fault = ({ statements }) =>
      statements.some((statement) => statement.includes('transactions')) ? 'after' : undefined
    try {
      expectRefusal(await someone.call('POST', '/my/make', OWN, key), 503, 'unavailable')
    } finally {
      neon.fault = undefined
    }
    expect((await someone.call('POST', '/my/make', OWN, key)).body.newBalance).toBe(1)
    expect((await someone.call('GET', '/my')).body.data).toHaveLength(1)
  })
})

test('with SELF_TOP_UP off nobody tops up, whatever the body', async () => {
  const closed = await openBank({ SELF_TOP_UP: 'off' })
  const [someone, chief] = [await closed.person(), await closed.administrator()]
  for (const body of [OWN, {}, '{'])
    expectRefusal(await someone.call('POST', '/my/make', body), 403, 'self_top_up_closed')
  expectRefusal(await chief.call('POST', '/my/make', OWN), 403, 'self_top_up_closed')
  expect((await chief.call('POST', '/make', entry(chief.uid, 1, 'PURCHASE'))).status).toBe(201)
})
