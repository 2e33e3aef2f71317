import { pause } from '../../core/pause.ts'
import type { Outlet } from '../../http/sse.ts'
import type { Redis, Subscription } from '../../ports/redis.ts'
import { idOf, type Live, listen, type Place, publishedIn, read } from './bus.ts'
import { type FeedEvent, shows, type View } from './events.ts'
import { createKnown, type Shown } from './known.ts'

/** Redis and the roads to it may lose a subscription without a word: a silent one is opened anew. */
const SILENT_MS = 5 * 60_000
/** Between a subscription that was lost and the next. */
const AGAIN_MS = 250

/** What a snapshot tells, and what of it the events after its position may repeat. */
export interface Snapshot {
  data: Record<string, unknown>
  shown: Shown
}

export interface Followed {
  userUid: string
  view: View
  /** The state as it is now, with the answers that run at the position as `live` has them. */
  snapshot(live: Live): Promise<Snapshot>
  /** Whether the feed may go on; asked when the log says so. */
  mayGoOn(): Promise<boolean>
}

/**
 * Follows a person's log into an outlet until the signal or the subscription ends it: first what was missed since
 * `from`, or a snapshot, then everything as it happens, in order, nothing twice. A hole, by number or by offset,
 * makes it read again.
 * @throws Error when Redis cannot be asked
 */
export async function follow(
  redis: Redis,
  { userUid, view, snapshot, mayGoOn }: Followed,
  from: (Place & { marks: string }) | undefined,
  outlet: Outlet,
  signal: AbortSignal,
): Promise<void> {
  let place: Place | undefined = from
  const known = createKnown(from?.marks)

  const tell = (event: FeedEvent, n: number): 'told' | 'hole' => {
    if (!shows(view, event)) return 'told'
    const fresh = known.fresh(event)
    if (fresh === 'hole') return 'hole'
    if (fresh) outlet.event(fresh.event, fresh.data, idOf({ epoch: place!.epoch, n }, known.suffix()))
    return 'told'
  }
  const catchUp = async (again: boolean): Promise<void> => {
    const reading = await read(redis, userUid, again ? undefined : place)
    if ('live' in reading) {
      const { data, shown } = await snapshot(reading.live)
      place = reading.place
      known.reset(shown)
      outlet.event('snapshot', data, idOf(place, known.suffix()))
      return
    }
    let n = reading.place.n - reading.events.length
    place = { epoch: reading.place.epoch, n }
    for (const event of reading.events) {
      if (tell(event, ++n) === 'hole') return catchUp(true)
      place = { ...place, n }
    }
  }

  while (!signal.aborted) {
    const subscription = await quietly(redis, userUid, signal)
    await catchUp(false)
    outlet.mark(idOf(place!, known.suffix()))
    for (let payloads = await subscription.next(); payloads; payloads = await subscription.next()) {
      for (const payload of payloads) {
        const published = publishedIn(payload)
        if (!published) {
          if (!(await mayGoOn())) return
          continue
        }
        const { epoch, first, events } = published
        if (epoch !== place!.epoch || first > place!.n + 1) {
          await catchUp(false)
          continue
        }
        for (let i = Math.max(0, place!.n + 1 - first); i < events.length; i++) {
          if (tell(events[i]!, first + i) === 'hole') {
            await catchUp(true)
            break
          }
          place = { epoch, n: first + i }
        }
      }
      outlet.mark(idOf(place!, known.suffix()))
    }
    if (!signal.aborted) await pause(AGAIN_MS)
  }
}

/** A subscription that ends itself when nothing has come for long. */
async function quietly(redis: Redis, userUid: string, signal: AbortSignal): Promise<Subscription> {
  const silent = new AbortController()
  let timer = setTimeout(() => silent.abort(), SILENT_MS)
  const subscription = await listen(redis, userUid, AbortSignal.any([signal, silent.signal]))
  return {
    async next() {
      clearTimeout(timer)
      timer = setTimeout(() => silent.abort(), SILENT_MS)
      const payloads = await subscription.next()
      if (!payloads) clearTimeout(timer)
      return payloads
    },
  }
}
