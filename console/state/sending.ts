import { signal } from '@preact/signals'
import { call, type Message, Refusal } from '../wire/api.ts'
import { type AnswerTakers, streamAnswer } from '../wire/stream.ts'
import { drafts, setDraft } from './drafts.ts'
import { takeBroken, takeDelta, takeEnd, takeMessages, takeStart } from './messages.ts'
import { choose, loadModels } from './models.ts'
import { chatPath, go, route } from './route.ts'

/** Where a question stands that is not part of a chat yet; the new chat has no uid until it is made. */
export const NEW = 'new'

/** A question on its way: shown at once, gone when the service has it. */
export interface Pending {
  text: string
}

/** Why the last question was not taken. Its text is back in the field. */
export interface Refused {
  refusal: Refusal
}

export const pending = signal<ReadonlyMap<string, Pending>>(new Map())
export const refused = signal<ReadonlyMap<string, Refused>>(new Map())
/** Answers that were asked to stop and have not yet. */
export const stopping = signal<ReadonlySet<string>>(new Set())

/** The key of a question whose fate is unknown: sent again unchanged, it is the same question. */
const keys = new Map<
  string,
  { text: string; modelUid: string; key: string; chatKey: string; chatUid?: string }
>()

/** Another person is here, or nobody: what was on its way is none of theirs. */
export function forgetQuestions(): void {
  keys.clear()
  pending.value = new Map()
  refused.value = new Map()
  stopping.value = new Set()
}

/** Asks. Without a chat one is made first. What comes of it shows in `refused`, or in the chat. */
export async function send(chatUid: string | undefined, text: string, modelUid: string): Promise<void> {
  let place = chatUid ?? NEW
  const known = keys.get(place)
  const attempt =
    known?.text === text && known.modelUid === modelUid
      ? known
      : {
          ...{ text, modelUid, key: crypto.randomUUID(), chatKey: crypto.randomUUID() },
          ...(chatUid ? { chatUid } : {}),
        }
  keys.set(place, attempt)
  refused.value = without(refused.value, place)
  pending.value = new Map(pending.value).set(place, { text })
  setDraft(place, '')
  try {
    if (!attempt.chatUid) {
      attempt.chatUid = (
        await call('post', '/api/chat/create', { body: {}, idempotencyKey: attempt.chatKey })
      ).chatUid
      takeMessages(attempt.chatUid, [])
      pending.value = without(pending.value, NEW).set(attempt.chatUid, { text })
      keys.delete(NEW)
      place = attempt.chatUid
      keys.set(place, attempt)
      if (route.peek().view === 'chat' && !(route.peek() as { chatUid?: string }).chatUid)
        go(chatPath(place), { instead: true })
    }
    const body = { role: 'user', message: text, chatUid: place, modelUid }
    await streamAnswer('/api/chat/message', { body, idempotencyKey: attempt.key }, takersFor(place, text))
    keys.delete(place)
  } catch (error) {
    fail(place, text, error as Refusal)
  } finally {
    pending.value = without(pending.value, place)
  }
}

/** Answers a question anew, by the model that is chosen now. */
export async function retry(
  chatUid: string,
  messageUid: string,
  modelUid: string | undefined,
): Promise<void> {
  refused.value = without(refused.value, chatUid)
  const body = { messageUid, ...(modelUid ? { modelUid } : {}) }
  await streamAnswer(
    '/api/chat/retry',
    { body, idempotencyKey: crypto.randomUUID() },
    takersFor(chatUid),
  ).catch((refusal: Refusal) => fail(chatUid, undefined, refusal))
}

/** @throws Refusal */
export async function stop(messageUid: string): Promise<void> {
  stopping.value = new Set(stopping.value).add(messageUid)
  await call('post', '/api/chat/stop', { body: { messageUid } }).catch((refusal) => {
    const rest = new Set(stopping.value)
    rest.delete(messageUid)
    stopping.value = rest
    throw refusal
  })
}

/** The service has the question, and the chat shows it now. */
export function clearPending({ role, chatUid, message }: Message): void {
  if (role !== 'user' || keys.get(chatUid)?.text !== message) return
  pending.value = without(pending.value, chatUid)
  // It was taken for lost.
  if (refused.value.get(chatUid)?.refusal.code !== 'unreachable') return
  keys.delete(chatUid)
  dismiss(chatUid)
  if (drafts.value.get(chatUid) === message) setDraft(chatUid, '')
}

export function dismiss(place: string): void {
  refused.value = without(refused.value, place)
}

/** @param text the question, when the chat does not show it yet */
const takersFor = (chatUid: string, text?: string): AnswerTakers => ({
  message_start(start) {
    if (text !== undefined && start.userMessageUid) {
      takeMessages(chatUid, [questionOf(start.userMessageUid, chatUid, start.modelUid, text)])
      pending.value = without(pending.value, chatUid)
    }
    takeStart(start)
  },
  // A hole can only mean that the answer is over already.
  message_delta: (delta) => takeDelta('text', delta),
  reasoning_delta: (delta) => takeDelta('reasoning', delta),
  message_end: (end) => takeEnd(end),
  message_error: takeBroken,
})

const questionOf = (uid: string, chatUid: string, modelUid: string, message: string): Message => ({
  uid,
  chatUid,
  modelUid,
  role: 'user',
  message,
  status: 'COMPLETED',
  tokenUsed: 0,
  creditSpent: 0,
  createdAt: new Date().toISOString(),
})

/** A line that broke after the start is no failure of the question: the feed tells the rest. */
function fail(place: string, text: string | undefined, refusal: Refusal): void {
  if (!(refusal instanceof Refusal)) throw refusal
  const isOnItsWay = text !== undefined && !pending.value.has(place) && refusal.code === 'unreachable'
  if (isOnItsWay || refusal.code === 'idempotency_in_progress') return
  // Only silence leaves it open whether the question arrived.
  if (refusal.code !== 'unreachable') keys.delete(place)
  // Stored, but failed before the first token: the chat itself says so.
  if (refusal.extra.userMessageUid) return
  if (text !== undefined && !drafts.value.get(place)) setDraft(place, text)
  if (refusal.code === 'model_not_found') {
    choose('')
    void loadModels().catch(() => {})
  }
  refused.value = new Map(refused.value).set(place, { refusal })
}

function without<Value>(map: ReadonlyMap<string, Value>, key: string): Map<string, Value> {
  const rest = new Map(map)
  rest.delete(key)
  return rest
}
