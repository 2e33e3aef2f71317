import { z } from '@hono/zod-openapi'
import { Failure, type FailureCode } from '../../core/failure.ts'
import { IdempotencyHeader, refusalsAs } from '../../http/contract.ts'
import { envelopeOf } from './envelope.ts'

/**
 * Answers to one request are held in memory together, and the hold is for all of them; more are asked for seldom.
 */
const MOST_CHOICES = 8
/** Far beyond any model, and an integer to Postgres. */
const MOST_TOKENS = 1_000_000_000

const Limit = z.number().int().min(1).max(MOST_TOKENS).nullish()

const Message = z.looseObject({ role: z.string() })

/** Says what is wrong with the first that does not fit, and no more: there may be very many. */
const Messages = z
  .array(z.unknown())
  .min(1)
  .superRefine((messages, check) => {
    for (const [index, message] of messages.entries()) {
      const [issue] = Message.safeParse(message).error?.issues ?? []
      if (!issue) continue
      check.addIssue({ ...issue, path: [index, ...issue.path] } as Parameters<typeof check.addIssue>[0])
      return
    }
  })
  .openapi({
    items: {
      type: 'object',
      properties: { role: { type: 'string' } },
      required: ['role'],
      additionalProperties: {},
    },
  })

/** Only what the gateway must understand; everything else goes upstream as it is. */
export const ChatRequest = z
  .looseObject({
    model: z.string().min(1).max(256).openapi({ description: 'The name of a registered model.' }),
    messages: Messages,
    stream: z.boolean().nullish(),
    stream_options: z
      .looseObject({ include_usage: z.boolean().nullish() })
      .nullish()
      .openapi({ description: 'With `include_usage` a last chunk carries the usage and its cost.' }),
    max_tokens: Limit,
    max_completion_tokens: Limit,
    n: z.number().int().min(1).max(MOST_CHOICES).nullish(),
  })
  .openapi('ChatCompletionRequest', {
    example: {
      model: 'gpt-4o-mini',
      messages: [{ role: 'user', content: 'What does a hold do?' }],
      max_tokens: 200,
    },
  })
export type ChatRequest = z.output<typeof ChatRequest>

const { 'Idempotency-Key': idempotencyKey } = IdempotencyHeader.shape

export const CallHeaders = z.object({
  'Idempotency-Key': idempotencyKey.openapi({
    description: 'A repeat with the same key is refused (409) and told which generation it stands for.',
  }),
})

const Usage = z
  .looseObject({
    prompt_tokens: z.number().int(),
    completion_tokens: z.number().int(),
    total_tokens: z.number().int(),
    cost: z.number().openapi({ description: 'What it cost, in credits.', example: 0.064 }),
  })
  .openapi('CompletionUsage', {
    description: 'What the upstream reported and the cost. `source: estimated` when it reported nothing.',
  })

export const ChatCompletion = z
  .looseObject({
    id: z.string().openapi({ example: 'chatcmpl-019abf6e-7c1d-7a53-9d0e-3f1f6a0c2b11' }),
    object: z.string().openapi({ example: 'chat.completion' }),
    created: z.number().openapi({ example: 1795339800 }),
    model: z.string().openapi({ example: 'gpt-4o-mini' }),
    choices: z.array(z.looseObject({ index: z.number().int(), message: z.looseObject({}) })),
    usage: Usage,
  })
  .openapi('ChatCompletion')

export const ChunkStream = z.string().openapi({
  description: 'Server-sent events without names; `data` is a chunk as JSON, the last one is `[DONE]`.',
  example: [
    'data: {"id":"chatcmpl-…","object":"chat.completion.chunk","created":1795339800,"model":"gpt-4o-mini","choices":[{"index":0,"delta":{"role":"assistant","content":"Every"},"finish_reason":null}]}',
    '',
    'data: {"id":"chatcmpl-…",…,"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":55,"total_tokens":64,"cost":0.064}}',
    '',
    'data: [DONE]',
    '',
  ].join('\n'),
})

export const Model = z
  .object({
    id: z.string().openapi({ example: 'gpt-4o-mini' }),
    object: z.literal('model'),
    created: z.number().int().openapi({ example: 1795339800 }),
    owned_by: z.string().openapi({ example: 'bothub-edge' }),
  })
  .openapi('OpenAIModel')

export const ModelList = z
  .object({ object: z.literal('list'), data: z.array(Model) })
  .openapi('OpenAIModelList')

export const ModelPath = z.object({
  id: z.string().openapi({
    param: { name: 'id', in: 'path' },
    description: 'The name of a model; slashes in it may stand as they are.',
    example: 'gpt-4o-mini',
  }),
})

const Envelope = z
  .object({
    error: z.looseObject({
      message: z.string(),
      type: z.string(),
      param: z.string().nullable(),
      code: z.string().nullable(),
    }),
  })
  .openapi('OpenAIError')

/** What any route of this door may answer. */
const always: FailureCode[] = ['unauthenticated', 'account_blocked', 'internal_error', 'unavailable']

/** The refusals of a route as responses in OpenAI's envelope. */
export const refusals = (...codes: FailureCode[]) =>
  refusalsAs('application/json', Envelope, (code) => envelopeOf(new Failure(code)), [...codes, ...always])
