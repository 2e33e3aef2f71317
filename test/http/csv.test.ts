import fc from 'fast-check'
import { expect, it } from 'vitest'
import { toCredits } from '../../src/core/credits.ts'
import { csvText } from '../../src/http/csv.ts'
import { recordsOf } from '../support/csv.ts'

const columns = ['text', 'credits', 'more'] as const
/** Whatever may stand in a field, with much of what ends one. */
const anyText = fc
  .array(fc.oneof(fc.constantFrom(...',;"\'\r\n\t=+-@＝ ', 'é', '🙂'), fc.string({ unit: 'grapheme' })), {
    maxLength: 12,
  })
  .map((parts) => parts.join(''))

it('any rows come back as they were, numbers as numbers and no text as a formula', () => {
  const micros = fc.integer({ min: -1e15, max: 1e15 })
  const anyRow = fc.record({ text: anyText, credits: micros.map(toCredits), more: fc.option(anyText) })
  fc.assert(
    fc.property(fc.array(anyRow), (rows) => {
      const [header, ...records] = recordsOf(csvText(columns, rows))
      expect(header).toEqual(columns)
      expect(records).toHaveLength(rows.length)
      for (const [n, [text = '', credits = '', more = '']] of records.entries()) {
        expect(credits).toMatch(/^-?\d+(\.\d{1,6})?$/)
        expect(Number(credits)).toBe(rows[n]!.credits)
        for (const [came, was] of [
          [text, rows[n]!.text],
          [more, rows[n]!.more ?? ''],
        ] as const) {
          expect(came).not.toMatch(/^[=+\-@\t\r\n＝＋－＠]/)
          expect([was, `'${was}`]).toContain(came)
        }
      }
    }),
  )
})

it('the smallest and the largest amounts are written out', () => {
  const amounts = [1, -1, 1_000_000, 1e15, 123_456_789_012_345, 0].map(toCredits)
  const text = csvText(
    ['credits'],
    amounts.map((credits) => ({ credits })),
  )
  expect(text).toBe('credits\r\n0.000001\r\n-0.000001\r\n1\r\n1000000000\r\n123456789.012345\r\n0\r\n')
})

it('quotes what a program with another separator would split', () => {
  expect(
    csvText(['name'], [{ name: 'a;=1+1' }, { name: 'say "hi"' }, { name: '=1+1' }, { name: '@a,b' }]),
  ).toBe('name\r\n"a;=1+1"\r\n"say ""hi"""\r\n\'=1+1\r\n"\'@a,b"\r\n')
})
