import { z } from '@hono/zod-openapi'
import { Credits, CreditsIn, Id, Instant, Line, Moment, Uid } from '../../http/contract.ts'
import { PageQuery, pageOf } from '../../http/page.ts'
import { transactions } from './table.ts'

export const Type = z.enum(transactions.type.enumValues).openapi('TransactionType', {
  description:
    '`PURCHASE` and `REFUND` credit the account, `GENERATION_COST` debits it, an `ADJUSTMENT` does either.',
})
export type TransactionType = z.output<typeof Type>

const amountNote = 'Credits, at most 6 decimals and 10,000,000 in size.'
const SMALLEST = 0.000001

export const TopUp = z
  .strictObject({
    amount: CreditsIn({ min: SMALLEST }).openapi({
      description: amountNote,
      minimum: SMALLEST,
      maximum: 10_000_000,
    }),
    type: z.literal('PURCHASE'),
    description: Line(1, 500)
      .default('Top-up')
      .openapi({ example: 'Top-up by card', minLength: 1, maxLength: 500 }),
  })
  .openapi('TopUp', { example: { amount: 10.5, type: 'PURCHASE', description: 'Top-up by card' } })

export const Entry = z
  .strictObject({
    userUid: Id,
    amount: CreditsIn().openapi({
      description: `${amountNote} Greater than 0, and credited or debited by \`type\`; with \`ADJUSTMENT\` signed, and not 0.`,
      minimum: -10_000_000,
      maximum: 10_000_000,
    }),
    type: Type,
    description: Line(1, 500).openapi({
      example: 'Goodwill for the outage of 12 May',
      minLength: 1,
      maxLength: 500,
    }),
  })
  .refine(({ type, amount }) => (type === 'ADJUSTMENT' ? amount !== 0 : amount > 0), {
    path: ['amount'],
    message: 'must be greater than 0, or with ADJUSTMENT signed and not 0',
  })
  .openapi('TransactionEntry', {
    example: {
      userUid: '019abf6e-7c1d-7a53-9d0e-3f1f6a0c2b11',
      amount: 25,
      type: 'REFUND',
      description: 'Goodwill for the outage of 12 May',
    },
  })

export const Booked = z.object({ transactionUid: Uid, newBalance: Credits }).openapi('Booked')

export const Transaction = z
  .object({
    uid: Uid,
    userUid: Uid,
    amount: Credits.openapi({ example: -0.75, description: 'Signed credits, at most 6 decimals.' }),
    type: Type,
    description: z.string().openapi({ example: 'Top-up' }),
    balanceAfter: Credits,
    generationUid: Uid.optional().openapi({ description: 'The answer that this is the cost of.' }),
    createdAt: Instant,
  })
  .openapi('Transaction')
export type Transaction = z.output<typeof Transaction>

export const TransactionPage = pageOf(Transaction).openapi('TransactionPage')

const filter = {
  type: Type.optional(),
  from: Moment('Only from this instant on.'),
  to: Moment('Only before this instant.'),
}
const isRange = ({ from, to }: { from?: Date | undefined; to?: Date | undefined }) =>
  !from || !to || from <= to
const notARange = { path: ['to'], message: 'must not be before `from`' }

export const OwnQuery = PageQuery.extend({
  ...filter,
  limit: PageQuery.shape.limit
    .unwrap()
    .optional()
    .openapi({ description: 'Rows in a page. Without it 50; in a file, 10,000.' }),
}).refine(isRange, notARange)

export const AllQuery = PageQuery.extend({
  userUid: Id.optional().openapi({ description: 'Only of this person.' }),
  ...filter,
}).refine(isRange, notARange)

export const OnePath = z.object({
  transactionUid: Id.openapi({ param: { name: 'transactionUid', in: 'path' } }),
})

const Side = z.union([z.number(), z.string(), z.null()])

export const Difference = z
  .object({
    kind: z
      .enum([
        'balance',
        'balance_after',
        'held',
        'key_spent',
        'key_held',
        'charge_missing',
        'charge_unfounded',
        'message_status',
        'message_missing',
        'message_moved',
        'message_emptied',
        'message_spent',
        'message_tokens',
        'chat_spent',
        'chat_tokens',
        'chat_missing',
        'chat_foreign',
        'user_missing',
        'account_missing',
        'key_missing',
        'idempotency_unfounded',
        'lease_expired',
        'outbox_waiting',
      ])
      .openapi({ description: 'The rule that does not hold.' }),
    subject: Uid.openapi({
      description:
        'The person, chat, key, answer, transaction, message or event that breaks it; of an Idempotency-Key the person.',
    }),
    expected: Side.openapi({
      description: 'Credits, tokens, a status or a uid. Null: there is nothing.',
      example: 12.5,
    }),
    actual: Side.openapi({ description: 'Likewise.', example: 12.75 }),
    detail: z.string().openapi({ example: 'The balance is not the sum of the transactions.' }),
  })
  .openapi('Difference')
export type Difference = z.output<typeof Difference>

export const Audit = z
  .object({
    ok: z.boolean().openapi({ description: 'Nothing differs.', example: true }),
    checkedAt: Instant,
    accounts: z.number().int().openapi({ description: 'How many were looked at.', example: 1204 }),
    differences: z.array(Difference),
    truncated: z
      .boolean()
      .openapi({ description: 'There are more than the 100 of a kind that are named.', example: false }),
  })
  .openapi('Audit')
export type Audit = z.output<typeof Audit>

const count = (description: string, example: number) => z.number().int().openapi({ description, example })
const credits = (description: string, example: number) => z.number().openapi({ description, example })

export const Counters = z
  .object({
    checkedAt: Instant,
    running: count('Answers that are being written.', 12),
    held: credits('What they hold.', 4.25),
    overdue: count('Of them, those whose lease ended more than 5 minutes ago: no sweep runs.', 0),
    outboxWaiting: count('Events that wait for the feeds for more than 5 minutes.', 0),
    lastHour: z.object({
      settled: count('Answers that began in the last hour and have ended.', 640),
      credits: credits('What they cost.', 181.5),
      failed: count('Of them, failed ones.', 3),
      estimated: count('Of them, those whose upstream reported no usage.', 5),
      shortfalls: count('Of them, those that used more than could be taken.', 0),
      shortfall: credits('By how much.', 0),
    }),
  })
  .openapi('Counters')
export type Counters = z.output<typeof Counters>
