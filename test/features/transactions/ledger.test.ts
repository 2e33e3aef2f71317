import { sql } from 'drizzle-orm'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { newId } from '../../../src/core/id.ts'
import { atOnce, tally } from '../../support/races.ts'
import { type Bank, type Customer, entry, openBank } from './bank.ts'

let bank: Bank
let admin: Customer
beforeAll(async () => {
  bank = await openBank()
  admin = await bank.administrator()
})
afterAll(() => bank?.close())

const TYPES = ['PURCHASE', 'REFUND', 'GENERATION_COST', 'ADJUSTMENT'] as const
const MOST = 10n ** 15n
const outcome = ({ status, body }: { status: number; body: { code?: string } }) => body.code ?? status

/** Micro-credits as a person would write the credits: the model's own way, sharing nothing with the service. */
function decimal(micros: bigint): string {
  const size = micros < 0n ? -micros : micros
  const fraction = (size % 1_000_000n).toString().padStart(6, '0').replace(/0+$/, '')
  return `${micros < 0n ? '-' : ''}${size / 1_000_000n}${fraction ? `.${fraction}` : ''}`
}

interface Account {
  balance: bigint
  rows: number
}

/** Everybody's account; those of `people` must equal the sum of their rows, and each row follow from the one before. */
async function audit(...people: Customer[]): Promise<Map<string, Account>> {
  const accounts = await bank.rows<
    Record<'user_uid' | 'balance' | 'held' | 'sum' | 'rows' | 'broken', string>
  >(sql`
    SELECT user_uid, balance, held, coalesce(sum, 0) AS sum, coalesce(rows, 0) AS rows, coalesce(broken, 0) AS broken
    FROM accounts LEFT JOIN (
      SELECT user_uid AS uid, sum(amount) AS sum, count(*) AS rows,
        count(*) FILTER (WHERE balance_after <> running OR seq <> place) AS broken
      FROM (SELECT *, sum(amount) OVER newest AS running, row_number() OVER newest AS place FROM transactions
        WINDOW newest AS (PARTITION BY user_uid ORDER BY created_at, uid)) AS ledger
      GROUP BY user_uid) AS totals ON uid = user_uid`)
  for (const account of accounts.filter((a) => people.some(({ uid }) => uid === a.user_uid))) {
    expect(account.sum).toBe(account.balance)
    expect(account.broken).toBe('0')
    expect(BigInt(account.balance)).toBeGreaterThanOrEqual(BigInt(account.held))
  }
  return new Map(accounts.map((a) => [a.user_uid, { balance: BigInt(a.balance), rows: Number(a.rows) }]))
}

describe('the ledger against a model of it', () => {
  const micros = fc.oneof(
    fc.bigInt(1n, 50_000_000n),
    fc.bigInt(1n, 10n ** 13n),
    fc.constantFrom(1n, 999_999n, 1_000_000n, 1_000_001n, 10n ** 13n - 1n, 10n ** 13n),
  )
  const step = fc.record({
    who: fc.nat(2),
    type: fc.constantFrom(...TYPES, 'OWN' as const),
    micros,
    negative: fc.boolean(),
  })

  test('any bookings keep every balance the exact sum, to the last digit of the JSON', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 25 }), async (steps) => {
        const people = [await bank.person(), await bank.person(), await bank.person()]
        // One is empty, one near the largest balance, one has most of it held.
        const model = [0n, MOST - 15_000_000n, 40_000_000n]
        const held = [0n, 0n, 30_000_000n]
        await bank.past(people[1]!.uid, { amount: Number(model[1]) })
        await bank.past(people[2]!.uid, { amount: Number(model[2]) })
        await bank.hold(people[2]!.uid, 30000000)

        for (const { who, type, micros, negative } of steps) {
          const person = people[who]!
          const given = type === 'ADJUSTMENT' && negative ? -micros : micros
          const signed = type === 'GENERATION_COST' ? -micros : given
          const answer =
            type === 'OWN'
              ? await person.call('POST', '/my/make', `{"amount":${decimal(given)},"type":"PURCHASE"}`)
              : await admin.call(
                  'POST',
                  '/make',
                  `{"userUid":"${person.uid}","amount":${decimal(given)},"type":"${type}","description":"Step"}`,
                )
          const next = model[who]! + signed
          if (next - held[who]! < 0n) expect(outcome(answer)).toBe('balance_would_be_negative')
          else if (next > MOST) expect(outcome(answer)).toBe('balance_too_large')
          else {
            expect(answer.status).toBe(201)
            expect(String(answer.body.newBalance)).toBe(decimal(next))
            model[who] = next
          }
        }
        const accounts = await audit(...people)
        expect(people.map(({ uid }) => accounts.get(uid)!.balance)).toEqual(model)
        for (const [who, person] of people.entries()) {
          const [newest] = (await person.call('GET', '/my?limit=1')).body.data
          if (newest) expect(String(newest.balanceAfter)).toBe(decimal(model[who]!))
        }
      }),
      { numRuns: 12 },
    )
  })

  test("a booking moves one person's balance and nobody else's", async () => {
    const [one, other] = [await bank.person(), await bank.person()]
    await bank.past(other.uid, { amount: 5_000_000 })
    const before = await audit(one, other)
    expect((await admin.call('POST', '/make', entry(one.uid, 2_500_000, 'REFUND'))).status).toBe(201)
    expect((await one.call('POST', '/my/make', { amount: 1, type: 'PURCHASE' })).status).toBe(201)
    const after = await audit(one, other)
    expect(after.get(one.uid)).toEqual({ balance: 3_500_000n, rows: 2 })
    for (const [uid, account] of before) if (uid !== one.uid) expect(after.get(uid)).toEqual(account)
  })
})

describe('many at once', () => {
  test('100 debits against credit for 50: exactly 50 are booked', async () => {
    const person = await bank.person()
    await bank.past(person.uid, { amount: 50_000_000 })
    const answers = await atOnce(100, () =>
      admin.call('POST', '/make', entry(person.uid, 1_000_000, 'GENERATION_COST')),
    )
    expect(tally(answers.map(outcome))).toEqual({ 201: 50, balance_would_be_negative: 50 })
    expect((await audit(person)).get(person.uid)).toEqual({ balance: 0n, rows: 51 })
    const told = answers.filter(({ status }) => status === 201).map(({ body }) => body.newBalance)
    expect(told.sort((a, b) => a - b)).toEqual(Array.from({ length: 50 }, (_, n) => n))
  })

  test('debits and credits of several hands on one account add up', async () => {
    const person = await bank.person()
    const second = await bank.administrator()
    const answers = await atOnce(90, (n) =>
      n % 3 === 0
        ? person.call('POST', '/my/make', { amount: 0.1, type: 'PURCHASE' })
        : (n % 3 === 1 ? admin : second).call('POST', '/make', entry(person.uid, 200_000, 'REFUND')),
    )
    expect(tally(answers.map(outcome))).toEqual({ 201: 90 })
    expect((await audit(person)).get(person.uid)).toEqual({ balance: 15_000_000n, rows: 90 })
  })

  test('20 requests with one Idempotency-Key: one row, 20 equal answers', async () => {
    const person = await bank.person()
    const key = { 'Idempotency-Key': 'once' }
    const answers = await atOnce(20, () =>
      person.call('POST', '/my/make', { amount: 3.000001, type: 'PURCHASE', description: 'Card' }, key),
    )
    expect(tally(answers.map(outcome))).toEqual({ 201: 20 })
    expect(tally(answers.map(({ body }) => JSON.stringify(body)))).toEqual({
      [JSON.stringify(answers[0]!.body)]: 20,
    })
    expect((await audit(person)).get(person.uid)).toEqual({ balance: 3_000_001n, rows: 1 })
    expect(await outboxOf(person.uid)).toHaveLength(1)
  })

  test('one Idempotency-Key of an administrator for 12 people: one of them gets it', async () => {
    const people = await atOnce(12, () => bank.person())
    const keys = Array.from({ length: 6 }, newId)
    const answers = await atOnce(72, (n) =>
      admin.call('POST', '/make', entry(people[n % 12]!.uid, 1), {
        'Idempotency-Key': keys[Math.floor(n / 12)]!,
      }),
    )
    expect(tally(answers.map(outcome))).toEqual({ 201: 6, idempotency_mismatch: 66 })
    const accounts = await audit(...people)
    expect(people.reduce((sum, { uid }) => sum + accounts.get(uid)!.rows, 0)).toBe(6)
  })

  test('two administrators who book for each other under keys do not wait for each other for ever', async () => {
    const second = await bank.administrator()
    const answers = await atOnce(100, (n) => {
      const [from, to] = n % 2 ? [admin, second] : [second, admin]
      return from.call('POST', '/make', entry(to.uid, 1), { 'Idempotency-Key': `cross-${n}` })
    })
    expect(tally(answers.map(outcome))).toEqual({ 201: 100 })
    await audit(admin, second)
  })
})

const outboxOf = (uid: string) =>
  bank.rows<{ event: string; data: Record<string, unknown> }>(
    sql`SELECT event, data FROM outbox WHERE user_uid = ${uid} ORDER BY created_at`,
  )

describe('what is written beside a row', () => {
  test('its event, in credits, with what was available and the seq', async () => {
    const person = await bank.person()
    await bank.past(person.uid, { amount: 10_000_000 })
    await bank.hold(person.uid, 2500000)
    const { body } = await admin.call('POST', '/make', entry(person.uid, 123_456, 'GENERATION_COST'))
    expect(await outboxOf(person.uid)).toEqual([
      {
        event: 'new_transaction',
        data: {
          transactionUid: body.transactionUid,
          amount: -0.123456,
          type: 'GENERATION_COST',
          newBalance: 9.876544,
          available: 7.376544,
          seq: 2,
        },
      },
    ])
  })

  test('who booked it, when that was somebody else', async () => {
    const person = await bank.person()
    const own = await person.call('POST', '/my/make', { amount: 1, type: 'PURCHASE' })
    const given = await admin.call('POST', '/make', entry(person.uid, 1))
    const rows = await bank.rows(
      sql`SELECT uid, booked_by FROM transactions WHERE user_uid = ${person.uid} ORDER BY seq`,
    )
    expect(rows).toEqual([
      { uid: own.body.transactionUid, booked_by: null },
      { uid: given.body.transactionUid, booked_by: admin.uid },
    ])
  })

  test('nothing at all after a refusal, so that the key is still free', async () => {
    const person = await bank.person()
    const key = { 'Idempotency-Key': newId() }
    const order = entry(person.uid, 1_000_000, 'GENERATION_COST')
    expect(outcome(await admin.call('POST', '/make', order, key))).toBe('balance_would_be_negative')
    expect((await audit(person)).get(person.uid)).toEqual({ balance: 0n, rows: 0 })
    expect(await outboxOf(person.uid)).toEqual([])
    await bank.past(person.uid, { amount: 1_000_000 })
    expect((await admin.call('POST', '/make', order, key)).status).toBe(201)
  })
})

test('the database itself refuses to change or delete a transaction', async () => {
  const person = await bank.person()
  await bank.past(person.uid, { amount: 1_000_000 })
  for (const statement of [
    sql`UPDATE transactions SET amount = 2 WHERE user_uid = ${person.uid}`,
    sql`UPDATE transactions SET description = 'x'`,
    sql`DELETE FROM transactions WHERE user_uid = ${person.uid}`,
    sql`TRUNCATE transactions`,
    sql`TRUNCATE users CASCADE`,
  ])
    await expect(bank.rows(statement)).rejects.toMatchObject({ cause: { code: 'BH409' } })
  expect((await audit(person)).get(person.uid)).toEqual({ balance: 1_000_000n, rows: 1 })
})
