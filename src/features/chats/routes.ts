import { createRoute, z } from '@hono/zod-openapi'
import { Failure, type FailureCode } from '../../core/failure.ts'
import { newId } from '../../core/id.ts'
import { pause } from '../../core/pause.ts'
import { type Ctx, defer } from '../../http/context.ts'
import {
  answer,
  BODY,
  body,
  IDEMPOTENT,
  IdempotencyHeader,
  refusals,
  SIGNED_IN,
} from '../../http/contract.ts'
import { guard } from '../../http/guard.ts'
import { onceOf } from '../../http/idempotency.ts'
import { jsonLater } from '../../http/later.ts'
import { asFailure, logged, problemDocument } from '../../http/problem.ts'
import { createRouter } from '../../http/router.ts'
import { createOutlet, eventStream } from '../../http/sse.ts'
import { askToStop, publish } from '../feeds/bus.ts'
import { publishNoted } from '../feeds/outbox.ts'
import * as schema from './schema.ts'
import { send as ask, type ChatKitchen, type Sending, titleFrom } from './sending.ts'
import * as chats from './service.ts'
import { tellDelta, tellEnd, tellStart } from './stream.ts'

const create = createRoute({
  operationId: 'createChat',
  tags: ['chats'],
  summary: 'Create a chat',
  description: 'Without a title it takes one from its first question.',
  method: 'post',
  path: '/create',
  ...guard.person,
  request: { headers: IdempotencyHeader, body: { ...body(schema.CreateChat), required: false } },
  responses: {
    201: answer('The chat.', schema.ChatCreated),
    ...refusals(...SIGNED_IN, ...BODY, ...IDEMPOTENT),
  },
})

const list = createRoute({
  operationId: 'listChats',
  tags: ['chats'],
  summary: 'List your chats',
  description: 'Newest first.',
  method: 'get',
  path: '/all',
  ...guard.person,
  request: { query: schema.ChatQuery },
  responses: {
    200: answer('A page of chats.', schema.ChatPage),
    ...refusals(...SIGNED_IN, 'invalid_request'),
  },
})

const ANSWER_REFUSALS = [
  ...SIGNED_IN,
  ...BODY,
  ...IDEMPOTENT,
  'rate_limited',
  'model_not_found',
  'generation_in_progress',
  'too_many_generations',
  'message_too_long',
  'insufficient_credits',
  'upstream_failed',
  'upstream_incomplete',
  'upstream_timeout',
  'upstream_rate_limited',
  'model_cooling_down',
  'settlement_pending',
] as const satisfies FailureCode[]

const ANSWERS = {
  200: {
    description: [
      'The answer, COMPLETED, STOPPED or (broken off after its first token) FAILED.',
      'As JSON, one that takes longer than 5 s begins with blanks while it is written. Should its booking then fail,',
      'the status is 200 already and the body is a problem with a `code`, which no answer has: `settlement_pending`.',
    ].join('\n'),
    content: {
      'application/json': { schema: z.union([schema.Answer, schema.LateProblem]) },
      'text/event-stream': { schema: schema.AnswerStream },
    },
  },
}

const send = createRoute({
  operationId: 'sendMessage',
  tags: ['chats'],
  summary: 'Send a message and get the answer',
  description: [
    'With `role: user` the model answers. Credits are held before it is called and what the answer really cost is',
    'booked when it has ended, once. The answer comes as one JSON object, or, with `Accept: text/event-stream` or',
    '`?stream=true`, as server-sent events: `message_start`, then `message_delta` and `reasoning_delta`, then exactly',
    'one `message_end` or `message_error`, after the charge is booked.',
    'With `role: system` the message is stored as an instruction (201): it goes upstream with every later question.',
    '',
    '```sh',
    'curl -N -H "Authorization: Bearer $TOKEN" -H "Content-Type: application/json" -H "Accept: text/event-stream" \\',
    '  -d \'{"role":"user","message":"What does a hold do?","chatUid":"\'$CHAT\'","modelUid":"\'$MODEL\'"}\' \\',
    '  http://localhost:8000/api/chat/message',
    '```',
  ].join('\n'),
  method: 'post',
  path: '/message',
  ...guard.person,
  request: { headers: IdempotencyHeader, query: schema.SendQuery, body: body(schema.SendMessage) },
  responses: {
    ...ANSWERS,
    201: answer('The stored instruction.', schema.Instruction),
    ...refusals(...ANSWER_REFUSALS, 'chat_not_found'),
  },
})

const retry = createRoute({
  operationId: 'retryMessage',
  tags: ['chats'],
  summary: 'Answer a question anew',
  description:
    'Names a question or any of its answers. The new answer stands beside the old ones, is held and charged like any other, and is the one that goes upstream with later questions. JSON or events, as with a message.',
  method: 'post',
  path: '/retry',
  ...guard.person,
  request: { headers: IdempotencyHeader, query: schema.SendQuery, body: body(schema.RetryMessage) },
  responses: { ...ANSWERS, ...refusals(...ANSWER_REFUSALS, 'message_not_found') },
})

const stop = createRoute({
  operationId: 'stopMessage',
  tags: ['chats'],
  summary: 'Stop an answer',
  description:
    'From any device. The upstream is cancelled within 2 seconds; the text so far stays and is paid for. After the end it changes nothing and tells the final status.',
  method: 'post',
  path: '/stop',
  ...guard.person,
  request: { body: body(schema.StopMessage) },
  responses: {
    200: answer('It had ended before.', schema.Stopped),
    202: answer('It was asked to stop.', schema.Stopped),
    ...refusals(...SIGNED_IN, ...BODY, 'message_not_found'),
  },
})

const read = createRoute({
  operationId: 'getChat',
  tags: ['chats'],
  summary: 'One chat',
  description: 'With what it has used and cost so far.',
  method: 'get',
  path: '/{chatUid}',
  ...guard.person,
  request: { params: schema.ChatPath },
  responses: {
    200: answer('The chat.', schema.Chat),
    ...refusals(...SIGNED_IN, 'invalid_request', 'chat_not_found'),
  },
})

const messages = createRoute({
  operationId: 'listMessages',
  tags: ['chats'],
  summary: 'The messages of a chat',
  description: 'Newest first.',
  method: 'get',
  path: '/{chatUid}/messages',
  ...guard.person,
  request: { params: schema.ChatPath, query: schema.MessageQuery },
  responses: {
    200: answer('A page of messages.', schema.MessagePage),
    ...refusals(...SIGNED_IN, 'invalid_request', 'chat_not_found'),
  },
})

const rename = createRoute({
  operationId: 'renameChat',
  tags: ['chats'],
  summary: 'Rename a chat',
  description: 'Gives it another title.',
  method: 'patch',
  path: '/{chatUid}',
  ...guard.person,
  request: { params: schema.ChatPath, body: body(schema.RenameChat) },
  responses: { 200: answer('The chat.', schema.Chat), ...refusals(...SIGNED_IN, ...BODY, 'chat_not_found') },
})

const remove = createRoute({
  operationId: 'deleteChat',
  tags: ['chats'],
  summary: 'Delete a chat',
  description:
    'It is hidden and its texts are purged at once. An answer that is being written is asked to stop; what it cost is booked.',
  method: 'delete',
  path: '/{chatUid}',
  ...guard.person,
  request: { params: schema.ChatPath },
  responses: {
    200: answer('The deleted chat.', schema.ChatCreated),
    ...refusals(...SIGNED_IN, 'invalid_request', 'chat_not_found'),
  },
})

export const chatRoutes = () =>
  createRouter()
    .openapi(create, async (c) => {
      const { title } = c.req.valid('json')
      return c.json(await chats.createChat(roomsOf(c), c.var.actor, title, await onceOf(c)), 201)
    })
    .openapi(list, async (c) => {
      const { search, ...page } = c.req.valid('query')
      return c.json(await chats.listChats(c.var.services, c.var.actor, page, search), 200)
    })
    .openapi(send, async (c) => {
      const { role, message, chatUid, modelUid, temperature, maxTokens } = c.req.valid('json')
      const once = await onceOf(c)
      if (role === 'system' || modelUid === undefined)
        return c.json(await chats.instruct(roomsOf(c), c.var.actor, { chatUid, message }, once), 201)
      const question = {
        kind: 'new',
        uid: newId(),
        chatUid,
        modelUid,
        message,
        title: titleFrom(message),
      } as const
      return answered(c, await ask(kitchenOf(c), c.var.actor, question, { temperature, maxTokens }, once))
    })
    .openapi(retry, async (c) => {
      const { messageUid, modelUid, ...options } = c.req.valid('json')
      const question = { kind: 'again', messageUid, modelUid } as const
      return answered(c, await ask(kitchenOf(c), c.var.actor, question, options, await onceOf(c)))
    })
    .openapi(stop, async (c) => {
      const { messageUid } = c.req.valid('json')
      const { asked, status } = await chats.stop(roomsOf(c), c.var.actor, messageUid)
      return c.json({ messageUid, status }, asked ? 202 : 200)
    })
    .openapi(read, async (c) =>
      c.json(await chats.readChat(c.var.services, c.var.actor, c.req.valid('param').chatUid), 200),
    )
    .openapi(messages, async (c) => {
      const { chatUid } = c.req.valid('param')
      return c.json(await chats.listMessages(c.var.services, c.var.actor, chatUid, c.req.valid('query')), 200)
    })
    .openapi(rename, async (c) => {
      const { title } = c.req.valid('json')
      return c.json(await chats.renameChat(roomsOf(c), c.var.actor, c.req.valid('param').chatUid, title), 200)
    })
    .openapi(remove, async (c) => {
      const { chatUid } = c.req.valid('param')
      await chats.deleteChat(roomsOf(c), c.var.actor, chatUid)
      return c.json({ chatUid }, 200)
    })

const nothing = () => {}
/** An answer that has begun and takes longer than this is told to be on its way. */
const PATIENCE_MS = 5_000

const kitchenOf = (c: Ctx): ChatKitchen => {
  const { env, db, redis } = c.var.services
  return { env, db, redis, log: c.var.log, defer: (work) => defer(c, work) }
}

/** Feeds are told after the answer, and what they miss with Redis away they read at their next opening. */
const roomsOf = (c: Ctx): chats.Rooms => {
  const { db, redis } = c.var.services
  const { userUid } = c.var.actor
  return {
    db,
    announce: (events) => defer(c, publish(redis, userUid, events)),
    announceNoted: (told, outboxUid) => defer(c, publishNoted(redis, userUid, told, outboxUid)),
    askToStop: (messageUid) => defer(c, askToStop(redis, messageUid)),
  }
}

const wantsStream = (c: Ctx): boolean =>
  c.req.query('stream') === 'true' ||
  (c.req.header('accept') ?? '').toLowerCase().includes('text/event-stream')

/** The answer in the form that was asked for. The pump runs under `waitUntil` in both. */
async function answered(c: Ctx, sending: Sending) {
  if (wantsStream(c)) return streamed(c, sending)
  const began = Promise.withResolvers<void>()
  const work = sending
    .run(() => began.resolve(), c.req.raw.signal)
    .catch((error) => Promise.reject(located(asFailure(error), sending)))
  defer(c, work.then(nothing, nothing))
  const first = await Promise.race([work, began.promise.then(() => pause(PATIENCE_MS))])
  // Once a token exists the answer is 200, whatever comes: a long one may begin before it is whole.
  if (first === undefined)
    return jsonLater(
      c,
      work.then(({ failure: _, ...answer }) => answer),
      (error) => problemDocument(logged(c, error), c.var.requestId),
    )
  const { failure, ...answer } = first
  if (!failure || answer.usage !== null) return c.json(answer, 200)
  // Not one token came, so it is a failure.
  throw located(failure, sending)
}

/** The messages stand, and the problem says where. */
const located = ({ code, details }: Failure, { userMessageUid, messageUid }: Sending): Failure =>
  new Failure(code, { ...details, extra: { ...details.extra, userMessageUid, messageUid } })

/** The pump fills the outlet without waiting; this response empties it, as fast or slowly as its client reads. */
function streamed(c: Ctx, sending: Sending): Response {
  const outlet = createOutlet()
  tellStart(outlet, sending)
  const work = sending
    .run((delta) => tellDelta(outlet, sending, delta), c.req.raw.signal)
    .then(
      (end) => tellEnd(outlet, sending, end),
      (error) => tellEnd(outlet, sending, error),
    )
    .finally(outlet.end)
  defer(c, work)
  return eventStream(c, outlet)
}
