import { computed, signal } from '@preact/signals'
import { type Chat, call } from '../wire/api.ts'

/** Chats by uid, as far as they are known; undefined until the first page is there. */
const known = signal<Map<string, Chat> | undefined>(undefined)
/** The page after the known ones; null when there is none. */
export const nextChats = signal<string | null>(null)

/** The one that was last written in comes first. */
export const chats = computed(
  () => known.value && [...known.value.values()].toSorted((a, b) => b.updatedAt.localeCompare(a.updatedAt)),
)

export const chatOf = (chatUid: string): Chat | undefined => known.value?.get(chatUid)

/** What a snapshot shows is all that counts; pages that were loaded beyond it stay. */
export function takeChats(newest: Chat[]): void {
  const oldest = newest.at(-1)?.createdAt ?? ''
  const beyond = [...(known.value?.values() ?? [])].filter(({ createdAt }) => createdAt < oldest)
  known.value = new Map([...newest, ...beyond].map((chat) => [chat.uid, chat]))
}

export function takeChat(chat: Chat): void {
  const present = known.value?.get(chat.uid)
  // Answers may overtake each other; the younger state of a chat wins.
  if (present && present.updatedAt > chat.updatedAt) return
  known.value = new Map(known.value).set(chat.uid, chat)
}

export function dropChat(chatUid: string): void {
  const rest = new Map(known.value)
  rest.delete(chatUid)
  known.value = rest
}

export function forgetChats(): void {
  known.value = undefined
  nextChats.value = null
}

/** The first page also when the feed is away. @throws Refusal */
export async function loadChats(): Promise<void> {
  const { data, nextCursor } = await call('get', '/api/chat/all', { query: { limit: 50 } })
  takeChats(data)
  nextChats.value = nextCursor
}

/** @throws Refusal */
export async function loadMoreChats(): Promise<void> {
  const cursor = nextChats.value
  if (!cursor) return
  nextChats.value = null
  const page = await call('get', '/api/chat/all', { query: { limit: 50, cursor } }).catch((refusal) => {
    nextChats.value = cursor
    throw refusal
  })
  known.value = new Map([...(known.value ?? []), ...page.data.map((chat) => [chat.uid, chat] as const)])
  nextChats.value = page.nextCursor
}

/** By title, the service's own search. @throws Refusal */
export async function findChats(words: string, signal: AbortSignal): Promise<Chat[]> {
  const { data } = await call('get', '/api/chat/all', { query: { limit: 30, search: words }, signal })
  return data
}

/** @throws Refusal */
export async function renameChat(chatUid: string, title: string): Promise<void> {
  takeChat(await call('patch', '/api/chat/{chatUid}', { params: { chatUid }, body: { title } }))
}

/** @throws Refusal */
export async function deleteChat(chatUid: string): Promise<void> {
  await call('delete', '/api/chat/{chatUid}', { params: { chatUid } })
  dropChat(chatUid)
}
