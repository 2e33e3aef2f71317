import { z } from '@hono/zod-openapi'
import { AMOUNT_LIMIT, toCredits, toMicros } from '../core/credits.ts'
import { type FailureCode, failures } from '../core/failure.ts'
import { isId } from '../core/id.ts'
import { codePoints, wellFormed } from '../core/text.ts'

// The words in which createRoute is written. A route reads: who may call (guard.ts), what comes in (`body`), what
// goes out (`answer`), how it can be refused (`refusals`).

export const Id = z
  .string()
  .refine(isId, 'must be a UUID')
  .transform((id) => id.toLowerCase())
  .openapi({ format: 'uuid', example: '019abf6e-7c1d-7a53-9d0e-3f1f6a0c2b11' })

/** An id in an answer. */
export const Uid = z.string().openapi({ format: 'uuid', example: '019abf6e-7c1d-7a53-9d0e-3f1f6a0c2b11' })

export const Instant = z.string().openapi({ format: 'date-time', example: '2026-11-22T09:30:00.000Z' })

/** The years that ISO 8601 and Postgres both write with four digits. */
export const FIRST_INSTANT = Date.parse('0001-01-01T00:00:00Z')
const LAST_INSTANT = Date.parse('9999-12-31T23:59:59.999Z')

/** An end of a range in a query, to the millisecond: what answers carry. A day is its first instant in UTC. */
export const Moment = (description: string) =>
  z
    .union([z.iso.date(), z.iso.datetime({ offset: true })], {
      error: 'must be an ISO 8601 day, or an instant with a time zone',
    })
    .transform((text) => new Date(text))
    .refine((at) => at.getTime() >= FIRST_INSTANT && at.getTime() <= LAST_INSTANT, 'is too far away')
    .optional()
    .openapi({
      type: 'string',
      example: '2026-11-22T00:00:00Z',
      description: `${description} An ISO 8601 instant, or a day, which stands for its first instant in UTC.`,
    })

/** Text as it is stored: see `wellFormed`. Lengths are counted after it, in code points. */
export const Text = (least: number, most: number) => lasting(wellFormed, least, most)

/** Text of one line, trimmed. */
export const Line = (least: number, most: number) => lasting((text) => wellFormed(text).trim(), least, most)

const lasting = (form: (text: string) => string, least: number, most: number) =>
  z
    .string()
    .transform(form)
    .refine(
      (text) => {
        const points = codePoints(text)
        return points >= least && points <= most
      },
      least === 0 ? `must have at most ${most} characters` : `must have ${least} to ${most} characters`,
    )
    .openapi({ type: 'string', ...(least > 0 ? { minLength: least } : {}), maxLength: most })

/** Credits in an answer: a JSON number with at most 6 decimals. */
export const Credits = z.number().openapi({ example: 12.345678, description: 'Credits, at most 6 decimals.' })

/** Credits in a request → micro-credits. */
export const CreditsIn = (range: { min?: number; max?: number } = {}) =>
  z
    .number()
    .min(range.min ?? -toCredits(AMOUNT_LIMIT))
    .max(range.max ?? toCredits(AMOUNT_LIMIT))
    .transform((credits, check) => {
      const micros = toMicros(credits)
      if (micros !== undefined) return micros
      check.addIssue({ code: 'custom', message: 'must have at most 6 decimals' })
      return z.NEVER
    })
    .openapi({ type: 'number', example: 10.5 })

export const body = <Schema extends z.ZodType>(schema: Schema) => ({
  required: true as const,
  content: { 'application/json': { schema } },
})

export const answer = <Schema extends z.ZodType>(description: string, schema: Schema) => ({
  description,
  content: { 'application/json': { schema } },
})

export const Problem = z
  .looseObject({
    type: z.string(),
    title: z.string(),
    status: z.number().int(),
    code: z.string(),
    detail: z.string(),
    requestId: z.string(),
    errors: z.array(z.object({ path: z.string(), message: z.string() })).optional(),
  })
  .openapi('Problem')

/** What any route may answer. */
const always: FailureCode[] = ['internal_error', 'unavailable']
/** What any route with a body may answer. */
export const BODY: FailureCode[] = [
  'malformed_body',
  'payload_too_large',
  'unsupported_media_type',
  'invalid_request',
]
/** What any route behind a guard may answer. */
export const SIGNED_IN: FailureCode[] = ['unauthenticated', 'account_blocked', 'origin_not_allowed']
export const ADMINISTRATOR: FailureCode[] = [...SIGNED_IN, 'forbidden']
export const IDEMPOTENT: FailureCode[] = ['idempotency_mismatch', 'idempotency_in_progress']

/** The refusals of a route as responses. */
export const refusals = (...codes: FailureCode[]) =>
  refusalsAs('application/problem+json', Problem, exampleOf, [...codes, ...always])

/** Refusals in any shape, from the one table of failures. */
export function refusalsAs<Schema extends z.ZodType>(
  type: string,
  schema: Schema,
  example: (code: FailureCode) => unknown,
  codes: FailureCode[],
  // biome-ignore lint/complexity/noBannedTypes: an empty object type keeps handlers from having to type refusals
): {} {
  const byStatus: Record<number, FailureCode[]> = {}
  for (const code of new Set(codes)) {
    const { status } = failures[code]
    byStatus[status] = [...(byStatus[status] ?? []), code]
  }
  return Object.fromEntries(
    Object.entries(byStatus).map(([status, group]) => [
      status,
      {
        description: group.map((code) => `\`${code}\`: ${failures[code].title}.`).join(' '),
        content: {
          [type]: {
            schema,
            examples: Object.fromEntries(group.map((code) => [code, { value: example(code) }])),
          },
        },
      },
    ]),
  )
}

const exampleOf = (code: FailureCode) => ({
  type: `urn:bothub-edge:problem:${code}`,
  title: failures[code].title,
  status: failures[code].status,
  code,
  detail: `${failures[code].title}.`,
  requestId: '019abf6e-7c1d-7a53-9d0e-3f1f6a0c2b11',
})

export const IdempotencyHeader = z.object({
  'Idempotency-Key': z
    .string()
    .regex(/^[\x21-\x7e]{1,255}$/, 'must be 1 to 255 visible characters')
    .optional()
    .openapi({
      param: { in: 'header' },
      description: 'A repeat with the same key gets the first outcome instead of doing it again.',
    }),
})
