import { useSignal } from '@preact/signals'
import { useEffect, useRef } from 'preact/hooks'
import type { Refusal } from '../wire/api.ts'

interface Page<Row> {
  data: Row[]
  nextCursor: string | null
}

/** A list that is fetched page by page, anew whenever `wish` (what is asked for, as one string) changes. */
export function usePaged<Row>(wish: string, load: (cursor: string | undefined) => Promise<Page<Row>>) {
  const rows = useSignal<Row[] | undefined>(undefined)
  const next = useSignal<string | null>(null)
  const isLoading = useSignal(false)
  const problem = useSignal<string | undefined>(undefined)
  /** Answers to an older wish come too late. */
  const turn = useRef(0)

  const fetchPage = async (cursor?: string) => {
    const mine = ++turn.current
    isLoading.value = true
    problem.value = undefined
    try {
      const page = await load(cursor)
      if (mine !== turn.current) return
      rows.value = cursor ? [...(rows.value ?? []), ...page.data] : page.data
      next.value = page.nextCursor
    } catch (error) {
      if (mine === turn.current) problem.value = (error as Refusal).message
    } finally {
      if (mine === turn.current) isLoading.value = false
    }
  }
  useEffect(() => void fetchPage(), [wish])
  return {
    rows: rows.value,
    isLoading: isLoading.value,
    problem: problem.value,
    more: next.value === null ? undefined : () => void fetchPage(next.value ?? undefined),
    reload: () => void fetchPage(),
  }
}

export type Paged<Row> = ReturnType<typeof usePaged<Row>>
