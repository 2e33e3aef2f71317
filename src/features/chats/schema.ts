import { z } from '@hono/zod-openapi'
import { Credits, Id, Instant, Line, Text, Uid } from '../../http/contract.ts'
import { PageQuery, pageOf } from '../../http/page.ts'

/** Longest message: the body's 1 MiB is the other bound. */
const MESSAGE_CHARACTERS = 500_000

export const Chat = z
  .object({
    uid: Uid,
    title: z.string().nullable().openapi({ example: 'A poem about ledgers' }),
    createdAt: Instant,
    updatedAt: Instant,
    totalTokenUsed: z.number().int().openapi({ example: 1280 }),
    totalCreditSpent: Credits,
  })
  .openapi('Chat')

export const Message = z
  .object({
    uid: Uid,
    chatUid: Uid,
    modelUid: Uid.nullable(),
    role: z.enum(['system', 'user', 'assistant']),
    message: z.string().openapi({ example: 'Every credit is counted once.' }),
    reasoning: z.string().optional(),
    status: z.enum(['STREAMING', 'COMPLETED', 'STOPPED', 'FAILED']),
    finishReason: z.string().optional().openapi({
      example: 'stop',
      description:
        "The model's own, or `stopped`, `client_gone`, `upstream_incomplete`, `upstream_timeout`, `upstream_error`, or `worker_lost` when the gateway broke before anything was saved.",
    }),
    tokenUsed: z.number().int().openapi({ example: 64 }),
    creditSpent: Credits,
    createdAt: Instant,
  })
  .openapi('Message')

export const Usage = z
  .object({
    promptTokens: z.number().int(),
    completionTokens: z.number().int(),
    totalTokens: z.number().int(),
    cachedTokens: z.number().int().optional(),
    reasoningTokens: z.number().int().optional(),
    source: z.enum(['upstream', 'estimated']),
  })
  .openapi('Usage', {
    example: { promptTokens: 12, completionTokens: 52, totalTokens: 64, source: 'upstream' },
  })

export const CreateChat = z
  .strictObject({ title: Line(1, 200).optional() })
  .openapi('CreateChat', { example: { title: 'A poem about ledgers' } })

export const ChatCreated = z.object({ chatUid: Uid }).openapi('ChatCreated')

export const RenameChat = z
  .strictObject({ title: Line(1, 200) })
  .openapi('RenameChat', { example: { title: 'Ledgers in verse' } })

export const ChatQuery = PageQuery.extend({
  search: Text(0, 200).optional().openapi({ description: 'Part of a title, in any case.' }),
})
export const ChatPage = pageOf(Chat).openapi('ChatPage')
export const MessagePage = pageOf(Message).openapi('MessagePage')
export const ChatPath = z.object({ chatUid: Id.openapi({ param: { name: 'chatUid', in: 'path' } }) })

export const SendMessage = z
  .strictObject({
    role: z.enum(['user', 'system']),
    message: Text(1, MESSAGE_CHARACTERS),
    chatUid: Id,
    modelUid: Id.optional().openapi({ description: 'Required with `role: user`.' }),
    temperature: z.number().min(0).max(2).optional(),
    maxTokens: z.number().int().min(1).max(1_000_000).optional(),
  })
  .refine((send) => send.role === 'system' || send.modelUid !== undefined, {
    path: ['modelUid'],
    message: 'is required with role user',
    // Told beside whatever else is wrong, not only once all the rest is right.
    when: ({ value }) => typeof value === 'object' && value !== null,
  })
  .openapi('SendMessage', {
    example: {
      role: 'user',
      message: 'What does a hold do?',
      chatUid: '019abf6e-7c1d-7a53-9d0e-3f1f6a0c2b11',
      modelUid: '019abf6e-8a10-7d2e-8f0a-5b1c9d3e7f42',
    },
  })

export const SendQuery = z.object({
  stream: z.enum(['true', 'false']).optional().openapi({
    description: 'The same as `Accept: text/event-stream`.',
  }),
})

export const Answer = z
  .object({
    userMessage: Message,
    assistantMessage: Message,
    usage: Usage.nullable(),
    cost: Credits,
    newBalance: Credits,
  })
  .openapi('Answer')

/** What the body of an answer is that had begun with 200 and could not be finished. */
export const LateProblem = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.number().int().openapi({ description: 'What the status would have been.', example: 503 }),
    code: z.string().openapi({ example: 'settlement_pending' }),
    detail: z.string(),
    requestId: z.string(),
    userMessageUid: Uid,
    messageUid: Uid,
  })
  .openapi('LateProblem')

export const Instruction = z.object({ message: Message }).openapi('Instruction')

export const AnswerStream = z.string().openapi({
  description: 'Server-sent events; `data` is JSON.',
  example: [
    'event: message_start',
    'data: {"messageUid":"…","chatUid":"…","modelUid":"…","userMessageUid":"…"}',
    '',
    'event: message_delta',
    'data: {"messageUid":"…","chatUid":"…","offset":0,"text":"Every credit"}',
    '',
    'event: message_end',
    'data: {"message":{…},"usage":{…},"cost":0.064,"newBalance":9.936}',
    '',
  ].join('\n'),
})

export const MessageQuery = PageQuery

export const RetryMessage = z
  .strictObject({
    messageUid: Id,
    modelUid: Id.optional().openapi({ description: 'Another model than the one that answered.' }),
    temperature: z.number().min(0).max(2).optional(),
    maxTokens: z.number().int().min(1).max(1_000_000).optional(),
  })
  .openapi('RetryMessage', { example: { messageUid: '019abf6e-9b22-7c41-9e1d-2f5a7b8c6d33' } })

export const StopMessage = z
  .strictObject({ messageUid: Id })
  .openapi('StopMessage', { example: { messageUid: '019abf6e-9b22-7c41-9e1d-2f5a7b8c6d33' } })

export const Stopped = z
  .object({ messageUid: Uid, status: z.enum(['STREAMING', 'COMPLETED', 'STOPPED', 'FAILED']) })
  .openapi('Stopped')
