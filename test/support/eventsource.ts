import { EventSource } from 'eventsource'
import { vi } from 'vitest'

/** The events of a feed as they come, by a real EventSource. */
export function watch(url: string, headers: Record<string, string>) {
  const seen: { event: string; id: string; data: any }[] = []
  const source = new EventSource(url, {
    fetch: (input, init) => fetch(input, { ...init, headers: { ...init.headers, ...headers } }),
  })
  const names = [
    'snapshot',
    'new_chat',
    'chat_updated',
    'chat_deleted',
    'new_message',
    'message_start',
    'message_delta',
    'reasoning_delta',
    'message_end',
    'message_error',
    'new_transaction',
    'balance',
  ]
  for (const name of names)
    source.addEventListener(name, ({ data, lastEventId }) =>
      seen.push({ event: name, id: lastEventId, data: JSON.parse(data) }),
    )
  const of = (event: string) => seen.filter((one) => one.event === event)
  return {
    seen,
    of,
    source,
    /** Also in tests that run at once, to which `expect.poll` belongs one by one. */
    until: (event: string, count = 1) =>
      vi.waitFor(
        () => {
          if (of(event).length < count) throw new Error(`no ${event} came`)
        },
        { timeout: 30_000 },
      ),
  }
}
