import { afterAll, beforeAll, expect, test } from 'vitest'
import { newId } from '../../../src/core/id.ts'
import { recordsOf, rowsOf } from '../../support/csv.ts'
import type { Person } from '../../support/world.ts'
import { openRoom, type Room } from './room.ts'

const CSV = { Accept: 'text/csv' }
const RANGE = 'from=2022-08-01&to=2022-08-08'

let room: Room
let person: Person
const formula = `=1+1 ${newId()}`
beforeAll(async () => {
  room = await openRoom()
  person = await room.at.person()
  const tokens = { prompt: 12_345, completion: 678, cached: 9 }
  const models = [await room.at.model({ name: formula }), await room.at.model()]
  const key = await room.key(person.uid, '-2+3,"so"; he said')
  const costs = [1, 1_000_000, 9_999_999_999_999, 700]
  for (const [n, cost] of costs.entries())
    await room.past(person.uid, {
      ...{ at: `2022-08-0${n + 2}T10:00:00Z`, cost, tokens, modelUid: models[n % 2]!.modelUid },
      ...(n > 1 ? { keyUid: key } : {}),
    })
})
afterAll(() => room?.close())

/** A text that a spreadsheet would take for a formula, as it stands in a file. */
const defused = (value: unknown) =>
  typeof value === 'string' && /^[=+\-@]/.test(value) ? `'${value}` : value

test.each(['day', 'model', 'key', 'day,model', 'day,key'])('by %s a file says what JSON says', async (by) => {
  const { data } = await room.usage(person, `${RANGE}&by=${by}`)
  const file = await room.ask(person, `${RANGE}&by=${by}`, CSV)
  expect(file.headers.get('content-type')).toBe('text/csv; charset=utf-8; header=present')
  expect(file.headers.get('content-disposition')).toBe(
    `attachment; filename="usage-by-${by.replace(',', '-')}-2022-08-01-2022-08-08.csv"`,
  )
  const text = String(file.body)
  expect(recordsOf(text)[0]).toEqual(Object.keys(data[0]!))
  expect(rowsOf(text)).toEqual(
    data.map((row) => Object.fromEntries(Object.entries(row).map(([key, value]) => [key, defused(value)]))),
  )
  for (const record of recordsOf(text).slice(1)) expect(record.at(-1)).toMatch(/^\d+(\.\d{1,6})?$/)
})

test('names that look like formulas stay names, and numbers numbers', async () => {
  const byModel = String((await room.ask(person, `${RANGE}&by=model`, CSV)).body)
  // 0.000001 and 9,999,999.999999, to the last digit.
  expect(byModel).toContain(`,'${formula},2,0,24690,1356,26046,18,0,10000000\r\n`)
  const byKey = String((await room.ask(person, `${RANGE}&by=key`, CSV)).body)
  expect(byKey).toContain(`,"'-2+3,""so""; he said",2,0,`)
  expect(byKey).toMatch(/\r\n,,2,0,24690,1356,26046,18,0,1\.000001\r\n$/)
})

test.each([
  ['text/csv', true],
  ['Text/CSV; header=present', true],
  ['text/*', true],
  ['text/csv, */*', true],
  ['text/csv, application/json;q=0.9', true],
  ['application/json;q=0.2, text/csv;q=0.3', true],
  ['application/json;q=0, */*', true],
  ['application/json, text/csv', false],
  ['application/json, text/csv;q=0.9', false],
  ['text/csv;q=0', false],
  ['text/csv;q=0, */*', false],
  ['*/*;q=0.8, text/csv;q=0.1', false],
  ['text/html, application/xhtml+xml, */*;q=0.8', false],
  ['*/*', false],
  ['image/png', false],
  ['text/csvx', false],
  ['', false],
])('Accept: %s', async (accept, isFile) => {
  const { status, headers } = await room.ask(person, RANGE, { Accept: accept })
  expect(status).toBe(200)
  expect(headers.get('content-type')?.startsWith('text/csv')).toBe(isFile)
  expect(headers.get('vary')).toMatch(/(^|, ?)accept(,|$)/i)
})

test('a refusal is a problem document whatever was asked for', async () => {
  for (const query of ['by=hour', 'from=2022-08-02&to=2022-08-01', 'scope=all']) {
    const { status, headers } = await room.ask(person, query, CSV)
    expect([403, 422]).toContain(status)
    expect(headers.get('content-type')).toBe('application/problem+json')
  }
})
