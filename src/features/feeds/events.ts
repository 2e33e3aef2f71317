/** What happens to a person's chats and money, as feeds tell it (contract, section 6). */
export interface FeedEvent {
  event:
    | 'new_chat'
    | 'chat_updated'
    | 'chat_deleted'
    | 'new_message'
    | 'message_start'
    | 'message_delta'
    | 'reasoning_delta'
    | 'message_end'
    | 'message_error'
    | 'new_transaction'
    | 'balance'
  data: Record<string, unknown>
}

/** New text of an answer; `offset` counts the UTF-16 units of its kind before it. */
export interface DeltaData {
  messageUid: string
  chatUid: string
  offset: number
  text: string
}

export const isDelta = ({ event }: FeedEvent): boolean =>
  event === 'message_delta' || event === 'reasoning_delta'

/** What one feed shows of the log. */
export type View =
  | { kind: 'everything' }
  | { kind: 'chats' }
  | { kind: 'chat'; chatUid: string }
  | { kind: 'balance' }

const MONEY = new Set<FeedEvent['event']>(['new_transaction', 'balance'])

export function shows(view: View, event: FeedEvent): boolean {
  switch (view.kind) {
    case 'everything':
      return true
    case 'balance':
      return MONEY.has(event.event)
    case 'chats':
      return !MONEY.has(event.event)
    case 'chat':
      return chatUidOf(event) === view.chatUid
  }
}

/** The chat that an event is about: it stands on it, or on the message or chat inside. */
function chatUidOf({ data }: FeedEvent): unknown {
  const { chatUid, message, chat } = data as {
    chatUid?: string
    message?: { chatUid: string }
    chat?: { uid: string }
  }
  return chatUid ?? message?.chatUid ?? chat?.uid
}
