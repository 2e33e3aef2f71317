import { z } from '@hono/zod-openapi'
import { Credits, CreditsIn, Id, Instant, Line, Uid } from '../../http/contract.ts'
import { pageOf } from '../../http/page.ts'

/** Keys of one person that are not revoked. */
export const MOST_KEYS = 100
const MOST_MODELS = 100
const LEAST_BUDGET = 0.000001
const MOST_BUDGET = 1_000_000_000

const Name = Line(1, 100).openapi({ example: 'Nightly report' })

/** Later years are no longer four digits, in ISO 8601 and in Postgres. */
const LAST = Date.parse('9999-12-31T23:59:59.999Z')

/** Whether it is still to come is for the database's clock to say: that is the one by which a key expires. */
const ExpiresAt = z.iso
  .datetime({ offset: true, message: 'must be an ISO 8601 instant with a time zone' })
  .transform((text) => new Date(text))
  .refine((at) => at.getTime() > 0, 'must be in the future')
  .refine((at) => at.getTime() <= LAST, 'is too far away')

const expiryDoc = {
  format: 'date-time',
  description: 'In the future. From then on the key is refused.',
  example: '2031-01-01T00:00:00Z',
}

const Budget = CreditsIn({ min: LEAST_BUDGET, max: MOST_BUDGET })

const budgetDoc = {
  minimum: LEAST_BUDGET,
  maximum: MOST_BUDGET,
  description: 'Credits that the key may spend in all; at most 6 decimals.',
  example: 25,
}

const Models = z
  .array(Id)
  .min(1)
  .max(MOST_MODELS)
  .transform((uids) => [...new Set(uids)])

const modelsDoc = {
  items: { type: 'string' as const, format: 'uuid' },
  minItems: 1,
  maxItems: MOST_MODELS,
  description: 'The only models that the key may ask.',
  example: ['019abf6e-7c1d-7a53-9d0e-3f1f6a0c2b11'],
}

const orNull = <Type extends string>(type: Type): [Type, 'null'] => [type, 'null']

export const CreateKey = z
  .strictObject({
    name: Name,
    expiresAt: ExpiresAt.optional().openapi({ type: 'string', ...expiryDoc }),
    budget: Budget.optional().openapi({ type: 'number', ...budgetDoc }),
    models: Models.optional().openapi({ type: 'array', ...modelsDoc }),
  })
  .openapi('CreateKey', {
    example: { name: 'Nightly report', expiresAt: '2031-01-01T00:00:00Z', budget: 25 },
  })
export type CreateKey = z.output<typeof CreateKey>

export const ChangeKey = z
  .strictObject({
    name: Name.optional(),
    expiresAt: ExpiresAt.nullable()
      .optional()
      .openapi({ type: orNull('string'), ...expiryDoc }),
    budget: Budget.nullable()
      .optional()
      .openapi({ type: orNull('number'), ...budgetDoc }),
    models: Models.nullable()
      .optional()
      .openapi({ type: orNull('array'), ...modelsDoc }),
  })
  .refine(
    (fields) => Object.values(fields).some((field) => field !== undefined),
    'must hold at least one field',
  )
  .openapi('ChangeKey', { minProperties: 1, example: { budget: 50, expiresAt: null } })
export type ChangeKey = z.output<typeof ChangeKey>

export const KeyUid = z.object({ keyUid: Id.openapi({ param: { name: 'keyUid', in: 'path' } }) })

export const KeyRef = z.object({ keyUid: Uid }).openapi('KeyRef')

export const KeyCreated = z
  .object({
    keyUid: Uid,
    key: z.string().optional().openapi({
      description: 'The secret, here and never again: a repeat under the same Idempotency-Key goes without.',
      example: 'sk-bh-kept-by-you-alone',
    }),
  })
  .openapi('KeyCreated')
export type KeyCreated = z.output<typeof KeyCreated>

export const Key = z
  .object({
    uid: Uid,
    name: z.string().openapi({ example: 'Nightly report' }),
    hint: z.string().openapi({ description: 'The last characters of the secret.', example: 'x4Qz' }),
    budget: Credits.nullable().openapi({ description: 'Credits in all; null: no limit.', example: 25 }),
    spent: Credits.openapi({ description: 'Credits that its answers have cost.', example: 4.25 }),
    held: Credits.openapi({ description: 'Credits that its running answers hold.', example: 0.75 }),
    remaining: Credits.nullable().openapi({
      description: 'The budget less what is spent and held, never below 0; null: no limit.',
      example: 20,
    }),
    models: z.array(Uid).nullable().openapi({ description: 'Null: every model.' }),
    expiresAt: Instant.nullable(),
    lastUsedAt: Instant.nullable(),
    revokedAt: Instant.nullable(),
    status: z.enum(['ACTIVE', 'EXPIRED', 'REVOKED']).openapi({ example: 'ACTIVE' }),
    createdAt: Instant,
  })
  .openapi('Key')
export type Key = z.output<typeof Key>

export const KeyPage = pageOf(Key).openapi('KeyPage')
