/** GET /my as a file. */
import { sql } from 'drizzle-orm'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Transaction } from '../../../src/features/transactions/schema.ts'
import { recordsOf, rowsOf } from '../../support/csv.ts'
import { type Bank, type Customer, openBank } from './bank.ts'

let bank: Bank
beforeAll(async () => {
  bank = await openBank()
})
afterAll(() => bank?.close())

const CSV = { Accept: 'text/csv' }
const fileOf = async (someone: Customer, path: string) => {
  const { status, headers, body } = await someone.call('GET', path, undefined, CSV)
  expect([status, headers.get('content-type')]).toEqual([200, 'text/csv; charset=utf-8; header=present'])
  const next = /^<(.*)>; rel="next"$/.exec(headers.get('link') ?? '')?.[1]
  const text = body as unknown as string
  return { text, rows: rowsOf<Transaction>(text), next: next?.replace('/api/transaction', ''), headers }
}

test('holds every transaction as JSON does, whatever its description looks like', async () => {
  const someone = await bank.person()
  const descriptions = ['=1+1', '+49 30', '-5', '@you', 'a "b", c;\nd', "it's", '123', 'Цена ＝ 5 ₽ 🙂']
  for (const [n, description] of descriptions.entries())
    await someone.call('POST', '/my/make', {
      amount: [0.000001, 10, 1_234_567.891][n % 3],
      type: 'PURCHASE',
      description,
    })
  await bank.past(someone.uid, { amount: -1, type: 'ADJUSTMENT' })
  const { data } = (await someone.call('GET', '/my')).body
  const { text, rows, next, headers } = await fileOf(someone, '/my')
  expect(next).toBeUndefined()
  expect(headers.get('content-disposition')).toBe('attachment; filename="transactions.csv"')
  expect(headers.get('vary')).toMatch(/accept/i)
  expect(recordsOf(text)[0]).toEqual([
    'uid',
    'userUid',
    'amount',
    'type',
    'description',
    'balanceAfter',
    'generationUid',
    'createdAt',
  ])
  expect(rows).toEqual(
    data.map((row) => ({
      ...row,
      description: /^123$/.test(row.description) ? 123 : row.description.replace(/^[=+\-@]/, "'$&"),
      generationUid: row.generationUid ?? null,
    })),
  )
  expect(text).toContain(',-0.000001,ADJUSTMENT,')
})

test('filters by type and time, in both forms', async () => {
  const someone = await bank.person()
  const at = (day: number) => `2021-01-0${day}T00:00:00.000Z`
  await bank.past(
    someone.uid,
    { amount: 1, at: at(1) },
    { amount: 1, at: at(2), type: 'REFUND' },
    { amount: 1, at: at(3) },
    { amount: 1, at: at(4), type: 'ADJUSTMENT' },
  )
  const days = (rows: Transaction[]) => rows.map(({ createdAt }) => new Date(createdAt).getUTCDate())
  for (const [query, expected] of [
    ['', [4, 3, 2, 1]],
    ['type=PURCHASE', [3, 1]],
    ['from=2021-01-02&to=2021-01-04', [3, 2]],
    [`from=${at(2)}`, [4, 3, 2]],
    ['type=REFUND&to=2021-01-02', []],
  ] as const) {
    expect(days((await someone.call('GET', `/my?${query}`)).body.data), query).toEqual(expected)
    expect(days((await fileOf(someone, `/my?${query}`)).rows), query).toEqual(expected)
  }
  const refused = await someone.call('GET', '/my?from=2021-01-02&to=2021-01-01', undefined, CSV)
  expect([refused.status, refused.body.code]).toEqual([422, 'invalid_request'])
})

test('is the whole statement, and names the way on when that is more than 10,000 rows', async () => {
  const [someone, other] = [await bank.person(), await bank.person()]
  await bank.past(other.uid, { amount: 1 })
  await bank.rows(sql`
    INSERT INTO transactions (uid, user_uid, amount, type, description, balance_after, seq, created_at)
    SELECT gen_random_uuid(), ${someone.uid}::uuid, 1, 'PURCHASE', 'Then', n, n, '2020-05-05'::timestamptz + n * interval '1 s'
    FROM generate_series(1, 10003) AS n`)
  await bank.rows(sql`UPDATE accounts SET balance = 10003, seq = 10003 WHERE user_uid = ${someone.uid}::uuid`)
  const first = await fileOf(someone, '/my?type=PURCHASE')
  expect(first.rows).toHaveLength(10_000)
  const second = await fileOf(someone, first.next!)
  expect(second.next).toBeUndefined()
  expect([...first.rows, ...second.rows].map(({ balanceAfter }) => Math.round(balanceAfter * 1e6))).toEqual(
    Array.from({ length: 10_003 }, (_, n) => 10_003 - n),
  )
  // A limit is a limit; the filter and the limit go along.
  const few = await fileOf(someone, '/my?limit=2&to=2020-05-06')
  expect(few.rows).toHaveLength(2)
  expect((await fileOf(someone, few.next!)).rows.map(({ balanceAfter }) => balanceAfter)).toEqual([
    0.010001, 0.01,
  ])
  // A page of JSON stays what it was.
  expect((await someone.call('GET', '/my')).body.data).toHaveLength(50)
})
