import { signal } from '@preact/signals'

// Questions that are not asked yet, by chat. They outlive a reload and an ended session, in this tab and for the
// person who wrote them; nobody else gets to see them.

interface Kept {
  owner: string
  drafts: [string, string][]
}

const PLACE = 'drafts'

export const drafts = signal<ReadonlyMap<string, string>>(new Map())
let owner: string | undefined

export function setDraft(place: string, text: string): void {
  const next = new Map(drafts.value)
  if (text === '') next.delete(place)
  else next.set(place, text)
  drafts.value = next
  if (owner) sessionStorage.setItem(PLACE, JSON.stringify({ owner, drafts: [...next] } satisfies Kept))
}

/** Shows those of this person, or, without one, none. */
export function openDrafts(uid: string | undefined): void {
  owner = uid
  const kept = JSON.parse(sessionStorage.getItem(PLACE) ?? 'null') as Kept | null
  const isTheirs = uid !== undefined && kept?.owner === uid
  if (uid !== undefined && !isTheirs) forgetDrafts()
  drafts.value = new Map(isTheirs ? kept.drafts : [])
}

export function forgetDrafts(): void {
  sessionStorage.removeItem(PLACE)
}
