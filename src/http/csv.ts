import { z } from '@hono/zod-openapi'
import { accepts } from 'hono/accepts'
import type { Ctx } from './context.ts'

/** The most rows that a file, or a table made from sums, has. */
export const MOST_ROWS = 10_000

const JSON_TYPE = 'application/json'
const CSV_TYPE = 'text/csv'

interface MediaRange {
  type: string
  q: number
}

/**
 * Whether the caller would rather have CSV than JSON, and marks the answer as one that depends on it. JSON where
 * both are as welcome, and where neither is: better than nothing.
 */
export function wantsCsv(c: Ctx): boolean {
  c.header('Vary', 'Accept', { append: true })
  const supports = [JSON_TYPE, CSV_TYPE]
  return accepts(c, { header: 'Accept', supports, default: JSON_TYPE, match: preferred }) === CSV_TYPE
}

// RFC 9110, section 12.5.1. Of two types as welcome, the one named more precisely: `text/csv, */*` means CSV.
function preferred(ranges: MediaRange[]): string {
  const [json, csv] = [wish(ranges, JSON_TYPE), wish(ranges, CSV_TYPE)]
  const isCsv = csv.q > json.q || (csv.q > 0 && csv.q === json.q && csv.precision > json.precision)
  return isCsv ? CSV_TYPE : JSON_TYPE
}

/** How welcome a type is: the most precise range that it is in says so. */
function wish(ranges: MediaRange[], type: string): { q: number; precision: number } {
  for (const [less, name] of [type, `${type.split('/')[0]}/*`, '*/*'].entries()) {
    const range = ranges.find((each) => each.type.toLowerCase() === name)
    if (range) return { q: range.q, precision: -less }
  }
  return { q: 0, precision: -3 }
}

/** Numbers are counts and credits; none of them has a short form with an exponent. */
type Cell = string | number | null | undefined

/** Where a spreadsheet takes text for a formula: at its beginning, in ASCII or in full width. */
const FORMULA = /^[=+\-@\t\r\n\uFF1D\uFF0B\uFF0D\uFF20]/
/** What ends a field here, or in programs that guess at another separator. */
const TO_BE_QUOTED = /[",;\t\r\n]|^ | $/

/** RFC 4180, with its header: a row is read by the names of the columns. Text never becomes a formula. */
export function csvText<Name extends string>(
  columns: readonly Name[],
  rows: readonly Partial<Record<Name, Cell>>[],
): string {
  const lines = [columns, ...rows.map((row) => columns.map((name) => field(row[name])))]
  return lines.map((fields) => `${fields.join(',')}\r\n`).join('')
}

function field(cell: Cell): string {
  if (cell === null || cell === undefined) return ''
  if (typeof cell === 'number') return String(cell)
  const text = FORMULA.test(cell) ? `'${cell}` : cell
  return TO_BE_QUOTED.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}

export interface CsvFile<Name extends string> {
  /** Of ASCII letters, digits, dots and dashes. */
  name: string
  /** As the fields are called in JSON. */
  columns: readonly Name[]
  rows: readonly Partial<Record<Name, Cell>>[]
  /** Where the rows go on. */
  nextCursor?: string | null
  /** There are more rows, and no way on. */
  truncated?: boolean
}

/** Rows as a file to keep. That there are more of them is said in the headers: a file has no place for it. */
export function csvFile<Name extends string>(c: Ctx, file: CsvFile<Name>): Response {
  const next = new URL(c.req.url)
  next.searchParams.set('cursor', file.nextCursor ?? '')
  return c.body(csvText(file.columns, file.rows), 200, {
    'Content-Type': `${CSV_TYPE}; charset=utf-8; header=present`,
    'Content-Disposition': `attachment; filename="${file.name}"`,
    ...(file.nextCursor ? { Link: `<${next.pathname}${next.search}>; rel="next"` } : {}),
    ...(file.truncated ? { 'X-Truncated': 'true' } : {}),
  })
}

/** An answer that comes in both forms; `example` is the beginning of a file. */
export const answerOrFile = <Schema extends z.ZodType>(
  description: string,
  schema: Schema,
  example: string,
  more: Record<string, string>,
) => ({
  description,
  headers: Object.fromEntries(
    Object.entries(more).map(([name, words]) => [
      name,
      { description: words, schema: { type: 'string' as const } },
    ]),
  ),
  content: {
    [JSON_TYPE]: { schema },
    [CSV_TYPE]: {
      schema: z.string().openapi({ description: 'RFC 4180, in UTF-8, with a header row.', example }),
    },
  },
})
