import { useEffect, useRef } from 'preact/hooks'
import { Icon } from '../parts/icon.tsx'
import { credits } from '../parts/words.ts'
import { isListOpen, isPaletteOpen, isTopUpOpen } from '../state/appearance.ts'
import { chatOf } from '../state/chats.ts'
import { feedState } from '../state/live.ts'
import { money } from '../state/money.ts'
import { go, type Route, route, whenMoved } from '../state/route.ts'
import { isAdministrator } from '../state/session.ts'
import { Account } from './account.tsx'
import { Audit } from './audit.tsx'
import { Bookings } from './bookings.tsx'
import { ChatView } from './chat.tsx'
import { Keys } from './keys.tsx'
import { Models } from './models.tsx'
import { Palette } from './palette.tsx'
import { Sidebar } from './sidebar.tsx'
import { Statement } from './statement.tsx'
import { TopUp } from './top-up.tsx'
import { UsageView } from './usage.tsx'
import { Users } from './users.tsx'

const titles: Record<Route['view'], string> = {
  chat: 'New chat',
  statement: 'Statement',
  usage: 'Usage',
  keys: 'API keys',
  account: 'Account',
  models: 'Models',
  users: 'People',
  bookings: 'Bookings',
  audit: 'Audit',
  nowhere: 'Nothing is here',
}

/** The frame around every view: the list of chats, the way to everything else, and the balance. */
export function Shell() {
  const main = useRef<HTMLElement>(null)
  const place = route.value
  const title = titleOf(place)
  useEffect(() => {
    document.title = `${title} · bothub edge`
  }, [title])
  useEffect(
    () =>
      whenMoved(() => {
        isListOpen.value = false
        // The composer takes the focus by itself.
        if (route.peek().view !== 'chat') main.current?.focus()
      }),
    [],
  )
  useEffect(() => {
    addEventListener('keydown', onKey)
    return () => removeEventListener('keydown', onKey)
  }, [])
  return (
    <div class={isListOpen.value ? 'shell list-open' : 'shell'}>
      <a class="skip" href="#main">
        Skip to the content
      </a>
      <header class="topbar">
        <button
          type="button"
          class="quiet"
          aria-label="Menu"
          aria-expanded={isListOpen.value}
          aria-controls="sidebar"
          onClick={() => {
            isListOpen.value = !isListOpen.value
          }}
        >
          <Icon name="menu" />
        </button>
        <span class="topbar-title">{title}</span>
        <a
          class="chip"
          href="/statement"
          aria-label={`Available: ${credits(money.value.available)} credits. Statement`}
        >
          <Icon name="wallet" /> {credits(money.value.available)}
        </a>
      </header>
      <Sidebar />
      {/* biome-ignore lint/a11y/useKeyWithClickEvents: Esc does the same */}
      {/* biome-ignore lint/a11y/noStaticElementInteractions: only a larger target */}
      <div
        class="veil"
        onClick={() => {
          isListOpen.value = false
        }}
      />
      <main id="main" ref={main} tabIndex={-1} inert={isListOpen.value}>
        <Away />
        <View place={place} />
      </main>
      {isPaletteOpen.value && <Palette />}
      {isTopUpOpen.value && <TopUp />}
    </div>
  )
}

function View({ place }: { place: Route }) {
  if ('isAdministration' in place && !isAdministrator.value) return <Nowhere />
  switch (place.view) {
    case 'chat':
      return <ChatView key={place.chatUid ?? 'new'} chatUid={place.chatUid} />
    case 'statement':
      return <Statement />
    case 'usage':
      return <UsageView />
    case 'keys':
      return <Keys />
    case 'account':
      return <Account />
    case 'models':
      return <Models />
    case 'users':
      return <Users />
    case 'bookings':
      return <Bookings />
    case 'audit':
      return <Audit />
    case 'nowhere':
      return <Nowhere />
  }
}

function titleOf(place: Route): string {
  if (place.view !== 'chat' || !place.chatUid) return titles[place.view]
  return chatOf(place.chatUid)?.title ?? 'Chat'
}

/** Live updates are lost and come back by themselves; there is no need to say so at once. */
function Away() {
  const isAway = feedState.value === 'away'
  return (
    <div role="status">
      {isAway && (
        <p class="away">
          <span class="spinner" aria-hidden="true" />
          {navigator.onLine ? 'Reconnecting…' : 'You are offline.'} Nothing is lost: what happens meanwhile
          comes after.
        </p>
      )}
    </div>
  )
}

function Nowhere() {
  return (
    <div class="page">
      <div class="empty">
        <h1>Nothing is here</h1>
        <p class="muted">The address is wrong, or this is for others.</p>
        <a class="button" href="/">
          To your chats
        </a>
      </div>
    </div>
  )
}

function onKey(event: KeyboardEvent): void {
  const isCommand = (event.metaKey || event.ctrlKey) && !event.altKey
  const key = event.key.toLowerCase()
  if (isCommand && key === 'k') {
    event.preventDefault()
    isPaletteOpen.value = !isPaletteOpen.value
  } else if (isCommand && event.shiftKey && key === 'o') {
    event.preventDefault()
    go('/')
  } else if (key === 'escape' && isListOpen.value) isListOpen.value = false
}
