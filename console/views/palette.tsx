import { useSignal } from '@preact/signals'
import { useEffect, useId } from 'preact/hooks'
import { Icon, type IconName } from '../parts/icon.tsx'
import { useModal } from '../parts/modal.ts'
import { isPaletteOpen, isTopUpOpen } from '../state/appearance.ts'
import { chats, findChats } from '../state/chats.ts'
import { chatPath, go } from '../state/route.ts'
import { isAdministrator } from '../state/session.ts'
import type { Chat } from '../wire/api.ts'

interface Entry {
  name: string
  icon: IconName
  act: () => void
}

const DEBOUNCE_MS = 150
const to = (path: string) => () => go(path)
const places: Entry[] = [
  { name: 'New chat', icon: 'plus', act: to('/') },
  {
    name: 'Top up',
    icon: 'wallet',
    act: () => {
      isTopUpOpen.value = true
    },
  },
  { name: 'Statement', icon: 'receipt', act: to('/statement') },
  { name: 'Usage', icon: 'chart', act: to('/usage') },
  { name: 'API keys', icon: 'key', act: to('/keys') },
  { name: 'Account', icon: 'person', act: to('/account') },
]
const administration: Entry[] = [
  { name: 'Models', icon: 'cube', act: to('/admin/models') },
  { name: 'People', icon: 'people', act: to('/admin/users') },
  { name: 'Bookings', icon: 'wallet', act: to('/admin/bookings') },
  { name: 'Audit', icon: 'scale', act: to('/admin/audit') },
]

const entryOf = ({ uid, title }: Pick<Chat, 'uid' | 'title'>): Entry => ({
  name: title ?? 'New chat',
  icon: 'chat',
  act: to(chatPath(uid)),
})

/** Everything by a few letters: chats by their title, and every place of the console. */
export function Palette() {
  const words = useSignal('')
  /** What the service has found, and for which words. */
  const found = useSignal<{ words: string; chats: Chat[] }>({ words: '', chats: [] })
  const at = useSignal(0)
  const dialog = useModal()
  const id = useId()
  const close = () => {
    isPaletteOpen.value = false
  }
  useEffect(() => {
    const wanted = words.value.trim()
    if (wanted === '') return
    const asking = new AbortController()
    const timer = setTimeout(async () => {
      const all = await findChats(wanted, asking.signal).catch(() => undefined)
      if (all && !asking.signal.aborted) found.value = { words: wanted, chats: all }
    }, DEBOUNCE_MS)
    return () => {
      clearTimeout(timer)
      asking.abort()
    }
  }, [words.value])

  /** As of now: who types fast presses Enter before anything is drawn. */
  const entriesNow = (): Entry[] => {
    const wanted = words.peek().trim()
    const isIn = (name: string | null) => name?.toLowerCase().includes(wanted.toLowerCase()) === true
    const known = (chats.value ?? []).filter(({ title }) => isIn(title))
    const all = found.value.words === wanted ? found.value.chats : known
    const commands = [...places, ...(isAdministrator.value ? administration : [])].filter(({ name }) =>
      isIn(name),
    )
    if (wanted !== '') return [...all.slice(0, 12).map(entryOf), ...commands]
    return [...commands.slice(0, 1), ...known.slice(0, 5).map(entryOf), ...commands.slice(1)]
  }
  const entries = entriesNow()
  const choose = (entry: Entry | undefined) => {
    if (!entry) return
    close()
    // After the dialog has gone and given the focus back.
    setTimeout(entry.act)
  }
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === 'Enter') {
      event.preventDefault()
      choose(entriesNow()[at.value])
    }
    if (event.key !== 'ArrowDown' && event.key !== 'ArrowUp') return
    event.preventDefault()
    const step = event.key === 'ArrowDown' ? 1 : -1
    at.value = entries.length > 0 ? (at.value + step + entries.length) % entries.length : 0
    document.getElementById(`${id}-${at.value}`)?.scrollIntoView({ block: 'nearest' })
  }
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: Esc does the same
    <dialog
      ref={dialog}
      class="dialog palette"
      aria-label="Search and commands"
      onCancel={(event) => {
        event.preventDefault()
        close()
      }}
      onClick={(event) => event.target === dialog.current && close()}
    >
      <div class="palette-field">
        <Icon name="search" />
        <input
          type="text"
          role="combobox"
          aria-label="Search chats and places"
          aria-expanded="true"
          aria-controls={`${id}-list`}
          aria-activedescendant={entries.length > 0 ? `${id}-${at.value}` : undefined}
          aria-autocomplete="list"
          placeholder="Search chats and places"
          value={words.value}
          onInput={(event) => {
            words.value = event.currentTarget.value
            at.value = 0
          }}
          onKeyDown={onKeyDown}
        />
      </div>
      <div id={`${id}-list`} class="palette-list" role="listbox" aria-label="Found">
        {entries.map((entry, index) => (
          // biome-ignore lint/a11y/useKeyWithClickEvents: the field above has the keys
          // biome-ignore lint/a11y/useFocusableInteractive: the field keeps the focus and names the chosen one
          <div
            key={`${entry.icon}${entry.name}${index}`}
            id={`${id}-${index}`}
            role="option"
            aria-selected={index === at.value}
            onPointerMove={() => {
              at.value = index
            }}
            onClick={() => choose(entry)}
          >
            <Icon name={entry.icon} /> <span>{entry.name}</span>
          </div>
        ))}
      </div>
      {entries.length === 0 && <p class="palette-empty muted">Nothing is called that.</p>}
    </dialog>
  )
}
