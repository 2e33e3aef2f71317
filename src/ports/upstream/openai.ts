// The adapter for OpenAI-compatible chat completions.
import { createAnswer } from './answer.ts'
import { type Blot, createBlot, type UpstreamError } from './error.ts'
import { type Exchange, exchange, headersFor, stoppedFault } from './exchange.ts'
import type { Learned, UpstreamAnswer, UpstreamEnd, UpstreamFault, UpstreamRequest } from './port.ts'
import { reach } from './reach.ts'
import { type BodyReader, gatheringReader, plainReader } from './reading.ts'
import { waitBefore } from './retry.ts'
import { createWatch, type Watch } from './watch.ts'

// Two parameters may each be refused once (rule 1 of the money rules), so three tries at most.
const TRIES = 3

// After the finish reason only usage and [DONE] can come; many never send [DONE] nor close.
const AFTER_FINISH_MS = 5000

// After [DONE], while nobody waits any more: some never close.
const READ_OUT_MS = 500

/** The body as sent: nothing that passes through can raise the limit that the hold was computed for. */
function bodyOf(request: UpstreamRequest, limitParam: string, streamOptions: boolean): string {
  const body: Record<string, unknown> = { ...request.body, stream: request.stream }
  delete body.max_tokens
  delete body.max_completion_tokens
  delete body.stream_options
  body[limitParam] = request.maxTokens
  if (streamOptions) body.stream_options = { include_usage: true }
  return JSON.stringify(body)
}

/**
 * How long headers are waited for. `fetch` does not tell a connection that is not accepted from an upstream
 * that sends its headers with the first token, or, unstreamed, with the whole answer. So the wait is that
 * for the first token (unstreamed: the total), and after CONNECT_MS a bare connection tries the host.
 */
function armForHeaders(request: UpstreamRequest, watch: Watch): () => void {
  const { connectMs, firstTokenMs, totalMs } = request.times
  if (request.stream) watch.arm('first_token_timeout', Math.max(firstTokenMs - watch.elapsed(), 0))
  else watch.arm('total_timeout', totalMs)
  let waiting = true
  const timer = setTimeout(async () => {
    const found = await (request.reach ?? reach)(request.url, connectMs).catch(() => 'unknown')
    if (waiting && found === 'silent') watch.stop('connect_timeout')
  }, connectMs)
  return () => {
    waiting = false
    clearTimeout(timer)
  }
}

/** Which parameter a refusal names, by `param` or in its words. */
function refuses(error: UpstreamError, ...names: string[]): boolean {
  return names.some((name) => error.param?.includes(name) || error.message.includes(name))
}

/** It knows the parameter and dislikes what was asked for: another name would only lose the limit. */
const isAboutValue = ({ message }: UpstreamError): boolean =>
  /too (?:large|high|big|many|long)|at most|exceed|greater than|less than|maximum (?:context|value|allowed)|context (?:length|window)/i.test(
    message,
  )

/** An exchange, and what it took to get it. */
type Knocked = Exchange & { learned?: Learned; retries: number }

/**
 * Sends the request, again without what the upstream refuses to be told, and again after a while when it could
 * not be reached or is busy. Nothing of an answer exists here yet, so asking again repeats nothing.
 */
async function knock(request: UpstreamRequest, watch: Watch, blot: Blot): Promise<Knocked> {
  const send = request.fetch ?? fetch
  const headers = {
    ...headersFor(request.stream ? 'text/event-stream' : 'application/json', request.authToken),
    'content-type': 'application/json',
  }
  const learned: Learned = {}
  let limitParam = request.limitParam
  let streamOptions = request.stream && request.streamOptions
  let tries = 1
  let retries = 0
  for (;;) {
    const disarm = armForHeaders(request, watch)
    const body = bodyOf(request, limitParam, streamOptions)
    const got = await exchange(send, request.url, { method: 'POST', headers, body }, watch, blot)
    disarm()
    if ('response' in got) return { ...got, retries, ...(Object.keys(learned).length > 0 ? { learned } : {}) }
    const { error, fault } = got
    if (watch.stopped()) return { ...got, retries }
    const mayAdapt = tries < TRIES && (error?.status === 400 || error?.status === 422)
    const swapLimit =
      mayAdapt && limitParam === 'max_tokens' && refuses(error, 'max_tokens') && !isAboutValue(error)
    const dropOptions = mayAdapt && streamOptions && refuses(error, 'stream_options', 'include_usage')
    if (swapLimit) {
      limitParam = 'max_completion_tokens'
      learned.limitParam = 'max_completion_tokens'
    }
    if (dropOptions) {
      streamOptions = false
      learned.streamOptions = false
    }
    if (swapLimit || dropOptions) {
      tries++
      continue
    }
    const wait = retries < (request.retries ?? 0) ? waitBefore(retries + 1, fault) : undefined
    if (wait === undefined || watch.elapsed() + wait >= request.times.firstTokenMs) return { ...got, retries }
    await pause(watch, wait)
    const stopped = watch.stopped()
    if (stopped !== undefined) return { fault: stoppedFault(stopped), retries }
    retries++
  }
}

/** Waits, but not when the watch has stopped: whoever asked to stop is not kept waiting. */
async function pause(watch: Watch, ms: number): Promise<void> {
  watch.rest()
  let timer: ReturnType<typeof setTimeout> | undefined
  const slept = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms)
  })
  await Promise.race([slept, watch.whenStopped])
  if (timer !== undefined) clearTimeout(timer)
}

/** How long the next read may take. `finishedAt`: when the finish reason came. */
function armForRead(request: UpstreamRequest, watch: Watch, begun: boolean, finishedAt?: number): void {
  const { firstTokenMs, silenceMs } = request.times
  // Comments are a sign of life, but neither a token nor a reason to wait on after the end.
  const left = (ms: number, from: number): number => Math.max(ms - (watch.elapsed() - from), 0)
  if (finishedAt !== undefined) {
    watch.arm('silence_timeout', left(Math.min(AFTER_FINISH_MS, silenceMs), finishedAt))
  } else if (begun) watch.arm('silence_timeout', silenceMs)
  else if (request.stream) watch.arm('first_token_timeout', left(firstTokenMs, 0))
  else watch.rest()
}

/** Only then does the finish reason of choice 0 mean that no other choice will speak. */
function isSingle(request: UpstreamRequest): boolean {
  return request.body.n === undefined || request.body.n === null || request.body.n === 1
}

/**
 * Asks an upstream and yields its answer as it comes: per network read one array of chunks, never empty.
 * Whatever the upstream does, the generator ends with an `UpstreamEnd` and does not throw. To cancel while a
 * read is pending, abort `signal` (fault `aborted`); leaving the loop early closes the connection too.
 */
export async function* openUpstream(request: UpstreamRequest): UpstreamAnswer {
  const watch = createWatch(request.signal, request.times.totalMs)
  const blot = createBlot(request.url, [request.authToken, ...(request.redact ?? [])])
  let drained = false
  let firstTokenMs: number | undefined
  try {
    const aborted = watch.stopped()
    if (aborted !== undefined) return endWith(stoppedFault(aborted))
    const got = await knock(request, watch, blot)
    if ('fault' in got) return endWith(got.fault, got.retries)
    const answer = createAnswer(blot)
    const reader = readerOf(got.response, request.stream)
    watch.onStop(() => reader?.cancel())
    let lost = false
    let finishedAt: number | undefined
    while (reader !== undefined && !answer.over() && watch.stopped() === undefined) {
      if (finishedAt === undefined && answer.finished() && isSingle(request)) finishedAt = watch.elapsed()
      armForRead(request, watch, answer.begun(), finishedAt)
      let bytes: Uint8Array | undefined
      try {
        // What somebody waits for is not held back: the first token, and the end.
        bytes = await reader.read(answer.begun() && finishedAt === undefined)
        drained = bytes === undefined && watch.stopped() === undefined
      } catch {
        lost = true
      }
      if (bytes === undefined || watch.stopped() !== undefined) break
      const chunks = answer.push(bytes)
      if (chunks.length === 0) continue
      if (firstTokenMs === undefined && answer.begun()) firstTokenMs = watch.elapsed()
      watch.rest()
      yield chunks
    }
    const stopped = watch.stopped()
    if (!answer.over() && stopped !== 'aborted') {
      const chunks = answer.end(lost || stopped !== undefined)
      if (firstTokenMs === undefined && chunks.some((chunk) => chunk.produced)) firstTokenMs = watch.elapsed()
      if (chunks.length > 0) yield chunks
    }
    const end: UpstreamEnd = answer.outcome()
    // A finished answer stays finished when the upstream just does not hang up.
    const cutShort = !answer.over() || end.fault?.kind === 'incomplete'
    if (stopped !== undefined && cutShort && (stopped === 'aborted' || end.fault !== undefined)) {
      end.fault = stoppedFault(stopped)
    }
    if (got.learned !== undefined) end.learned = got.learned
    if (got.retries > 0) end.retries = got.retries
    if (firstTokenMs !== undefined) end.firstTokenMs = firstTokenMs
    if (!drained && reader !== undefined && end.done && end.fault === undefined && stopped === undefined) {
      drained = true
      void readOut(reader, watch)
    } else if (!drained) reader?.cancel()
    return end
  } finally {
    watch.close()
    // The body was read to its end, or the connection is of no more use.
    if (!drained) watch.sever()
  }
}

function readerOf({ body }: Response, stream: boolean): BodyReader | undefined {
  if (body === null) return undefined
  return stream ? gatheringReader(body) : plainReader(body)
}

/** Reads what is left of a body, its end as a rule: the connection then serves the next question. */
async function readOut(reader: BodyReader, watch: Watch): Promise<void> {
  const timer = setTimeout(() => {
    watch.sever()
    reader.cancel()
  }, READ_OUT_MS)
  try {
    while ((await reader.read(false)) !== undefined);
  } catch {
    // Cut off: nothing in it was of any use.
  } finally {
    clearTimeout(timer)
  }
}

function endWith(fault: UpstreamFault, retries = 0): UpstreamEnd {
  return { finishReason: null, done: false, fault, ...(retries > 0 ? { retries } : {}) }
}
