// A fake `fetch` over bytes, and a collector: what the tests of the upstream port share.
import { vi } from 'vitest'
import { openUpstream } from '../../../src/ports/upstream/openai.ts'
import type { UpstreamChunk, UpstreamEnd, UpstreamRequest } from '../../../src/ports/upstream/port.ts'

/** mulberry32: the same numbers for the same seed. */
export function randomOf(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

/** Cuts bytes into pieces of 1 to `max`, by seed. */
export function shred(bytes: Uint8Array, seed: number, max: number): Uint8Array[] {
  const random = randomOf(seed)
  const out: Uint8Array[] = []
  for (let at = 0; at < bytes.length; ) {
    const size = 1 + Math.floor(random() * max)
    out.push(bytes.subarray(at, at + size))
    at += size
  }
  return out
}

export interface Script {
  status?: number
  headers?: Record<string, string>
  pieces: Array<Uint8Array | string>
  /** After the last piece: close, break the connection, or keep it open and silent. */
  ending?: 'close' | 'break' | 'hang'
  /** Between pieces. */
  delayMs?: number
}

export interface Call {
  url: string
  init: RequestInit
  body: Record<string, unknown>
}

export interface Fake {
  fetch: typeof fetch
  calls: Call[]
  /** Bodies that were cancelled before their end. */
  cancelled: () => number
}

/** Answers the n-th call by the n-th script, later ones by the last. Does not heed the abort signal by itself. */
export function fakeFetch(...scripts: Script[]): Fake {
  const calls: Call[] = []
  let cancelled = 0
  const fake = async (input: string | URL | Request, init: RequestInit = {}): Promise<Response> => {
    const script = scripts[Math.min(calls.length, scripts.length - 1)]!
    const text = typeof init.body === 'string' ? init.body : '{}'
    calls.push({ url: String(input), init, body: JSON.parse(text) as Record<string, unknown> })
    let next = 0
    const body = new ReadableStream<Uint8Array<ArrayBuffer>>({
      async pull(controller) {
        if (script.delayMs !== undefined) await new Promise((done) => setTimeout(done, script.delayMs))
        const piece = script.pieces[next++]
        if (piece !== undefined) {
          controller.enqueue(
            typeof piece === 'string' ? new TextEncoder().encode(piece) : new Uint8Array(piece),
          )
        } else if (script.ending === 'break') controller.error(new Error('connection lost'))
        else if (script.ending === 'hang') await new Promise(() => {})
        else controller.close()
      },
      cancel() {
        cancelled++
      },
    })
    return new Response(body, { status: script.status ?? 200, headers: script.headers })
  }
  return { fetch: fake as typeof fetch, calls, cancelled: () => cancelled }
}

export interface Got {
  chunks: UpstreamChunk[]
  /** Sizes of the arrays as they came. */
  reads: number[]
  text: string
  reasoning: string
  end: UpstreamEnd
}

/** Patient times; a test that waits for one of them makes it short. */
export const TIMES = { connectMs: 10_000, firstTokenMs: 20_000, silenceMs: 20_000, totalMs: 30_000 }

export function requestOf(
  fetcher: typeof fetch | undefined,
  over: Partial<UpstreamRequest> = {},
): UpstreamRequest {
  return {
    url: 'https://upstream.example/v1/chat/completions',
    authToken: 'secret-token-123',
    body: { model: 'm', messages: [{ role: 'user', content: 'hi' }] },
    stream: true,
    maxTokens: 100,
    limitParam: 'max_tokens',
    streamOptions: true,
    times: TIMES,
    signal: new AbortController().signal,
    fetch: fetcher,
    ...over,
  }
}

/** Runs a request to its end. `each` sees the chunks of every read. */
export async function collect(
  request: UpstreamRequest,
  each?: (chunks: UpstreamChunk[]) => void | Promise<void>,
): Promise<Got> {
  const answer = openUpstream(request)
  const got = { chunks: [] as UpstreamChunk[], reads: [] as number[], text: '', reasoning: '' }
  for (;;) {
    const next = await answer.next()
    if (next.done) return { ...got, end: next.value }
    got.reads.push(next.value.length)
    for (const chunk of next.value) {
      got.chunks.push(chunk)
      got.text += chunk.text
      got.reasoning += chunk.reasoning
    }
    await each?.(next.value)
  }
}

/** The same on a clock that is moved by hand (`vi.useFakeTimers`), until it has ended. */
export async function collectInTime(...asked: Parameters<typeof collect>): Promise<Got> {
  let got: Got | undefined
  const collecting = collect(...asked).then((all) => {
    got = all
  })
  while (got === undefined) await vi.advanceTimersByTimeAsync(1)
  await collecting
  return got
}

/** An upstream chunk as an event. */
export function sse(object: unknown): string {
  return `data: ${JSON.stringify(object)}\n\n`
}

/** A chunk whose first choice says `content`. */
export function says(content: unknown, finish: string | null = null): string {
  return sse({ choices: [{ index: 0, delta: { content }, finish_reason: finish }] })
}

/** An answer of that status and body. */
export function refusal(status: number, body: unknown): Script {
  return { status, pieces: [typeof body === 'string' ? body : JSON.stringify(body)] }
}
