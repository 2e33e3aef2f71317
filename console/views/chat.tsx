import { useComputed } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import { Icon } from '../parts/icon.tsx'
import { complain } from '../parts/notices.tsx'
import { credits, many } from '../parts/words.ts'
import { chatOf } from '../state/chats.ts'
import { drafts, setDraft } from '../state/drafts.ts'
import { conversationOf, loadMessages, runningIn } from '../state/messages.ts'
import { models, nameOf } from '../state/models.ts'
import { NEW, pending, stop } from '../state/sending.ts'
import { profile } from '../state/session.ts'
import { Announcer } from './announcer.tsx'
import { Composer } from './composer.tsx'
import { Scroller } from './scroller.tsx'
import { Turns } from './turns.tsx'

/** One chat, or the place where a new one begins. */
export function ChatView({ chatUid }: { chatUid: string | undefined }) {
  return chatUid ? <OpenChat chatUid={chatUid} /> : <NewChat />
}

function NewChat() {
  const isSending = pending.value.has(NEW)
  return (
    <div class={isSending ? 'chat' : 'chat fresh'}>
      <div class="welcome">
        <h1>{isSending ? 'One moment…' : `Hello ${profile.value?.firstName ?? ''}.`}</h1>
        {!isSending && <p class="muted">Ask anything. You see the answer arrive, and what it cost.</p>}
      </div>
      <Composer chatUid={undefined} />
      {!isSending && <Suggestions />}
    </div>
  )
}

const suggestions = [
  'What happens to my credits while you answer?',
  'Can I watch this answer on another device?',
  'How does a program talk to you?',
]

function Suggestions() {
  if (drafts.value.get(NEW)) return null
  return (
    <ul class="suggestions" aria-label="Suggestions">
      {suggestions.map((text) => (
        <li key={text}>
          <button
            type="button"
            onClick={() => {
              setDraft(NEW, text)
              document.querySelector<HTMLElement>('#main textarea')?.focus()
            }}
          >
            {text}
          </button>
        </li>
      ))}
    </ul>
  )
}

function OpenChat({ chatUid }: { chatUid: string }) {
  const conversation = conversationOf(chatUid)
  const state = conversation.state.value
  const messageUid = useComputed(() => runningIn.value.get(chatUid)).value
  useEffect(() => void loadMessages(chatUid), [chatUid])
  useEffect(() => {
    if (!messageUid) return
    const onKey = (event: KeyboardEvent) => {
      if (
        event.key !== 'Escape' ||
        event.defaultPrevented ||
        document.querySelector('dialog[open], [role=menu]')
      )
        return
      void stop(messageUid).catch(complain)
    }
    addEventListener('keydown', onKey)
    return () => removeEventListener('keydown', onKey)
  }, [messageUid])

  if (state === 'missing')
    return (
      <div class="page">
        <div class="empty">
          <h1>This chat is not here</h1>
          <p class="muted">It was deleted, or it is another person's.</p>
          <a class="button" href="/">
            Start a new one
          </a>
        </div>
      </div>
    )
  return (
    <div class="chat">
      <Head chatUid={chatUid} />
      {state === 'failed' ? (
        <div class="empty">
          <p>The messages could not be loaded.</p>
          <button type="button" class="button" onClick={() => void loadMessages(chatUid)}>
            <Icon name="retry" /> Try again
          </button>
        </div>
      ) : (
        <Scroller chatUid={chatUid} isLoading={state === 'loading'}>
          <Turns chatUid={chatUid} />
        </Scroller>
      )}
      <Announcer chatUid={chatUid} />
      <Composer chatUid={chatUid} />
    </div>
  )
}

function Head({ chatUid }: { chatUid: string }) {
  const chat = chatOf(chatUid)
  const used = conversationOf(chatUid).messages.value.findLast(({ role }) => role === 'assistant')?.modelUid
  return (
    <header class="chat-head">
      <h1>{chat?.title ?? 'Chat'}</h1>
      {chat && chat.totalTokenUsed > 0 && (
        <p class="muted" title={models.value ? `Last answered by ${nameOf(used)}` : undefined}>
          {many(chat.totalTokenUsed, 'token')} · {credits(chat.totalCreditSpent)} credits
        </p>
      )}
    </header>
  )
}
