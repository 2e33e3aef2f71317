import { Failure } from '../../core/failure.ts'
import { newId } from '../../core/id.ts'
import { wellFormed } from '../../core/text.ts'
import type { Once } from '../../http/idempotency.ts'
import { ask, batch, type Database } from '../../ports/postgres.ts'
import type { Redis } from '../../ports/redis.ts'
import type { UpstreamChunk, UpstreamFault } from '../../ports/upstream/port.ts'
import { publish } from '../feeds/bus.ts'
import { publishNoted } from '../feeds/outbox.ts'
import { byKey } from '../inference/door.ts'
import { type Held, placeHold, type Rate } from '../inference/hold.ts'
import { type Kitchen, type Served, serve } from '../inference/kitchen.ts'
import { markSent } from '../inference/mark.ts'
import type { GenerationRow } from '../inference/settle.ts'
import { standingOfKey } from '../keys/caller.ts'
import { answerPaid, balanceMoved } from '../transactions/tell.ts'
import { gatewayHold, gatewaySettle } from './door.ts'
import { estimatePrompt } from './estimate.ts'
import { modelsOf } from './queries.ts'
import type { ChatRequest } from './schema.ts'

export interface GatewayKitchen extends Kitchen {
  redis: Redis
  /** Work that goes on after the caller has its answer. */
  defer(work: Promise<unknown>): void
}

/** A request that was accepted: money is held. */
export interface Call {
  generationUid: string
  /** The registered name. */
  model: string
  /** What is left of the sends of a minute; undefined without a limit. */
  rate: Rate | undefined
  /**
   * Asks the model; to be held by `waitUntil`. `onChunks` gets what each network read brought and returns at once.
   * @throws settlement_pending
   */
  run(onChunks: (chunks: UpstreamChunk[]) => void, clientGone: AbortSignal): Promise<Ended>
}

/** How it ended, after it was booked. */
export interface Ended {
  generation: GenerationRow
  /** Why it is not whole; undefined when it is. */
  failure: Failure | undefined
}

/**
 * Asks a model for a program. One round trip to Postgres finds the key, decides and holds; then the caller runs it.
 * @param request as `sendable` leaves it
 * @throws Failure every refusal of contract section 1 that can be known before the upstream is asked
 */
export async function complete(
  kitchen: GatewayKitchen,
  digest: string,
  request: ChatRequest,
  once: Once | undefined,
): Promise<Call> {
  const { env, db } = kitchen
  const { max_tokens: most, max_completion_tokens: mostToo, n } = request
  const limits = [most, mostToo].filter((limit) => typeof limit === 'number')
  markSent(kitchen)
  const placed = await placeHold<null>(
    db,
    {
      generationUid: newId(),
      caller: byKey(digest),
      maxTokens: limits.length > 0 ? Math.min(...limits) : undefined,
      choices: n ?? 1,
      once,
      sendsPerMinute: env.SENDS_PER_MINUTE,
      runningPerUser: env.RUNNING_PER_USER,
    },
    gatewayHold(request.model, estimatePrompt(request)),
  )
  if ('replayed' in placed)
    throw new Failure('idempotency_repeated', {
      detail: `This Idempotency-Key stands for the generation ${placed.replayed}.`,
      extra: { generationUid: placed.replayed },
    })
  const { held } = placed
  return {
    generationUid: held.generationUid,
    model: held.model.name,
    rate: held.rate,
    run: (onChunks, clientGone) => run(kitchen, held, request, onChunks, clientGone),
  }
}

/** The feeds hear of a hold that lasts; one that is gone by then they hear of with the charge. */
const TELL_HOLD_AFTER_MS = 100

async function run(
  kitchen: GatewayKitchen,
  held: Held,
  request: ChatRequest,
  onChunks: (chunks: UpstreamChunk[]) => void,
  clientGone: AbortSignal,
): Promise<Ended> {
  const { env, redis, defer } = kitchen
  const stream = request.stream === true
  const heldEvent = balanceMoved(held.account)
  let isHoldTold = false
  const telling = setTimeout(() => {
    isHoldTold = true
    defer(publish(redis, held.userUid, [heldEvent]))
  }, TELL_HOLD_AFTER_MS)
  let served: Served
  try {
    served = await serve(kitchen, {
      ...{ held, body: request, stream, clientGone, door: gatewaySettle },
      listen: () => ({ chunks: onChunks }),
      // Money rule 4: a stream that nobody reads is over; a whole answer may still be fetched.
      patienceSeconds: stream ? 0 : env.CLIENT_GONE_S,
    })
  } finally {
    clearTimeout(telling)
  }
  const { generation, settled, failure, fault } = served
  // Without an account it was booked by somebody else, and the outbox tells it.
  if (settled?.account) {
    const paid = answerPaid(settled.transaction_uid, generation.cost ?? 0, settled.account)
    const events = isHoldTold ? [paid] : [heldEvent, paid]
    if (settled.outbox_uid) defer(publishNoted(redis, held.userUid, { events }, settled.outbox_uid))
  }
  return { generation, failure: failure ? told(failure, fault) : stoppedBy(generation) }
}

/** What is the matter with the request itself, and not with the model: the program's to mend. */
const REJECTED = new Set([400, 413, 415, 422])

/**
 * The failure as a program is told it. When the upstream refused the request, its words (redacted) are passed on:
 * who sends parameters must see which one is wrong.
 */
function told(failure: Failure, fault: UpstreamFault | undefined): Failure {
  const isRejected = fault?.kind === 'status' || fault?.kind === 'error_in_stream'
  if (!fault || !isRejected || !REJECTED.has(fault.status ?? 0)) return failure
  const { message: detail, param, upstreamCode } = fault
  return new Failure('upstream_rejected', { detail, extra: { ...(param ? { param } : {}), upstreamCode } })
}

/** Its owner was blocked meanwhile. Who has left is told nothing. */
const stoppedBy = ({ finish_reason: reason, status }: GenerationRow): Failure | undefined =>
  status === 'STOPPED' && reason === 'stopped'
    ? new Failure('upstream_incomplete', 'The answer was stopped.')
    : undefined

/** The models that a key may ask. @throws unauthenticated, account_blocked */
export async function listModels(db: Database, digest: string, name?: string) {
  const [, { rows }] = await batch(db, [standingOfKey(db, digest), modelsOf(db, digest, name)])
  return rows.map(({ id, created }) => ({
    id,
    object: 'model' as const,
    created: Number(created),
    owned_by: 'bothub-edge',
  }))
}

/** @throws model_not_found, also for one that this key may not ask */
export async function readModel(db: Database, digest: string, name: string) {
  const [model] = await listModels(db, digest, wellFormed(name))
  if (!model) throw new Failure('model_not_found', `There is no model "${name.slice(0, 128)}".`)
  return model
}

/** @throws unauthenticated, account_blocked */
export const assertKey = (db: Database, digest: string): Promise<unknown> => ask(standingOfKey(db, digest))
