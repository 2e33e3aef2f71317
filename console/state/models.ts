import { computed, signal } from '@preact/signals'
import { call, type Model } from '../wire/api.ts'

/** Every model that the person may see, by name; undefined until they are there. */
export const models = signal<Model[] | undefined>(undefined)
export const usable = computed(() => models.value?.filter(({ enabled }) => enabled) ?? [])

const CHOSEN = 'model'
const chosenUid = signal(localStorage.getItem(CHOSEN) ?? '')

/** The model that the next question goes to: the last one chosen, if it is still there. */
export const chosen = computed(
  () => usable.value.find(({ uid }) => uid === chosenUid.value) ?? usable.value[0],
)

export function choose(uid: string): void {
  chosenUid.value = uid
  localStorage.setItem(CHOSEN, uid)
}

/** @throws Refusal */
export async function loadModels(): Promise<void> {
  const all: Model[] = []
  let cursor: string | null | undefined
  do {
    const page = await call('get', '/api/model/all', { query: { limit: 100, ...(cursor ? { cursor } : {}) } })
    all.push(...page.data)
    cursor = page.nextCursor
  } while (cursor)
  models.value = all.toSorted((a, b) => a.name.localeCompare(b.name))
}

export const nameOf = (modelUid: string | null | undefined): string =>
  models.value?.find(({ uid }) => uid === modelUid)?.name ?? 'a former model'
