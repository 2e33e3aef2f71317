import { forgetOldSessions } from './features/auth/old.ts'
import { chatSettle } from './features/chats/door.ts'
import { answerSettled, chatGone } from './features/chats/settled.ts'
import { askToStop } from './features/feeds/bus.ts'
import { publishOutbox, type Teller } from './features/feeds/outbox.ts'
import { gatewaySettle } from './features/gateway/door.ts'
import { callSettled } from './features/gateway/settled.ts'
import { forgetOldKeys } from './features/idempotency/old.ts'
import type { Door, DoorSettle } from './features/inference/door.ts'
import { noteSwept, stateOf } from './features/inference/mark.ts'
import { isAnythingOpen, settleExpired } from './features/inference/sweep.ts'
import { counters } from './features/transactions/counters.ts'
import type { Services } from './http/context.ts'
import type { Log } from './http/log.ts'

/** Once in so many minutes it looks whatever Redis says, which may have lost what it knew, and tidies up. */
const WHOLE_EVERY_MIN = 30

/** Who tells the feeds what, by the event of the outbox row. */
const tellers: Record<string, Teller> = {
  chat_settled: answerSettled,
  gateway_settled: callSettled,
  chat_deleted: chatGone,
  new_transaction: async (_db, { data }) => ({ events: [{ event: 'new_transaction', data }] }),
}

/** What each door writes with a settle. */
const doors: Record<Door, DoorSettle> = { chat: chatSettle, gateway: gatewaySettle }

type Parts = Pick<Services, 'db' | 'redis'>

export interface Swept {
  /** Answers of workers that died. */
  settled: number
  /** Outbox rows told to the feeds. */
  published: number
  /** Idempotency keys and sessions that were old. */
  forgotten: number
}

/** The cron's call: sweeps if there may be something to sweep, so that an idle service lets its database sleep. */
export async function sweepOnSchedule(parts: Parts, log: Log, at: Date): Promise<void> {
  const isWhole = at.getUTCMinutes() % WHOLE_EVERY_MIN === 0
  const state = await stateOf(parts.redis)
  if (state === 'idle' && !isWhole) return
  await sweep(parts, log, isWhole)
  if (state !== undefined) await noteSwept(parts.redis, state, () => isAnythingOpen(parts.db))
}

/**
 * Finishes what no worker could, in as many places at once as it likes: money first, then the feeds.
 * @param isWhole whether it tidies up, too
 * @throws Error when Postgres cannot be asked, or Redis when feeds have something to hear; the next sweep goes on
 */
export async function sweep({ db, redis }: Parts, log: Log, isWhole: boolean): Promise<Swept> {
  const settled = await settleExpired({ db, log }, doors)
  const forgotten = isWhole ? (await forgetOldKeys(db)) + (await forgetOldSessions(db)) : 0
  // A worker that was thought dead and still writes hears of it at its next flush. It would find out by itself.
  await Promise.allSettled(
    settled.map(async ({ generation: { message_uid: uid } }) => uid && (await askToStop(redis, uid))),
  )
  const rows = settled.map(({ outbox_uid: uid }) => uid).filter((uid) => uid !== null)
  const published = await publishOutbox({ db, redis, log }, tellers, rows)
  if (published > 0) log.info('outbox_published', { published })
  log.info('money', { ...(await counters(db)) })
  return { settled: settled.length, published, forgotten }
}
