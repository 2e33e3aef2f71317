import { z } from '@hono/zod-openapi'
import { type SQL, sql } from 'drizzle-orm'
import { fromBase64Url, toBase64Url } from '../core/bytes.ts'
import { isId } from '../core/id.ts'

/** In a page of which nobody said how long it shall be. */
export const USUAL_ROWS = 50

export const PageQuery = z.object({
  limit: z.coerce
    .number()
    .int()
    .min(1)
    .max(100)
    .default(USUAL_ROWS)
    .openapi({ description: 'Rows in a page.' }),
  cursor: z
    .string()
    .max(200)
    .transform((text, check) => {
      const place = decode(text)
      if (place) return place
      check.addIssue({ code: 'custom', message: 'must be a nextCursor of this list' })
      return z.NEVER
    })
    .optional()
    .openapi({ type: 'string', maxLength: 200, description: 'The `nextCursor` of the page before.' }),
})

export const pageOf = <Row extends z.ZodType>(row: Row) =>
  z.object({ data: z.array(row), nextCursor: z.string().nullable() })

/** The place of a row in a list that runs by (created_at, uid), newest first; `at` keeps Postgres's microseconds. */
export interface Place {
  at: string
  uid: string
}

export interface PageRequest {
  limit: number
  cursor?: Place | undefined
}

/** Rows are asked for with one more than the limit: the extra one says that there is a next page. */
export function page<Row>(
  rows: Row[],
  limit: number,
  placeOf: (row: Row) => Place,
): { data: Row[]; nextCursor: string | null } {
  const data = rows.slice(0, limit)
  const last = data[data.length - 1]
  return { data, nextCursor: rows.length > limit && last !== undefined ? encode(placeOf(last)) : null }
}

/** `AND (created_at, uid) < cursor`, or nothing for the first page. */
export const beyond = (cursor: Place | undefined): SQL =>
  cursor ? sql`AND (created_at, uid) < (${cursor.at}::timestamptz, ${cursor.uid}::uuid)` : sql``

const encode = ({ at, uid }: Place): string => toBase64Url(new TextEncoder().encode(`${at}|${uid}`))

function decode(text: string): Place | undefined {
  try {
    const [at = '', uid = ''] = new TextDecoder().decode(fromBase64Url(text)).split('|')
    return isTimestamp(at) && isId(uid) ? { at, uid } : undefined
  } catch {
    return undefined
  }
}

/** A timestamptz as Postgres writes it. What only looks like one (30 February, year 0) would be an error there. */
function isTimestamp(at: string): boolean {
  const match =
    /^(?!0000)(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d)(?:\.\d{1,6})?[+-](?:0\d|1[0-4])(?::[0-5]\d)?$/.exec(at)
  const [, day, time] = match ?? []
  const date = new Date(`${day}T${time}Z`)
  return !Number.isNaN(date.getTime()) && date.toISOString().startsWith(`${day}T`)
}
