import type { Chat, Message, Usage } from './api.ts'

/** What feeds and answer streams say (contract of the API: "Live feeds"). */
export interface Delta {
  messageUid: string
  chatUid: string
  /** UTF-16 units of the text of its kind before it. */
  offset: number
  text: string
}

export interface Start {
  messageUid: string
  chatUid: string
  modelUid: string
  /** In the stream of who asked. */
  userMessageUid?: string
}

export interface End {
  message: Omit<Message, 'message'> & { message?: string; textOmitted?: true }
  usage?: Usage | null
  cost: number
  newBalance: number
}

export interface Broken extends Partial<End> {
  /** In place of `message` when nothing is known of it. */
  messageUid?: string
  chatUid?: string
  code: string
  detail: string
}

export interface Money {
  balance: number
  available: number
  /** Grows with every change of the account: the highest counts. */
  seq: number
}

export interface Snapshot extends Money {
  chats: Chat[]
  running: Message[]
}

export interface Events {
  snapshot: Snapshot
  new_chat: { chat: Chat }
  chat_updated: { chat: Chat }
  chat_deleted: { chatUid: string }
  new_message: { message: Message }
  message_start: Start
  message_delta: Delta
  reasoning_delta: Delta
  message_end: End
  message_error: Broken
  new_transaction: {
    transactionUid: string
    amount: number
    type: string
    newBalance: number
    available: number
    seq: number
  }
  balance: Money
}

export const eventNames = [
  'snapshot',
  'new_chat',
  'chat_updated',
  'chat_deleted',
  'new_message',
  'message_start',
  'message_delta',
  'reasoning_delta',
  'message_end',
  'message_error',
  'new_transaction',
  'balance',
] as const satisfies (keyof Events)[]
