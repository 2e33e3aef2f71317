import { z } from '@hono/zod-openapi'
import { Credits, Id, Instant, Moment, Uid } from '../../http/contract.ts'

export const By = z
  .enum(['day', 'model', 'key', 'day,model', 'day,key'])
  .openapi({ description: 'What a row is of.', example: 'day' })
export type By = z.output<typeof By>

export const UsageQuery = z
  .object({
    from: Moment('Only from this instant on; without it, 30 days before `to`.'),
    to: Moment('Only before this instant; without it, the end of today in UTC.'),
    by: By.default('day'),
    scope: z.literal('all').optional().openapi({ description: 'For administrators: of everybody.' }),
    userUid: Id.optional().openapi({ description: 'For administrators: of this person.' }),
  })
  .refine(({ scope, userUid }) => !scope || !userUid, {
    path: ['userUid'],
    message: 'must not be given together with `scope=all`',
  })
export type UsageQuery = z.output<typeof UsageQuery>

const Count = z.number().int()

export const UsageFigures = z
  .object({
    requests: Count.openapi({ example: 42, description: 'Answers that have ended, however they did.' }),
    failures: Count.openapi({ example: 1, description: 'Those of them that ended as FAILED.' }),
    promptTokens: Count.openapi({ example: 12800 }),
    completionTokens: Count.openapi({ example: 5120 }),
    totalTokens: Count.openapi({ example: 17920, description: 'What was paid for.' }),
    cachedTokens: Count.openapi({ example: 0, description: 'Part of the prompt.' }),
    reasoningTokens: Count.openapi({ example: 640, description: 'Part of the output.' }),
    credits: Credits.openapi({ example: 17.92, description: 'What was charged, the sum to the last digit.' }),
  })
  .openapi('UsageFigures')
export type UsageFigures = z.output<typeof UsageFigures>

/** What a row may be of; the fields of what it is not of are absent. */
const Dimensions = z.object({
  day: z.string().optional().openapi({ format: 'date', example: '2026-11-22', description: 'In UTC.' }),
  modelUid: Uid.optional(),
  model: z.string().optional().openapi({ example: 'scribe', description: 'Its name today.' }),
  keyUid: Uid.nullable().optional().openapi({ description: 'Null: not by a key, but in chats.' }),
  key: z.string().nullable().optional().openapi({ example: 'Nightly reports', description: 'Its name.' }),
})

export const UsageRow = Dimensions.extend(UsageFigures.shape).openapi('UsageRow')
export type UsageRow = z.output<typeof UsageRow>

/** The columns of a row, in order. */
export const columnsOf = (by: By): (keyof UsageRow)[] => {
  const dimensions = {
    day: ['day'] as const,
    model: ['modelUid', 'model'] as const,
    key: ['keyUid', 'key'] as const,
  }
  return [...dimensionsOf(by).flatMap((name) => dimensions[name]), ...UsageFigures.keyof().options]
}

export type Dimension = 'day' | 'model' | 'key'
export const dimensionsOf = (by: By): Dimension[] => by.split(',') as Dimension[]

export const Usage = z
  .object({
    from: Instant,
    to: Instant,
    by: By,
    data: z.array(UsageRow),
    total: UsageFigures,
    truncated: z.boolean().openapi({
      description:
        'There are more than 10,000 rows: those that cost the least are left out of `data`, and not of `total`.',
      example: false,
    }),
  })
  .openapi('UsageReport')
export type Usage = z.output<typeof Usage>
