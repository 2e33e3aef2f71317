import { useSignal } from '@preact/signals'
import { useEffect, useRef } from 'preact/hooks'
import { Icon, type IconName, Mark } from '../parts/icon.tsx'
import { complain } from '../parts/notices.tsx'
import { credits, exactly, periodOf } from '../parts/words.ts'
import { isPaletteOpen, isTopUpOpen, setTheme, theme } from '../state/appearance.ts'
import { chats, loadMoreChats, nextChats } from '../state/chats.ts'
import { runningIn } from '../state/messages.ts'
import { held, money } from '../state/money.ts'
import { chatPath, route } from '../state/route.ts'
import { isAdministrator, profile, signOut } from '../state/session.ts'
import { ChatItem } from './chat-item.tsx'

const isApple = /Mac|iP(hone|ad)/.test(navigator.platform)

export function Sidebar() {
  return (
    <div id="sidebar" class="sidebar">
      <div class="sidebar-head">
        <a class="brand" href="/">
          <Mark /> bothub edge
        </a>
        <button
          type="button"
          class="quiet"
          aria-label="Search and commands"
          aria-keyshortcuts={isApple ? 'Meta+K' : 'Control+K'}
          title={`Search and commands (${isApple ? '⌘' : 'Ctrl '}K)`}
          onClick={() => {
            isPaletteOpen.value = true
          }}
        >
          <Icon name="search" />
        </button>
      </div>
      <a class="button new-chat" href="/">
        <Icon name="plus" /> New chat
      </a>
      <nav class="chats" aria-label="Chats">
        <ChatList />
      </nav>
      <Balance />
      <nav class="places" aria-label="Console">
        <Place to="/statement" icon="receipt" name="Statement" />
        <Place to="/usage" icon="chart" name="Usage" />
        <Place to="/keys" icon="key" name="API keys" />
        <Place to="/docs" icon="code" name="API docs" />
      </nav>
      {isAdministrator.value && (
        <nav class="places" aria-label="Administration">
          <Place to="/admin/models" icon="cube" name="Models" />
          <Place to="/admin/users" icon="people" name="People" />
          <Place to="/admin/bookings" icon="wallet" name="Bookings" />
          <Place to="/admin/audit" icon="scale" name="Audit" />
        </nav>
      )}
      <Person />
    </div>
  )
}

function Place({ to, icon, name }: { to: string; icon: IconName; name: string }) {
  // Read for its effect: the link is drawn anew when the place changes.
  route.value
  return (
    <a class="place" href={to} aria-current={location.pathname === to ? 'page' : undefined}>
      <Icon name={icon} /> {name}
    </a>
  )
}

function ChatList() {
  const list = chats.value
  const open = route.value.view === 'chat' ? route.value.chatUid : undefined
  if (!list) return <div class="ghosts" aria-hidden="true" />
  if (list.length === 0) return <p class="list-empty">Your chats will be here.</p>
  let period = ''
  return (
    <ul>
      {list.map((chat) => {
        const now = periodOf(chat.updatedAt)
        const isFirst = now !== period
        period = now
        return (
          <>
            {isFirst && (
              <li class="period" key={now}>
                {now}
              </li>
            )}
            <ChatItem
              key={chat.uid}
              chat={chat}
              to={chatPath(chat.uid)}
              isOpen={chat.uid === open}
              isRunning={runningIn.value.has(chat.uid)}
            />
          </>
        )
      })}
      {nextChats.value && <More />}
    </ul>
  )
}

/** Loads the next page when it comes into view. */
function More() {
  const item = useRef<HTMLLIElement>(null)
  useEffect(() => {
    const watcher = new IntersectionObserver(([entry]) => {
      if (entry?.isIntersecting) void loadMoreChats().catch(complain)
    })
    if (item.current) watcher.observe(item.current)
    return () => watcher.disconnect()
  }, [])
  return (
    <li ref={item}>
      <button type="button" class="link" onClick={() => void loadMoreChats().catch(complain)}>
        Older chats
      </button>
    </li>
  )
}

function Balance() {
  return (
    <section class="balance" aria-label="Balance">
      <div>
        <p class="balance-sum" title={`${exactly(money.value.balance)} credits`}>
          {credits(money.value.balance)} <span>credits</span>
        </p>
        {held.value > 0 && <p class="balance-held">{credits(held.value)} on hold</p>}
      </div>
      <button
        type="button"
        class="button small"
        onClick={() => {
          isTopUpOpen.value = true
        }}
      >
        Top up
      </button>
    </section>
  )
}

const themes = [
  { value: 'system', name: 'as the system', icon: 'half' },
  { value: 'light', name: 'light', icon: 'sun' },
  { value: 'dark', name: 'dark', icon: 'moon' },
] as const

function Person() {
  const isLeaving = useSignal(false)
  const at = themes.findIndex(({ value }) => value === theme.value)
  const appearance = themes[at]!
  const next = themes[(at + 1) % themes.length]!
  const { firstName, lastName, mail } = profile.value ?? { firstName: '', lastName: '', mail: '' }
  return (
    <footer class="person">
      <a
        href="/account"
        class="person-name"
        aria-current={route.value.view === 'account' ? 'page' : undefined}
      >
        <span class="initials" aria-hidden="true">
          {firstName.slice(0, 1)}
          {lastName.slice(0, 1)}
        </span>
        <span class="person-words">
          <span>
            {firstName} {lastName}
          </span>
          <span class="muted">{mail}</span>
        </span>
      </a>
      <button
        type="button"
        class="quiet"
        aria-label={`Appearance: ${appearance.name}. Next: ${next.name}`}
        title={`Appearance: ${appearance.name}`}
        onClick={() => setTheme(next.value)}
      >
        <Icon name={appearance.icon} />
      </button>
      <button
        type="button"
        class="quiet"
        aria-label="Sign out"
        title="Sign out"
        disabled={isLeaving.value}
        onClick={() => {
          isLeaving.value = true
          void signOut()
            .catch(complain)
            .finally(() => {
              isLeaving.value = false
            })
        }}
      >
        <Icon name="signOut" />
      </button>
    </footer>
  )
}
