import { useSignal } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import { Icon, Mark } from './parts/icon.tsx'
import { Notices } from './parts/notices.tsx'
import { open, profile } from './state/session.ts'
import { Entry } from './views/entry.tsx'
import { Shell } from './views/shell.tsx'

/** Who nobody knows signs in; who is known sees the console. */
export function App() {
  const isUnreachable = useSignal(false)
  const begin = () => {
    isUnreachable.value = false
    open().catch(() => {
      isUnreachable.value = true
    })
  }
  useEffect(begin, [])
  if (isUnreachable.value) return <Unreachable again={begin} />
  if (profile.value === undefined) return <Opening />
  return (
    <>
      {profile.value === null ? <Entry /> : <Shell />}
      <Notices />
    </>
  )
}

function Opening() {
  return (
    <main class="opening" aria-busy="true" aria-label="Opening the console">
      <Mark />
    </main>
  )
}

function Unreachable({ again }: { again: () => void }) {
  useEffect(() => {
    addEventListener('online', again)
    return () => removeEventListener('online', again)
  }, [again])
  return (
    <main class="opening">
      <Mark />
      <h1>The service cannot be reached</h1>
      <p class="muted">Check your connection. The console goes on by itself when it is back.</p>
      <button type="button" class="button" onClick={again}>
        <Icon name="retry" /> Try again
      </button>
    </main>
  )
}
