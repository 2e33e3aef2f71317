import { type Events, eventNames } from './events.ts'

/** How the feed stands. `away` from the first lost connection until the next one is open. */
export type FeedState = 'closed' | 'connecting' | 'live' | 'away'

export interface FeedParts {
  /** Get every event, in order. One says 'hole' when text before a delta is missing: the feed then begins anew. */
  takers: { [Name in keyof Events]: (data: Events[Name]) => unknown }
  onState(state: FeedState): void
  /** Asked when the service has refused the feed: whether the session is still good. */
  mayGoOn(): Promise<boolean>
}

const AGAIN_MS = 2_000
const AGAIN_MOST_MS = 30_000
/** A timer that is this late slept with the machine, and the connection did not survive that. */
const CLOCK_MS = 10_000
const ASLEEP_MS = 30_000

/**
 * The one feed of this tab. `EventSource` comes back by itself after a lost line; what it gives up on (any status but
 * 200), what the browser knows (offline, online) and what nobody tells it (a sleep) is handled here. Every return
 * names the last id that was taken, so nothing is missed and nothing is told twice.
 */
export function createFeed({ takers, onState, mayGoOn }: FeedParts) {
  let source: EventSource | undefined
  let lastId = ''
  let tries = 0
  let anewAt = 0
  let timer: ReturnType<typeof setTimeout> | undefined
  let clock: ReturnType<typeof setInterval> | undefined
  let isWanted = false

  const connect = () => {
    drop()
    if (!isWanted) return
    const opened = new EventSource(
      lastId ? `/api/feed?lastEventId=${encodeURIComponent(lastId)}` : '/api/feed',
    )
    source = opened
    opened.onopen = () => {
      tries = 0
      onState('live')
    }
    opened.onerror = () => {
      if (source !== opened) return
      onState('away')
      if (opened.readyState === EventSource.CLOSED) void again()
    }
    for (const name of eventNames)
      opened.addEventListener(name, (event) => {
        if (source !== opened) return
        if (event.lastEventId) lastId = event.lastEventId
        if (takers[name](JSON.parse(event.data) as never) === 'hole') beginAnew()
      })
  }
  const beginAnew = () => {
    lastId = ''
    drop()
    // The second one in a row would be a fault of one of the two sides: then without haste.
    timer = setTimeout(connect, Date.now() - anewAt < AGAIN_MOST_MS ? AGAIN_MOST_MS : 0)
    anewAt = Date.now()
  }
  const again = async () => {
    drop()
    const wait = Math.min(AGAIN_MOST_MS, AGAIN_MS * 2 ** tries++)
    if (!(await mayGoOn().catch(() => true)) || !isWanted) return
    clearTimeout(timer)
    timer = setTimeout(connect, wait)
  }
  const drop = () => {
    clearTimeout(timer)
    source?.close()
    source = undefined
  }
  const onOffline = () => {
    drop()
    onState('away')
  }
  const watchClock = () => {
    let last = Date.now()
    clock = setInterval(() => {
      const isLate = Date.now() - last > CLOCK_MS + ASLEEP_MS
      last = Date.now()
      if (isLate) connect()
    }, CLOCK_MS)
  }

  return {
    open() {
      if (isWanted) return
      isWanted = true
      onState('connecting')
      addEventListener('offline', onOffline)
      addEventListener('online', connect)
      watchClock()
      connect()
    },
    close() {
      isWanted = false
      lastId = ''
      clearInterval(clock)
      removeEventListener('offline', onOffline)
      removeEventListener('online', connect)
      drop()
      onState('closed')
    },
  }
}
