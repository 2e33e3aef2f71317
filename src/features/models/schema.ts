import { z } from '@hono/zod-openapi'
import { Credits, CreditsIn, Id, Instant, Line, Text, Uid } from '../../http/contract.ts'
import { pageOf } from '../../http/page.ts'

/** Least and most that the 6 decimals of a stored price allow. */
const LEAST = 0.000001
const MOST_TOKENS_A_CREDIT = 1_000_000_000
const MOST_PRICE = 1_000_000
const MOST_TOKENS = 100_000_000
export const DEFAULT_CONTEXT_TOKENS = 16_384

const printable = (text: string): boolean => !/[\p{Cc}\p{Zl}\p{Zp}]/u.test(text)

/** Slashes may divide it (`openai/gpt-4o`); a segment that a URL would swallow could never be asked for again. */
const Name = Line(1, 128)
  .refine(printable, 'must not hold control characters')
  .refine(
    (name) => name.split('/').every((part) => !['', '.', '..'].includes(part)),
    'must not have empty parts, "." or ".." between its slashes',
  )
  .openapi({ type: 'string', minLength: 1, maxLength: 128, example: 'gpt-4o-mini' })

const Type = Line(1, 256)
  .refine(printable, 'must not hold control characters')
  .openapi({ type: 'string', minLength: 1, maxLength: 256, example: 'gpt-4o-mini' })

const tokenCost = CreditsIn({ min: LEAST, max: MOST_TOKENS_A_CREDIT }).openapi({
  type: 'number',
  minimum: LEAST,
  maximum: MOST_TOKENS_A_CREDIT,
  description: 'How many tokens one credit buys: credits = total tokens ÷ token_cost. At most 6 decimals.',
  example: 1000,
})

const Price = CreditsIn({ min: LEAST, max: MOST_PRICE })
const priceDoc = (what: string, example: number) => ({
  type: ['number', 'null'] as ['number', 'null'],
  minimum: LEAST,
  maximum: MOST_PRICE,
  description: `Credits per million ${what}. At most 6 decimals. The prices of prompt and answer come together.`,
  example,
})
const tokens = z.number().int().min(1).max(MOST_TOKENS)

/** What an administrator says of a model. `null` is the same as leaving out, or, in an update, as taking away. */
const fields = {
  name: Name,
  description: Text(0, 4000).openapi({ type: 'string', maxLength: 4000, example: 'Small, quick, cheap.' }),
  token_cost: tokenCost,
  api_link: z.string().min(1).max(2048).openapi({
    description: 'An OpenAI-compatible base URL, or the full …/chat/completions.',
    example: 'https://api.openai.com/v1',
  }),
  auth_token: z
    .string()
    .transform((text) => text.trim())
    .pipe(z.string().regex(/^[\x21-\x7e]{1,4096}$/, 'must be 1 to 4096 visible ASCII characters'))
    .nullish()
    .openapi({
      type: ['string', 'null'],
      format: 'password',
      maxLength: 4096,
      writeOnly: true,
      description: 'The secret of the upstream, sent as `Authorization: Bearer`. Never shown again.',
    }),
  type: Type.optional(),
  input_price: Price.nullish().openapi(priceDoc('tokens of the prompt', 0.15)),
  output_price: Price.nullish().openapi(priceDoc('tokens of the answer', 0.6)),
  cached_input_price: Price.nullish().openapi(
    priceDoc('tokens of the prompt that the upstream had cached', 0.075),
  ),
  context_tokens: tokens.optional().openapi({ example: DEFAULT_CONTEXT_TOKENS }),
  max_output_tokens: tokens
    .nullish()
    .openapi({ description: 'The most that is ever asked for; less than `context_tokens`.', example: 4096 }),
  // `max_…` only: the parameter is written into the body and must not replace another member of it.
  limit_param: z
    .string()
    .regex(/^max_[a-z_]{1,60}$/, 'must be the name of a limit, such as max_tokens')
    .optional()
    .openapi({
      description: 'The parameter that limits the output. Learned from a refusal if not said.',
      example: 'max_tokens',
    }),
  enabled: z.boolean().optional().openapi({ description: 'Whether people may use it.', example: true }),
}

export const CreateModel = z.strictObject(fields).openapi('CreateModel', {
  example: {
    name: 'gpt-4o-mini',
    description: 'Small, quick, cheap.',
    token_cost: 1000,
    api_link: 'https://api.openai.com/v1',
    auth_token: 'the-upstream-secret',
    input_price: 0.15,
    output_price: 0.6,
    context_tokens: 128_000,
    max_output_tokens: 16_384,
  },
})
export type CreateModel = z.output<typeof CreateModel>

const ignored = z.unknown().openapi({ description: 'Ignored, so that a model may be sent back as it came.' })

export const UpdateModel = z
  .strictObject({
    ...z.strictObject(fields).partial().shape,
    uid: Id,
    hasAuthToken: ignored.optional(),
    cooldownUntil: ignored.optional(),
    createdAt: ignored.optional(),
    updatedAt: ignored.optional(),
  })
  .openapi('UpdateModel', {
    example: { uid: '019abf6e-7c1d-7a53-9d0e-3f1f6a0c2b11', token_cost: 1500, enabled: false },
  })
export type UpdateModel = z.output<typeof UpdateModel>

export const ModelUid = z.object({ modelUid: Id.openapi({ param: { name: 'modelUid', in: 'path' } }) })

export const ModelRef = z.object({ modelUid: Uid }).openapi('ModelRef')

const optionalCredits = Credits.nullable()

/** A model as people see it; what only administrators see is absent for everyone else. */
export const Model = z
  .object({
    uid: Uid,
    name: z.string(),
    description: z.string(),
    type: z.string(),
    token_cost: z.number(),
    input_price: optionalCredits,
    output_price: optionalCredits,
    cached_input_price: optionalCredits,
    context_tokens: z.number().int(),
    max_output_tokens: z.number().int().nullable(),
    enabled: z.boolean(),
    createdAt: Instant,
    api_link: z.string().optional().openapi({ description: 'Administrators only.' }),
    hasAuthToken: z.boolean().optional().openapi({ description: 'Administrators only.' }),
    limit_param: z.string().optional().openapi({ description: 'Administrators only.' }),
    cooldownUntil: Instant.nullable().optional().openapi({ description: 'Administrators only.' }),
    updatedAt: Instant.optional().openapi({ description: 'Administrators only.' }),
  })
  .openapi('Model', {
    example: {
      uid: '019abf6e-7c1d-7a53-9d0e-3f1f6a0c2b11',
      name: 'gpt-4o-mini',
      description: 'Small, quick, cheap.',
      type: 'gpt-4o-mini',
      token_cost: 1000,
      input_price: 0.15,
      output_price: 0.6,
      cached_input_price: null,
      context_tokens: 128_000,
      max_output_tokens: 16_384,
      enabled: true,
      createdAt: '2026-11-22T09:30:00.000Z',
    },
  })
export type Model = z.output<typeof Model>

export const ModelPage = pageOf(Model).openapi('ModelPage')

const Registered = z.array(z.object({ modelUid: Uid, name: z.string() })).openapi({
  description: 'The models that are registered on this upstream.',
})

export const OfferedTypes = z
  .object({
    data: z.array(
      z.object({
        api_link: z.string(),
        models: Registered,
        types: z.array(z.string()).openapi({ description: 'The model ids that it offers.' }),
      }),
    ),
    failed: z.array(z.object({ api_link: z.string(), models: Registered, error: z.string() })),
    askedAt: Instant,
  })
  .openapi('OfferedTypes', {
    example: {
      data: [
        {
          api_link: 'https://api.openai.com/v1',
          models: [{ modelUid: '019abf6e-7c1d-7a53-9d0e-3f1f6a0c2b11', name: 'gpt-4o-mini' }],
          types: ['gpt-4o', 'gpt-4o-mini'],
        },
      ],
      failed: [
        {
          api_link: 'https://llm.example.com/v1',
          models: [{ modelUid: '019abf6e-7c1d-7a53-9d0e-3f1f6a0c2b12', name: 'llama' }],
          error: 'unreachable: no connection',
        },
      ],
      askedAt: '2026-11-22T09:30:00.000Z',
    },
  })
export type OfferedTypes = z.output<typeof OfferedTypes>

export const TestResult = z
  .object({ ok: z.boolean(), latencyMs: z.number().int(), error: z.string().optional() })
  .openapi('TestResult', { example: { ok: true, latencyMs: 412 } })
export type TestResult = z.output<typeof TestResult>
