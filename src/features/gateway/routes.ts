import { createRoute } from '@hono/zod-openapi'
import type { ErrorHandler } from 'hono'
import { createMiddleware } from 'hono/factory'
import { Failure, type FailureCode } from '../../core/failure.ts'
import { pause } from '../../core/pause.ts'
import { type App, type Ctx, defer } from '../../http/context.ts'
import { answer, BODY, body } from '../../http/contract.ts'
import { onceOf } from '../../http/idempotency.ts'
import { jsonLater } from '../../http/later.ts'
import { keepPrivate, readOn, refuseLargeBodies, refuseManyValues } from '../../http/middleware.ts'
import { logged } from '../../http/problem.ts'
import { createRouter } from '../../http/router.ts'
import { createOutlet, eventStream } from '../../http/sse.ts'
import type { Rate } from '../inference/hold.ts'
import { digestOf, isKey } from '../keys/secret.ts'
import { createAnswer, createStream } from './answer.ts'
import { envelopeOf, headersOf } from './envelope.ts'
import * as schema from './schema.ts'
import * as gateway from './service.ts'
import { sendable } from './text.ts'

const MOST_BYTES = 8 * 1024 * 1024

/** By the key alone, never by cookie. Whether it stands is found where the money is held, in the one round trip. */
const requireKey = createMiddleware<App>(async (c, next) => {
  const header = c.req.header('authorization')
  if (header === undefined)
    throw new Failure('unauthenticated', 'Send an API key: `Authorization: Bearer <key>`.')
  const key = /^Bearer +(\S+) *$/i.exec(header)?.[1]
  if (key === undefined || !isKey(key)) throw new Failure('unauthenticated', 'This is not an API key.')
  c.set('keyDigest', await digestOf(key))
  await next()
})

const byKey = { 'x-guard': 'key', security: [{ key: [] }] as Record<string, string[]>[] }

const complete = createRoute({
  operationId: 'createChatCompletion',
  tags: ['openai'],
  summary: 'Ask a model, as OpenAI has it',
  description: [
    'Takes what the `openai` package sends; parameters and fields that are not named here go to the model, and back, as',
    'they are. Credits are held before the model is called and what it really cost is booked when it has ended, once.',
    '`usage` says the cost; a stream ends with it when `stream_options.include_usage` asked for it. `[DONE]` comes after',
    'the charge is booked. What breaks a stream is told as `data: {"error": …}`, and no `[DONE]` follows.',
    '',
    '```sh',
    'curl -N -H "Authorization: Bearer $KEY" -H "Content-Type: application/json" \\',
    '  -d \'{"model":"\'$NAME\'","messages":[{"role":"user","content":"What does a hold do?"}],"stream":true}\' \\',
    '  http://localhost:8000/v1/chat/completions',
    '```',
  ].join('\n'),
  method: 'post',
  path: '/chat/completions',
  ...byKey,
  middleware: [requireKey, refuseLargeBodies(MOST_BYTES), refuseManyValues],
  request: { headers: schema.CallHeaders, body: body(schema.ChatRequest) },
  responses: {
    200: {
      description: 'The answer, whole, or with `stream: true` in chunks.',
      content: {
        'application/json': { schema: schema.ChatCompletion },
        'text/event-stream': { schema: schema.ChunkStream },
      },
    },
    ...schema.refusals(
      ...BODY.filter((code) => code !== 'invalid_request'),
      'invalid_parameter',
      'upstream_rejected',
      'idempotency_mismatch',
      'idempotency_repeated',
      'rate_limited',
      'model_not_found',
      'too_many_generations',
      'insufficient_credits',
      'key_budget_exceeded',
      'upstream_failed',
      'upstream_incomplete',
      'upstream_timeout',
      'upstream_rate_limited',
      'model_cooling_down',
      'settlement_pending',
    ),
  },
})

const list = createRoute({
  operationId: 'listOpenAIModels',
  tags: ['openai'],
  summary: 'The models that a key may ask',
  description: 'By name. The ids are the names under which they are registered.',
  method: 'get',
  path: '/models',
  ...byKey,
  middleware: [requireKey],
  responses: { 200: answer('The models.', schema.ModelList), ...schema.refusals() },
})

const read = createRoute({
  operationId: 'getOpenAIModel',
  tags: ['openai'],
  summary: 'One model',
  description: 'Names with slashes may be written as they are or with `%2F`.',
  method: 'get',
  path: '/models/{id}',
  ...byKey,
  middleware: [requireKey],
  request: { params: schema.ModelPath },
  responses: { 200: answer('The model.', schema.Model), ...schema.refusals('model_not_found') },
})

/** Methods of the paths that there are, for who calls them by another one. */
const METHODS: [RegExp, string][] = [
  [/^\/v1\/chat\/completions$/, 'POST'],
  [/^\/v1\/models(\/.+)?$/, 'GET, HEAD'],
]

export const gatewayRoutes = () => {
  const routes = createRouter((c, detail, errors) =>
    refuse(c, new Failure('invalid_parameter', { detail, errors })),
  )
  routes.onError(onError)
  routes.use(keepPrivate, readOn)
  routes.openapi(complete, async (c) => {
    const request = sendable(c.req.valid('json'))
    const call = await gateway.complete(kitchenOf(c), c.var.keyDigest, request, await onceOf(c))
    tellRate(c, call.rate)
    return request.stream ? streamed(c, call, request) : whole(c, call)
  })
  routes.openapi(list, async (c) =>
    c.json(
      { object: 'list' as const, data: await gateway.listModels(c.var.services.db, c.var.keyDigest) },
      200,
    ),
  )
  const oneModel = async (c: Ctx, id: string) =>
    c.json(await gateway.readModel(c.var.services.db, c.var.keyDigest, id), 200)
  routes.openapi(read, (c) => oneModel(c, c.req.valid('param').id))
  // The same for a name with slashes in it, which a path parameter of the document cannot say.
  routes.get('/models/:id{.+}', requireKey, (c) => oneModel(c, c.req.param('id')))
  // A sub-app's notFound is ignored.
  routes.all('*', (c) => {
    const allowed = METHODS.find(([path]) => path.test(c.req.path))?.[1]
    const asked = `${c.req.method} ${c.req.path.slice(0, 200)}`
    if (allowed === undefined) throw new Failure('not_found', `There is no ${asked}.`)
    c.header('Allow', allowed)
    throw new Failure('method_not_allowed', `There is no ${asked}, only ${allowed}.`)
  })
  return routes
}

/** Refusals of a body, which come before anybody has looked for the key. */
const BEFORE_THE_KEY = new Set<FailureCode>([...BODY, 'invalid_parameter'])

const onError: ErrorHandler<App> = (error, c) => refuse(c, logged(c, error))

/** In OpenAI's envelope. Whoever has no key that stands learns that, and not what is wrong with the body. */
async function refuse(c: Ctx, failure: Failure): Promise<Response> {
  const known =
    c.var.keyDigest !== undefined && BEFORE_THE_KEY.has(failure.code)
      ? await gateway.assertKey(c.var.services.db, c.var.keyDigest).then(
          () => failure,
          (error) => logged(c, error),
        )
      : failure
  if (known.code === 'rate_limited') tellRate(c, noneLeft(c, known))
  return c.json(envelopeOf(known), known.status as 400, headersOf(known))
}

/** What is left of the sends of a minute, as OpenAI's clients read it. */
function tellRate(c: Ctx, rate: Rate | undefined): void {
  if (!rate) return
  c.header('x-ratelimit-limit-requests', String(rate.limit))
  c.header('x-ratelimit-remaining-requests', String(rate.remaining))
  c.header('x-ratelimit-reset-requests', `${Math.ceil(rate.resetSeconds * 1000) / 1000}s`)
}

/** The bucket that had not one send left: it is full again so much later than it has one. */
function noneLeft(c: Ctx, { details }: Failure): Rate {
  const limit = c.var.services.env.SENDS_PER_MINUTE
  return {
    limit,
    remaining: 0,
    resetSeconds: (details.retryAfterSeconds ?? 0) + ((limit - 1) * 60) / limit,
  }
}

const kitchenOf = (c: Ctx): gateway.GatewayKitchen => {
  const { env, db, redis } = c.var.services
  return { env, db, redis, log: c.var.log, defer: (work) => defer(c, work) }
}

const nothing = () => {}
/** A stream that is silent for so long begins with 200 and heartbeats: what sits in between would cut it. */
const SILENT_STREAM_MS = 10_000
/** A whole answer that has begun and takes longer than this is told to be on its way. */
const PATIENCE_MS = 5_000
/** The same for one that has not: below the 60 s after which much that sits in between gives up. */
const SILENT_MS = 50_000

/** Its status is that of what comes first: a token, or a failure. The pump fills the outlet and waits for nobody. */
async function streamed(c: Ctx, call: gateway.Call, request: schema.ChatRequest): Promise<Response> {
  const outlet = createOutlet()
  const stream = createStream(call, request.stream_options?.include_usage === true, outlet.data)
  const left = new AbortController()
  c.req.raw.signal.addEventListener('abort', () => left.abort(), { once: true })
  const began = Promise.withResolvers<undefined>()
  const work = call.run((chunks) => {
    stream.take(chunks)
    if (stream.hasBegun()) began.resolve(undefined)
  }, left.signal)
  const told = work.then(stream.end, stream.fail)
  defer(c, told)
  const silence = pause(SILENT_STREAM_MS).then(() => 'silence' as const)
  const first = await Promise.race([work, began.promise, silence])
  if (first === 'silence') outlet.comment('waiting for the model')
  else if (first?.failure && !stream.hasBegun()) throw first.failure
  return eventStream(c, outlet, (gone) => {
    // A reader that was let go has left as well.
    gone.addEventListener('abort', () => left.abort(), { once: true })
    return told
  })
}

async function whole(c: Ctx, call: gateway.Call): Promise<Response> {
  const answer = createAnswer(call)
  const began = Promise.withResolvers<void>()
  const work = call
    .run((chunks) => {
      answer.take(chunks)
      if (answer.hasBegun()) began.resolve()
    }, c.req.raw.signal)
    .then(answer.end)
  defer(c, work.then(nothing, nothing))
  const late = Promise.race([began.promise.then(() => pause(PATIENCE_MS)), pause(SILENT_MS)])
  const first = await Promise.race([work, late])
  if (first !== undefined) return c.json(first, 200)
  return jsonLater(c, work, (error) => envelopeOf(logged(c, error)))
}
