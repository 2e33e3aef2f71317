import type { Database } from '../../ports/postgres.ts'
import type { Produced } from './billing.ts'
import { renewLease } from './settle.ts'

const RENEW_EVERY_MS = 20_000
/** Without a renewal for this long the lease may be about to end (60 s): hands off, before the sweep comes. */
const GIVE_UP_AFTER_MS = 45_000

export interface Lease {
  /** Renews it no more; it holds on for what is left of it. */
  release(): void
  /** Epoch ms until which nobody else can have taken the generation. */
  holdsUntil(): number
}

/**
 * Keeps a generation its worker's own while it is written: one statement each 20 s saves the text so far and brings
 * a stop request (money rule 7). `cancel` is called at most once for each reason; after 'lease_lost' nothing more is
 * written.
 */
export function holdLease(
  db: Database,
  generationUid: string,
  produced: () => Produced,
  cancel: (why: 'stopped' | 'lease_lost') => void,
): Lease {
  let renewing = false
  let released = false
  let stopping = false
  const release = () => {
    released = true
    clearInterval(ticker)
    if (deadline !== undefined) clearTimeout(deadline)
  }
  const giveUp = () => {
    release()
    cancel('lease_lost')
  }
  const renew = async () => {
    // After a freeze the tick may come before the deadline that has passed: then the lease is not ours to renew.
    if (Date.now() >= giveUpAt) return giveUp()
    if (renewing) return
    renewing = true
    const askedAt = Date.now()
    try {
      const answer = await renewLease(db, generationUid, produced())
      if (released) return
      if (answer === 'lost') return giveUp()
      renewedAt(askedAt)
      if (answer === 'stop' && !stopping) {
        stopping = true
        cancel('stopped')
      }
    } catch {
      // The next tick tries again; the deadline stays where it was.
    } finally {
      renewing = false
    }
  }
  // Its own timer, since a tick comes too late for it, and a renewal may hang. The lease runs from the statement,
  // which is not before it was asked for.
  let giveUpAt = 0
  let deadline: ReturnType<typeof setTimeout> | undefined
  const renewedAt = (at: number) => {
    giveUpAt = at + GIVE_UP_AFTER_MS
    if (deadline !== undefined) clearTimeout(deadline)
    deadline = setTimeout(giveUp, Math.max(0, giveUpAt - Date.now()))
  }
  const ticker = setInterval(renew, RENEW_EVERY_MS)
  renewedAt(Date.now())
  return { release, holdsUntil: () => giveUpAt }
}
