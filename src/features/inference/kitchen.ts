import { Failure, type FailureCode } from '../../core/failure.ts'
import type { Env } from '../../env.ts'
import type { Log } from '../../http/log.ts'
import type { Database } from '../../ports/postgres.ts'
import { endpointsOf } from '../../ports/upstream/endpoints.ts'
import { openUpstream } from '../../ports/upstream/openai.ts'
import type { UpstreamEnd, UpstreamFault } from '../../ports/upstream/port.ts'
import { checkLink } from '../models/link.ts'
import { openSecret } from '../models/secrets.ts'
import { billFor } from './billing.ts'
import { book, pending } from './booking.ts'
import { signOf } from './cooldown.ts'
import type { DoorSettle, Ear } from './door.ts'
import { brokenBy, codeOf, detailOf, failureOf, finishOf, recordedFailure } from './faults.ts'
import type { Held } from './hold.ts'
import { holdLease } from './lease.ts'
import { createRecorder, type Delta } from './recorder.ts'
import { factsOf, type GenerationRow, type Outcome, recordedGeneration, type Settled } from './settle.ts'

export interface Kitchen {
  env: Env
  db: Database
  log: Log
}

export interface Dish {
  held: Held
  /** What goes upstream besides the model and the limits: messages, temperature, … */
  body: Record<string, unknown>
  /** Whether the upstream is asked to stream. */
  stream: boolean
  /** Called at the start; what it returns is told of the answer as it comes. */
  listen(answer: Running): Ear
  /** Fires when the caller has left. */
  clientGone: AbortSignal
  /** For how long the answer then goes on (money rule 4). */
  patienceSeconds: number
  door: DoorSettle
}

/** An answer while it is written. */
export interface Running {
  soFar(): { text: string; reasoning: string }
  /** Money rule 5: cancels the upstream, keeps the text. */
  stop(): void
}

/** How it ended, after it was booked. */
export interface Served {
  generation: GenerationRow
  /** What the settle did; undefined when somebody else did it. */
  settled: Settled | undefined
  text: string
  reasoning: string
  /** Why it is FAILED; undefined when it is not. */
  failure: Failure | undefined
  /** What stood in the way, in words for administrators. */
  fault: UpstreamFault | undefined
}

/** How often a model is asked again that has not answered yet; when, says ports/upstream/retry.ts. */
const RETRIES = 2

/** Why we cancelled an upstream ourselves. */
type Stop = 'stopped' | 'client_gone' | 'lease_lost'

/**
 * The pump: reads the upstream to its end at its own pace, whoever listens, and settles on every way out. To be
 * held by `waitUntil`; needs nothing of the request but the signal that its client has gone.
 * @throws settlement_pending when the end could not be booked, or is no longer ours to book: the sweep does it
 */
export async function serve(kitchen: Kitchen, dish: Dish): Promise<Served> {
  const { env, db, log } = kitchen
  const { held } = dish
  const controller = new AbortController()
  let stop: Stop | undefined
  const cancel = (why: Stop) => {
    stop ??= why
    controller.abort()
  }

  const startedAt = Date.now()
  const recorder = createRecorder()
  const lease = holdLease(db, held.generationUid, recorder.produced, cancel)
  const farewell = whenGone(dish.clientGone, dish.patienceSeconds, () => cancel('client_gone'))
  const ear = dish.listen({ soFar: recorder.produced, stop: () => cancel('stopped') })
  const tell = (deltas: Delta[]) => {
    if (ear.delta) deltas.forEach(ear.delta)
  }
  let end: UpstreamEnd
  try {
    const answer = await call(env, held, dish, controller.signal)
    let step = await answer.next()
    for (; !step.done; step = await answer.next()) {
      tell(recorder.take(step.value))
      ear.chunks?.(step.value)
    }
    end = step.value
  } catch (error) {
    // Nothing of ours should throw here; whatever does must not keep the hold open.
    log.error('generation_broke', { generationUid: held.generationUid, error: (error as Error)?.name })
    end = { finishReason: null, done: false, fault: brokenBy(error) }
  } finally {
    lease.release()
    farewell()
  }
  tell(recorder.end())

  if (stop === 'lease_lost') return another(kitchen, held)
  const outcome = outcomeOf(held, recorder.produced(), end, stop)
  if (outcome.failureDetail !== null) {
    log.info('upstream_fault', {
      generationUid: held.generationUid,
      modelUid: held.model.uid,
      kind: end.fault?.kind,
      status: end.fault?.status,
      retries: end.retries,
      detail: outcome.failureDetail,
    })
  }
  const settled = await book(kitchen, outcome, dish.door, lease.holdsUntil())
  const { generation } = settled
  const failure =
    outcome.failureCode === null ? undefined : failureOf(outcome.failureCode as FailureCode, end.fault)
  log.info('generation', { ...factsOf(generation), retries: end.retries ?? 0, ms: Date.now() - startedAt })
  return { generation, settled, text: outcome.text, reasoning: outcome.reasoning, failure, fault: end.fault }
}

/** The link is checked again: the rule, or what the name of a host means to it, may have changed since. */
async function call(env: Env, held: Held, { body, stream }: Dish, signal: AbortSignal) {
  const { model } = held
  const link = checkLink(model.api_link, { privateAllowed: env.PRIVATE_UPSTREAMS })
  if (!link.ok) throw new Failure('upstream_failed', `api_link ${link.reason}`)
  const authToken = await openSecret(env.MODEL_SECRET_KEYS, {
    uid: model.uid,
    authTokenSealed: model.auth_token_sealed,
  })
  return openUpstream({
    url: endpointsOf(model.api_link).completions,
    ...(authToken === undefined ? {} : { authToken }),
    body: { ...body, model: model.type },
    stream,
    maxTokens: held.allowedTokens,
    limitParam: model.limit_param,
    streamOptions: model.stream_options,
    times: {
      connectMs: env.CONNECT_MS,
      firstTokenMs: env.FIRST_TOKEN_MS,
      silenceMs: env.SILENCE_MS,
      totalMs: env.TOTAL_MS,
    },
    retries: RETRIES,
    signal,
  })
}

/** Money rule 4: when the client has gone, the answer goes on for a while. Registered at once, not after an await. */
function whenGone(gone: AbortSignal, seconds: number, then: () => void): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined
  const start = () => {
    // A timer would wait for a pause of an upstream that talks at full speed.
    if (seconds === 0) then()
    else timer ??= setTimeout(then, seconds * 1000)
  }
  if (gone.aborted) start()
  else gone.addEventListener('abort', start, { once: true })
  return () => {
    gone.removeEventListener('abort', start)
    if (timer !== undefined) clearTimeout(timer)
  }
}

function outcomeOf(
  held: Held,
  produced: ReturnType<ReturnType<typeof createRecorder>['produced']>,
  end: UpstreamEnd,
  stop: Stop | undefined,
): Outcome {
  const { fault } = end
  const stopped = fault?.kind === 'aborted' && stop !== undefined
  const failed = fault !== undefined && !stopped
  return {
    generationUid: held.generationUid,
    userUid: held.userUid,
    status: stopped ? 'STOPPED' : failed ? 'FAILED' : 'COMPLETED',
    finishReason: stopped ? stop! : failed ? finishOf(fault) : end.finishReason,
    failureCode: failed ? codeOf(fault) : null,
    failureDetail: failed ? detailOf(fault, end.retries) : null,
    text: produced.text,
    reasoning: produced.reasoning,
    bill: billFor(held.price, held.promptEstimate, produced, end.usage, fault !== undefined),
    firstTokenMs: end.firstTokenMs === undefined ? null : Math.round(end.firstTokenMs),
    learned: end.learned && { ...end.learned, link: held.model.api_link },
    sign: signOf(held.model.api_link, end, produced.any),
  }
}

/** Somebody else holds the generation now: what they recorded is the outcome, if they have. */
async function another({ db }: Kitchen, held: Held): Promise<Served> {
  const generation = await recordedGeneration(db, held.userUid, held.generationUid).catch(() => undefined)
  if (!generation || generation.status === 'RUNNING') throw pending()
  const failure = recordedFailure(generation)
  return { generation, settled: undefined, text: '', reasoning: '', failure, fault: undefined }
}
