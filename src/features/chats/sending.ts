import type { Actor } from '../../core/actor.ts'
import { toCredits } from '../../core/credits.ts'
import { Failure } from '../../core/failure.ts'
import { newId } from '../../core/id.ts'
import type { Once } from '../../http/idempotency.ts'
import { ask } from '../../ports/postgres.ts'
import type { Redis } from '../../ports/redis.ts'
import { forget } from '../feeds/bus.ts'
import { createFeedWriter, type FeedWriter } from '../feeds/writer.ts'
import { bySession } from '../inference/door.ts'
import { recordedFailure } from '../inference/faults.ts'
import { type Held, placeHold } from '../inference/hold.ts'
import { type Kitchen, type Running, type Served, serve } from '../inference/kitchen.ts'
import { markSent } from '../inference/mark.ts'
import type { Delta } from '../inference/recorder.ts'
import { answerPaid, balanceMoved } from '../transactions/tell.ts'
import { type ChatHeld, chatHold, chatSettle, type Question } from './door.ts'
import { type Answered, type ChatRow, messageOut, usageOf } from './present.ts'
import * as queries from './queries.ts'
import * as tell from './tell.ts'

export interface ChatKitchen extends Kitchen {
  redis: Redis
  /** Work that goes on after the caller has its answer. */
  defer(work: Promise<unknown>): void
}

export interface Options {
  temperature?: number | undefined
  maxTokens?: number | undefined
}

/** A question that was accepted: money is held and both messages stand. */
export interface Sending {
  chatUid: string
  modelUid: string
  userMessageUid: string
  messageUid: string
  /** Cooks the answer; to be held by `waitUntil`. In a replay it is one delta of each kind. */
  run(onDelta: (delta: Delta) => void, clientGone: AbortSignal): Promise<Answered>
}

/**
 * Asks a model in a chat, anew or again. One round trip to Postgres decides and holds; then the caller runs it.
 * @throws Failure every refusal of contract section 1, with nothing stored
 */
export async function send(
  kitchen: ChatKitchen,
  actor: Actor,
  question: Question,
  options: Options,
  once: Once | undefined,
): Promise<Sending> {
  const { env, db } = kitchen
  const messageUid = newId()
  markSent(kitchen)
  const placed = await placeHold<ChatHeld>(
    db,
    {
      generationUid: newId(),
      caller: bySession(actor),
      maxTokens: options.maxTokens,
      choices: 1,
      once,
      sendsPerMinute: env.SENDS_PER_MINUTE,
      runningPerUser: env.RUNNING_PER_USER,
    },
    chatHold(actor.userUid, messageUid, question),
  )
  if ('replayed' in placed) return replay(kitchen, actor, placed.replayed)
  const { held } = placed
  const sending = {
    chatUid: held.door.chat.uid,
    modelUid: held.model.uid,
    userMessageUid: held.door.question.uid,
    messageUid,
  }
  return {
    ...sending,
    run: (onDelta, clientGone) => run(kitchen, held, sending, question.kind, options, onDelta, clientGone),
  }
}

async function run(
  kitchen: ChatKitchen,
  held: Held<ChatHeld>,
  { chatUid, modelUid, messageUid }: Omit<Sending, 'run'>,
  kind: Question['kind'],
  { temperature }: Options,
  onDelta: (delta: Delta) => void,
  clientGone: AbortSignal,
): Promise<Answered> {
  const { userUid } = held
  const userMessage = messageOut(held.door.question)
  const started = [
    ...(kind === 'new' ? [tell.messageStored(userMessage)] : []),
    tell.answerStarted({ messageUid, chatUid, modelUid }),
    balanceMoved(held.account),
    tell.chatUpdated(held.door.chat),
  ]
  let writer: FeedWriter | undefined
  const listen = ({ soFar, stop }: Running) => {
    const feed = createFeedWriter(kitchen, { userUid, messageUid, chatUid }, started, soFar, stop)
    writer = feed
    return {
      delta(delta: Delta) {
        onDelta(delta)
        feed.delta(delta.kind, delta.offset, delta.text)
      },
    }
  }
  const body = { messages: promptOf(held.door), temperature }
  let served: Served
  try {
    served = await serve(kitchen, {
      ...{ held, body, listen, clientGone, door: chatSettle },
      ...{ stream: true, patienceSeconds: kitchen.env.CLIENT_GONE_S },
    })
  } catch (error) {
    if (writer) kitchen.defer(writer.abandon(false))
    throw error
  }
  const { settled, generation } = served
  if (!settled?.account) {
    // Booked by somebody else, or by a try of ours whose answer was lost: the record counts, the outbox tells it.
    if (writer) kitchen.defer(writer.abandon(true))
    return recorded(kitchen, userUid, held.generationUid)
  }
  const answered: Answered = {
    userMessage,
    assistantMessage: messageOut({
      uid: messageUid,
      chat_uid: chatUid,
      model_uid: modelUid,
      role: 'assistant',
      message: served.text,
      reasoning: served.reasoning === '' ? null : served.reasoning,
      status: generation.status === 'RUNNING' ? 'STREAMING' : generation.status,
      finish_reason: generation.finish_reason,
      token_used: generation.total_tokens ?? 0,
      credit_spent: generation.cost ?? 0,
      created_at: held.door.at,
    }),
    usage: usageOf(generation),
    cost: toCredits(generation.cost ?? 0),
    newBalance: toCredits(generation.balance_after ?? 0),
    failure: served.failure,
  }
  const chat = settled.door as ChatRow | null
  const ended = [
    // A chat that was deleted meanwhile has no text to tell of.
    ...(chat ? [tell.answerEnded(answered), tell.chatUpdated(chat)] : []),
    answerPaid(settled.transaction_uid, generation.cost ?? 0, settled.account),
  ]
  const told = writer?.end(ended, settled.outbox_uid ?? undefined)
  if (told) kitchen.defer(chat ? told : told.finally(() => forget(kitchen.redis, userUid)))
  return answered
}

/** Instructions first, since several upstreams take them nowhere else; then the turns, then the question. */
const promptOf = ({ instructions, turns, question }: ChatHeld) => [
  ...instructions.map((content) => ({ role: 'system', content })),
  ...turns.flatMap(([asked, answer]) => [
    { role: 'user', content: asked },
    { role: 'assistant', content: answer },
  ]),
  { role: 'user', content: question.message },
]

/** The repeat of a question: the recorded outcome, or a refusal while the first one still runs. */
async function replay(kitchen: Kitchen, actor: Actor, generationUid: string): Promise<Sending> {
  const answered = await recorded(kitchen, actor.userUid, generationUid)
  const { userMessage, assistantMessage } = answered
  return {
    chatUid: assistantMessage.chatUid,
    modelUid: assistantMessage.modelUid ?? '',
    userMessageUid: userMessage.uid,
    messageUid: assistantMessage.uid,
    async run(onDelta) {
      const { reasoning, message } = assistantMessage
      if (reasoning !== undefined) onDelta({ kind: 'reasoning', offset: 0, text: reasoning })
      if (message !== '') onDelta({ kind: 'text', offset: 0, text: message })
      return answered
    },
  }
}

/** An exchange as it is recorded. @throws idempotency_in_progress while it runs */
export async function recorded(
  { db }: Pick<Kitchen, 'db'>,
  userUid: string,
  generationUid: string,
): Promise<Answered> {
  const { rows } = await ask(queries.exchangeOf(db, userUid, generationUid))
  const exchange = rows[0]?.exchange
  if (!exchange) throw new Failure('message_not_found')
  const { generation, question, answer } = exchange
  if (generation.status === 'RUNNING')
    throw new Failure('idempotency_in_progress', { extra: { messageUid: answer.uid }, retryAfterSeconds: 1 })
  return {
    userMessage: messageOut(question),
    assistantMessage: messageOut(answer),
    usage: usageOf(generation),
    cost: toCredits(generation.cost ?? 0),
    newBalance: toCredits(generation.balance_after ?? 0),
    failure: recordedFailure(generation),
  }
}

/** The first line of a message, short enough for a list. */
export function titleFrom(message: string): string {
  const line = message
    .trim()
    .split(/[\r\n]/, 1)[0]!
    .replace(/\s+/g, ' ')
    .trim()
  const points = Array.from(line.slice(0, 200))
  return (points.length > 80 ? `${points.slice(0, 79).join('')}…` : points.join('')) || 'Chat'
}
