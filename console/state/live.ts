import { effect, signal } from '@preact/signals'
import { createFeed, type FeedState } from '../wire/feed.ts'
import { dropChat, forgetChats, loadChats, takeChat, takeChats } from './chats.ts'
import { openDrafts } from './drafts.ts'
import {
  forgetConversation,
  forgetEverything,
  reloadConversations,
  takeBroken,
  takeDelta,
  takeEnd,
  takeMessages,
  takeRunning,
  takeStart,
} from './messages.ts'
import { loadModels, models } from './models.ts'
import { bookings, takeMoney } from './money.ts'
import { route } from './route.ts'
import { clearPending, forgetQuestions } from './sending.ts'
import { isStillGood, profile } from './session.ts'

export const feedState = signal<FeedState>('closed')

const openChatUid = () =>
  route.peek().view === 'chat' ? (route.peek() as { chatUid?: string }).chatUid : undefined
let isFirst = true

const feed = createFeed({
  takers: {
    snapshot({ chats, running, ...money }) {
      takeMoney(money)
      takeChats(chats)
      takeRunning(running)
      if (!isFirst) {
        reloadConversations(openChatUid())
        bookings.value++
      }
      isFirst = false
    },
    new_chat: ({ chat }) => takeChat(chat),
    chat_updated: ({ chat }) => takeChat(chat),
    chat_deleted({ chatUid }) {
      dropChat(chatUid)
      forgetConversation(chatUid)
    },
    new_message({ message }) {
      clearPending(message)
      takeMessages(message.chatUid, [message], { ifKnown: true })
    },
    message_start: takeStart,
    message_delta: (delta) => takeDelta('text', delta),
    reasoning_delta: (delta) => takeDelta('reasoning', delta),
    message_end: (end) => takeEnd(end),
    message_error: takeBroken,
    new_transaction({ newBalance, available, seq }) {
      takeMoney({ balance: newBalance, available, seq })
      bookings.value++
    },
    balance: takeMoney,
  },
  onState: (state) => {
    feedState.value = state
  },
  mayGoOn: isStillGood,
})

/** Coming back is told twice, by what is visible and by what has the focus: looked at once. */
let isLooking = false

/** Whoever comes back to the page finds themselves on it, and the prices of now. */
async function lookAgain(): Promise<void> {
  if (isLooking || document.visibilityState !== 'visible' || !profile.peek()) return
  isLooking = true
  try {
    if (await isStillGood()) await loadModels()
  } catch {
    // Away: the feed says so.
  } finally {
    isLooking = false
  }
}

/** Opens what a signed-in person needs, and closes all of it when they leave. */
export function startLive(): void {
  document.addEventListener('visibilitychange', lookAgain)
  addEventListener('focus', lookAgain)
  let uid: string | undefined
  effect(() => {
    const now = profile.value?.uid
    if (now === uid) return
    uid = now
    feed.close()
    forgetEverything()
    forgetChats()
    forgetQuestions()
    openDrafts(now)
    models.value = undefined
    isFirst = true
    if (!now) return
    feed.open()
    void loadChats().catch(() => {})
    void loadModels().catch(() => {})
  })
}
