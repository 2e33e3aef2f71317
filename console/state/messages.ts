import { computed, type Signal, signal } from '@preact/signals'
import { call, type Message, type Refusal, type Usage } from '../wire/api.ts'
import type { Broken, Delta, End, Start } from '../wire/events.ts'

/** An answer that is being written. Its text grows by deltas, which come from the feed, from its own stream, or both. */
export interface Running {
  chatUid: string
  modelUid: string
  text: string
  reasoning: string
}

/** How an answer ended, as far as this tab has heard it. */
export interface Ending {
  usage?: Usage | null | undefined
  code?: string
  detail?: string
}

export interface Conversation {
  /** Oldest first. */
  messages: Signal<Message[]>
  state: Signal<'loading' | 'ready' | 'missing' | 'failed'>
  /** Cursor of the page before the first message; null when there is none. */
  older: Signal<string | null>
}

const STRAY_MS = 2_000

const conversations = new Map<string, Conversation>()
/** By messageUid. A signal each, so that a delta touches nothing but its own answer. */
const running = new Map<string, Signal<Running>>()
/** By chatUid: the answer that is being written there. A chat has one at most. */
export const runningIn = signal<ReadonlyMap<string, string>>(new Map())
export const endings = signal<ReadonlyMap<string, Ending>>(new Map())
export const isAnythingRunning = computed(() => runningIn.value.size > 0)

export const textOf = (messageUid: string): Signal<Running> | undefined => running.get(messageUid)

export function conversationOf(chatUid: string): Conversation {
  const present = conversations.get(chatUid)
  if (present) return present
  const made: Conversation = { messages: signal([]), state: signal('loading'), older: signal(null) }
  conversations.set(chatUid, made)
  return made
}

/** The newest page; also where a feed that began anew may have missed something. */
export async function loadMessages(chatUid: string): Promise<void> {
  const { state, older, messages } = conversationOf(chatUid)
  const isFirst = state.peek() !== 'ready'
  await call('get', '/api/chat/{chatUid}/messages', { params: { chatUid }, query: { limit: 50 } }).then(
    ({ data, nextCursor }) => {
      takeMessages(chatUid, data)
      if (isFirst) older.value = nextCursor
      state.value = 'ready'
      // Read before its end was told, or told by nobody while the feed is away: look again.
      const isStray = ({ uid, status }: Message) => status === 'STREAMING' && !running.has(uid)
      if (messages.value.some(isStray) && conversations.has(chatUid))
        setTimeout(() => void loadMessages(chatUid), STRAY_MS)
    },
    (refusal: Refusal) => {
      if (refusal.status === 404 || refusal.status === 422) state.value = 'missing'
      else if (state.value !== 'ready') state.value = 'failed'
    },
  )
}

/** @throws Refusal */
export async function loadOlder(chatUid: string): Promise<void> {
  const { older } = conversationOf(chatUid)
  const cursor = older.value
  if (!cursor) return
  const { data, nextCursor } = await call('get', '/api/chat/{chatUid}/messages', {
    params: { chatUid },
    query: { limit: 50, cursor },
  })
  takeMessages(chatUid, data)
  older.value = nextCursor
}

/** Messages from any source, in any order. What has ended never runs again. Uids are in order of time. */
export function takeMessages(chatUid: string, some: Message[], { ifKnown = false } = {}): void {
  if (ifKnown && !conversations.has(chatUid)) return
  const { messages } = conversationOf(chatUid)
  const all = new Map(messages.value.map((message) => [message.uid, message]))
  for (const message of some) {
    const present = all.get(message.uid)
    if (present && present.status !== 'STREAMING' && message.status === 'STREAMING') continue
    all.set(message.uid, message)
  }
  messages.value = [...all.values()].sort((a, b) => (a.uid < b.uid ? -1 : 1))
}

export function takeStart({ messageUid, chatUid, modelUid }: Start): void {
  if (isOver(chatUid, messageUid)) return
  if (!running.has(messageUid))
    running.set(messageUid, signal({ chatUid, modelUid, text: '', reasoning: '' }))
  runningIn.value = new Map(runningIn.value).set(chatUid, messageUid)
  takeMessages(chatUid, [stubOf({ messageUid, chatUid, modelUid })], { ifKnown: true })
}

/**
 * Adds what is new of a delta. The same words may come twice, from the feed and from the stream of who asked: `offset`
 * tells. 'hole' when text before it is missing.
 */
export function takeDelta(
  kind: 'text' | 'reasoning',
  { messageUid, chatUid, offset, text }: Delta,
): 'hole' | undefined {
  if (isOver(chatUid, messageUid)) return undefined
  const answer = running.get(messageUid)
  if (!answer) return 'hole'
  const have = answer.value[kind].length
  if (offset > have) return 'hole'
  if (offset + text.length > have)
    answer.value = { ...answer.value, [kind]: answer.value[kind] + text.slice(have - offset) }
  return undefined
}

export function takeEnd({ message: { textOmitted, ...ended }, usage }: End, failure?: Broken): void {
  const { uid, chatUid } = ended
  // Above 256 KB an end leaves the text out: it is fetched.
  const message: Message = { ...ended, message: ended.message ?? running.get(uid)?.value.text ?? '' }
  noteEnding(uid, { usage, ...(failure ? { code: failure.code, detail: failure.detail } : {}) })
  takeMessages(chatUid, [message], { ifKnown: true })
  forget(uid, chatUid)
  if (textOmitted && conversations.has(chatUid)) void loadMessages(chatUid)
}

export function takeBroken(broken: Broken): void {
  const { message, messageUid, chatUid } = broken
  if (message) {
    takeEnd({ ...broken, message } as End, broken)
    return
  }
  // Nobody knows how it stands: the service will say, by the feed or when the page is loaded.
  if (messageUid) noteEnding(messageUid, { code: broken.code, detail: broken.detail })
  if (chatUid) void loadMessages(chatUid)
}

/** The running answers of a snapshot are all that run. What ran and is not among them has ended meanwhile. */
export function takeRunning(answers: Message[]): void {
  const present = new Set(answers.map(({ uid }) => uid))
  const gone = [...runningIn.value].filter(([, messageUid]) => !present.has(messageUid))
  for (const [chatUid, messageUid] of gone) forget(messageUid, chatUid)
  const now = new Map<string, string>()
  for (const { uid, chatUid, modelUid, message: text, reasoning = '' } of answers) {
    if (isOver(chatUid, uid)) continue
    now.set(chatUid, uid)
    const have = running.get(uid)
    if (!have) running.set(uid, signal({ chatUid, modelUid: modelUid ?? '', text, reasoning }))
    // The stream of who asked may be ahead of the snapshot.
    else if (!have.value.text.startsWith(text)) have.value = { ...have.value, text, reasoning }
    else if (reasoning.length > have.value.reasoning.length) have.value = { ...have.value, reasoning }
    takeMessages(chatUid, [stubOf({ messageUid: uid, chatUid, modelUid: modelUid ?? '' })], { ifKnown: true })
  }
  runningIn.value = now
}

/** Every chat that was looked at is looked at again when it is opened, and at once when it is open. */
export function reloadConversations(openChatUid: string | undefined): void {
  for (const chatUid of conversations.keys()) {
    if (chatUid === openChatUid) void loadMessages(chatUid)
    else conversations.delete(chatUid)
  }
}

export function forgetConversation(chatUid: string): void {
  const messageUid = runningIn.value.get(chatUid)
  if (messageUid) forget(messageUid, chatUid)
  const present = conversations.get(chatUid)
  if (present) present.state.value = 'missing'
  conversations.delete(chatUid)
}

export function forgetEverything(): void {
  conversations.clear()
  running.clear()
  runningIn.value = new Map()
  endings.value = new Map()
}

function isOver(chatUid: string, messageUid: string): boolean {
  const present = conversations.get(chatUid)?.messages.value.find(({ uid }) => uid === messageUid)
  return endings.value.has(messageUid) || (present !== undefined && present.status !== 'STREAMING')
}

function forget(messageUid: string, chatUid: string): void {
  running.delete(messageUid)
  if (runningIn.value.get(chatUid) !== messageUid) return
  const rest = new Map(runningIn.value)
  rest.delete(chatUid)
  runningIn.value = rest
}

function noteEnding(messageUid: string, ending: Ending): void {
  endings.value = new Map(endings.value).set(messageUid, ending)
}

const stubOf = ({ messageUid, chatUid, modelUid }: Start): Message => ({
  uid: messageUid,
  chatUid,
  modelUid,
  role: 'assistant',
  message: '',
  status: 'STREAMING',
  tokenUsed: 0,
  creditSpent: 0,
  createdAt: new Date().toISOString(),
})
