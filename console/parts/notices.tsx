import { signal } from '@preact/signals'
import type { Refusal } from '../wire/api.ts'
import { Icon } from './icon.tsx'

interface Notice {
  id: number
  text: string
  isBad: boolean
}

const SHOWN_MS = 6_000
const notices = signal<Notice[]>([])
let last = 0

/** A word at the edge of the screen that goes by itself; read aloud once. */
export function say(text: string, { isBad = false } = {}): void {
  const id = ++last
  notices.value = [...notices.value, { id, text, isBad }]
  setTimeout(() => drop(id), SHOWN_MS)
}

export const complain = (refusal: Refusal | Error): void => say(refusal.message, { isBad: true })

const drop = (gone: number) => {
  notices.value = notices.value.filter(({ id }) => id !== gone)
}

export function Notices() {
  return (
    <div class="notices" role="status" aria-live="polite">
      {notices.value.map(({ id, text, isBad }) => (
        <div key={id} class={isBad ? 'notice bad' : 'notice'}>
          <Icon name={isBad ? 'alert' : 'check'} />
          <span>{text}</span>
          <button type="button" class="quiet" aria-label="Dismiss" onClick={() => drop(id)}>
            <Icon name="close" />
          </button>
        </div>
      ))}
    </div>
  )
}
