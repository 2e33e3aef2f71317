import { Failure } from '../../core/failure.ts'
import { pause } from '../../core/pause.ts'
import type { Log } from '../../http/log.ts'
import type { Database } from '../../ports/postgres.ts'
import type { DoorSettle } from './door.ts'
import { type Outcome, type Settled, settle } from './settle.ts'

const FIRST_WAIT_MS = 200
/** Each pause is twice the one before it, up to this. */
const LONGEST_WAIT_MS = 10_000

/**
 * Settles, and tries again while the generation is surely this worker's: a lost answer may have taken effect, which
 * the next try finds out.
 * @param holdsUntil epoch ms after which nothing more may be written (money rule 7)
 * @throws settlement_pending when it could not be booked until then: the sweep does it
 */
export async function book(
  { db, log }: { db: Database; log: Log },
  outcome: Outcome,
  door: DoorSettle,
  holdsUntil: number,
): Promise<Settled> {
  for (let wait = FIRST_WAIT_MS; ; wait = Math.min(2 * wait, LONGEST_WAIT_MS)) {
    try {
      return await settle(db, outcome, door)
    } catch (error) {
      log.error('settle_failed', { generationUid: outcome.generationUid, error: String(error) })
    }
    if (Date.now() + wait >= holdsUntil) throw pending()
    await pause(wait)
  }
}

export const pending = () =>
  new Failure('settlement_pending', {
    detail: 'The answer ended but is not booked yet; it will be within minutes.',
    retryAfterSeconds: 60,
  })
