import { type Failure, failures } from '../../core/failure.ts'
import type { FeedEvent } from '../feeds/events.ts'
import type { Told } from '../feeds/outbox.ts'
import { type Answered, type ChatRow, chatOut, type MessageOut } from './present.ts'

// What happens to chats, as events: the same for the sender's own stream and for every feed.

/** A whole text above this (UTF-16 units) is left out of the last event, to be fetched. */
const WHOLE_TEXT_LIMIT = 256 * 1024

export const chatCreated = (chat: ChatRow): FeedEvent => ({
  event: 'new_chat',
  data: { chat: chatOut(chat) },
})
export const chatUpdated = (chat: ChatRow): FeedEvent => ({
  event: 'chat_updated',
  data: { chat: chatOut(chat) },
})
/** Of the answer that was being written there nothing more is told, and the log keeps none of its text. */
export const chatGone = (chatUid: string, running: string | null): Told => ({
  events: [{ event: 'chat_deleted', data: { chatUid } }],
  ...(running === null ? {} : { forget: running }),
  isLast: true,
})
export const messageStored = (message: MessageOut): FeedEvent => ({ event: 'new_message', data: { message } })

export const answerStarted = (data: {
  messageUid: string
  chatUid: string
  modelUid: string
}): FeedEvent => ({
  event: 'message_start',
  data,
})

/** How an answer ended; exactly one of these ends it, after the charge is booked. */
export function answerEnded({
  assistantMessage: whole,
  failure,
  usage,
  cost,
  newBalance,
}: Answered): FeedEvent {
  const { message: _, ...short } = whole
  const message = whole.message.length > WHOLE_TEXT_LIMIT ? { ...short, textOmitted: true } : whole
  if (!failure) return { event: 'message_end', data: { message, usage, cost, newBalance } }
  return {
    event: 'message_error',
    data: { message, ...told(failure), ...(usage ? { usage } : {}), cost, newBalance },
  }
}

export const told = ({ code, details }: Failure) => ({
  code,
  detail: details.detail ?? `${failures[code].title}.`,
})
