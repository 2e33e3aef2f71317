import { sql } from 'drizzle-orm'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { newId } from '../../../src/core/id.ts'
import type { Transaction } from '../../../src/features/transactions/schema.ts'
import { type Bank, type Customer, entry, openBank } from './bank.ts'

let bank: Bank
let admin: Customer
beforeAll(async () => {
  bank = await openBank()
  admin = await bank.administrator()
})
afterAll(() => bank?.close())

const OWN = { amount: 1, type: 'PURCHASE' }

async function pageOf(reader: Customer, path: string) {
  const { status, body } = await reader.call('GET', path)
  expect([status, body.code]).toEqual([200, undefined])
  return body
}

/** Every page from the newest on, with something happening in between. */
async function walk(reader: Customer, path: string, between: () => Promise<unknown> = async () => {}) {
  const rows: Transaction[] = []
  let cursor = ''
  for (;;) {
    const page = await pageOf(reader, `${path}${path.includes('?') ? '&' : '?'}limit=3${cursor}`)
    rows.push(...page.data)
    if (page.nextCursor === null) return rows
    expect(page.data).toHaveLength(3)
    cursor = `&cursor=${page.nextCursor}`
    await between()
  }
}

describe('GET /my', () => {
  test('an empty page is a page', async () => {
    const someone = await bank.person()
    expect(await pageOf(someone, '/my')).toEqual({ data: [], nextCursor: null })
  })

  test('is complete and without repeats while rows come in, and agrees with balanceAfter', async () => {
    const someone = await bank.person()
    for (let n = 0; n < 10; n++) await someone.call('POST', '/my/make', OWN)
    const rows = await walk(someone, '/my', () => someone.call('POST', '/my/make', OWN))
    expect(rows.map((row) => row.balanceAfter)).toEqual([10, 9, 8, 7, 6, 5, 4, 3, 2, 1])
    expect(new Set(rows.map((row) => row.uid)).size).toBe(10)
  })

  test('rows of one instant are neither lost nor repeated', async () => {
    const someone = await bank.person()
    const at = '2020-02-29T12:00:00.123456Z'
    await bank.past(someone.uid, ...Array.from({ length: 7 }, () => ({ amount: 1, at })))
    const rows = await walk(someone, '/my')
    expect(rows.map((row) => row.balanceAfter)).toEqual([7, 6, 5, 4, 3, 2, 1].map((n) => n / 1e6))
    expect(rows[0]?.createdAt).toBe('2020-02-29T12:00:00.123Z')
  })

  test("shows one's own alone, without who booked it", async () => {
    const [one, other] = [await bank.person(), await bank.person()]
    await admin.call('POST', '/make', entry(one.uid, 1))
    await admin.call('POST', '/make', entry(other.uid, 1))
    const { data } = await pageOf(one, `/my?userUid=${other.uid}`)
    expect(data.map((row) => row.userUid)).toEqual([one.uid])
  })

  test.each([
    ['limit=0'],
    ['limit=101'],
    ['limit=x'],
    ['cursor='],
    ['cursor=x'],
    [`cursor=${cursorAt('2026-02-30 00:00:00+00')}`],
    [`cursor=${cursorAt('0000-01-01 00:00:00+00')}`],
    [`cursor=${cursorAt('2026-01-01 00:00:00+19')}`],
    [`cursor=${cursorAt("2026-01-01 00:00:00+00'")}`],
  ])('refuses ?%s', async (query) => {
    const { status, body } = await admin.call('GET', `/my?${query}`)
    expect([status, body.code]).toEqual([422, 'invalid_request'])
  })
})

function cursorAt(at: string): string {
  return btoa(`${at}|${newId()}`).replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '')
}

describe('GET /all', () => {
  test('filters by person, type and time, alone and together', async () => {
    const someone = await bank.person()
    const year = 1000 + Math.floor(Math.random() * 900)
    const at = (day: number) => `${year}-01-0${day}T00:00:00.000Z`
    await bank.past(
      someone.uid,
      { amount: 1, at: at(1) },
      { amount: 1, at: at(2), type: 'REFUND' },
      { amount: 1, at: at(3) },
      { amount: 1, at: at(4), type: 'ADJUSTMENT' },
    )
    const days = async (query: string) =>
      (await walk(admin, `/all?${query}`)).map((row) => new Date(row.createdAt).getUTCDate())

    const own = `userUid=${someone.uid}`
    expect(await days(own)).toEqual([4, 3, 2, 1])
    expect(await days(`userUid=${someone.uid.toUpperCase()}`)).toEqual([4, 3, 2, 1])
    expect(await days(`${own}&type=PURCHASE`)).toEqual([3, 1])
    expect(await days(`from=${at(2)}&to=${at(4)}`)).toEqual([3, 2])
    expect(await days(`from=${at(2)}&to=${at(2)}`)).toEqual([])
    expect(await days(`type=REFUND&from=${at(1)}&to=${at(9)}`)).toEqual([2])
    expect(await days(`${own}&to=${year}-01-02T01:00:00%2B01:00`)).toEqual([1])
    expect(await days(`${own}&type=PURCHASE&from=${at(2)}&to=${at(9)}`)).toEqual([3])
    expect(await days(`${own}&from=${year}-01-02&to=${year}-01-04`)).toEqual([3, 2])
    expect(await days(`userUid=${newId()}`)).toEqual([])
  })

  test("shows everybody's, complete while rows come in", async () => {
    const [one, other] = [await bank.person(), await bank.person()]
    for (let n = 0; n < 4; n++)
      for (const someone of [one, other]) await someone.call('POST', '/my/make', OWN)
    const from = (await pageOf(one, '/my')).data[3]!.createdAt
    const rows = await walk(admin, `/all?from=${from}`, () => one.call('POST', '/my/make', OWN))
    expect(rows.map((row) => [row.userUid, row.balanceAfter])).toEqual(
      [4, 3, 2, 1].flatMap((n) => [other, one].map((someone) => [someone.uid, n])),
    )
  })

  test.each([
    ['userUid=1'],
    ['type=GIFT'],
    ['from=yesterday'],
    ['from=2026-02-30'],
    ['from=2026-01-01T00:00:00'],
    ['from=2026-02-30T00:00:00Z'],
    ['from=0000-01-01T00:00:00Z'],
    ['to='],
    ['from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z'],
  ])('refuses ?%s', async (query) => {
    const { status, body } = await admin.call('GET', `/all?${query}`)
    expect([status, body.code]).toEqual([422, 'invalid_request'])
  })
})

describe('GET /info/{transactionUid}', () => {
  test('is for its owner and for administrators, and names the answer that was paid', async () => {
    const [owner, other] = [await bank.person(), await bank.person()]
    const [uid, generationUid] = [newId(), newId()]
    const cost = { uid, generationUid, amount: -1, type: 'GENERATION_COST', at: '2026-05-12T10:00:00Z' }
    await bank.past(owner.uid, { amount: 1 }, cost)
    const expected = {
      uid,
      userUid: owner.uid,
      amount: -0.000001,
      type: 'GENERATION_COST',
      description: 'Then',
      balanceAfter: 0,
      generationUid,
      createdAt: '2026-05-12T10:00:00.000Z',
    }
    for (const reader of [owner, admin])
      expect((await reader.call('GET', `/info/${uid}`)).body).toEqual(expected)

    // A token that still says ADMIN is not enough.
    const fallen = await bank.administrator()
    await bank.rows(sql`UPDATE users SET role = 'USER' WHERE uid = ${fallen.uid}`)
    for (const reader of [other, fallen]) {
      const hidden = await reader.call('GET', `/info/${uid}`)
      const absent = await reader.call('GET', `/info/${newId()}`)
      expect([hidden.status, hidden.body.code]).toEqual([404, 'transaction_not_found'])
      expect({ ...hidden.body, requestId: '' }).toEqual({ ...absent.body, requestId: '' })
    }
    expect((await owner.call('GET', '/info/1')).status).toBe(422)
  })
})

test('a booking, a list and a look at one row are one round trip each', async () => {
  const someone = await bank.person()
  const trips = async (work: () => Promise<{ body: { transactionUid?: string } }>) => {
    const before = bank.world.neon.counts.requests
    const { body } = await work()
    return { trips: bank.world.neon.counts.requests - before, body }
  }
  const made = await trips(() => someone.call('POST', '/my/make', OWN, { 'Idempotency-Key': 'one' }))
  expect(made.trips).toBe(1)
  expect((await trips(() => someone.call('GET', '/my'))).trips).toBe(1)
  expect((await trips(() => admin.call('GET', `/info/${made.body.transactionUid}`))).trips).toBe(1)
  // The guard of administrators asks first.
  expect((await trips(() => admin.call('POST', '/make', entry(someone.uid, 1)))).trips).toBe(2)
})
