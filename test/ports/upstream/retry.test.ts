import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { UpstreamFault } from '../../../src/ports/upstream/port.ts'
import { waitBefore } from '../../../src/ports/upstream/retry.ts'
import { collectInTime, fakeFetch, requestOf, type Script, says, TIMES } from './feed.ts'

const OK: Script = { pieces: [says('ok', 'stop'), 'data: [DONE]\n\n'] }
const status = (code: number, headers: Record<string, string> = {}): Script => ({
  status: code,
  headers,
  pieces: ['{"error":{"message":"no"}}'],
})
const fault = (over: Partial<UpstreamFault>): UpstreamFault => ({ kind: 'status', message: 'm', ...over })

describe('asking again', () => {
  beforeEach(() => {
    vi.useFakeTimers()
  })
  afterEach(() => {
    vi.useRealTimers()
  })

  it('happens only when it is allowed, and never at once', async () => {
    const once = fakeFetch(status(503), OK)
    expect((await collectInTime(requestOf(once.fetch))).end.fault?.status).toBe(503)
    expect(once.calls).toHaveLength(1)
    const again = fakeFetch(status(503), status(502), OK)
    const started = performance.now()
    const got = await collectInTime(requestOf(again.fetch, { retries: 2 }))
    expect([got.text, got.end.retries]).toEqual(['ok', 2])
    expect(performance.now() - started).toBeGreaterThan(120 + 495)
  })

  it('sends what the upstream has taught meanwhile', async () => {
    const refusal: Script = { status: 400, pieces: ['{"error":{"message":"no","param":"max_tokens"}}'] }
    const fake = fakeFetch(refusal, status(503), OK)
    const { text, end } = await collectInTime(requestOf(fake.fetch, { retries: 1 }))
    expect([text, end.learned]).toEqual(['ok', { limitParam: 'max_completion_tokens' }])
    expect(fake.calls.map(({ body }) => [body.max_tokens, body.max_completion_tokens])).toEqual([
      [100, undefined],
      [undefined, 100],
      [undefined, 100],
    ])
  })

  it('is over when somebody stops it, or when the first token would be too late', async () => {
    const stop = new AbortController()
    setTimeout(() => stop.abort(), 100)
    const fake = fakeFetch(status(429, { 'retry-after': '5' }), OK)
    const started = performance.now()
    const { end } = await collectInTime(requestOf(fake.fetch, { retries: 2, signal: stop.signal }))
    expect(end.fault?.kind).toBe('aborted')
    expect(performance.now() - started).toBeLessThan(5_000) // it was asked to wait 5 s
    expect(fake.calls).toHaveLength(1)

    const slow = fakeFetch(status(503), { ...OK, delayMs: 3_000 })
    const times = { ...TIMES, firstTokenMs: 600 }
    const late = await collectInTime(requestOf(slow.fetch, { retries: 2, times }))
    expect(late.end.fault?.kind).toBe('first_token_timeout')
    expect(slow.calls).toHaveLength(2)
  })

  it.each<[string, UpstreamFault, [number, number] | undefined]>([
    ['unreachable', fault({ kind: 'unreachable' }), [125, 375]],
    ['503', fault({ status: 503 }), [125, 375]],
    ['503 with a time', fault({ status: 503, retryAfterSeconds: 2 }), [2000, 2250]],
    ['503 with a long one', fault({ status: 503, retryAfterSeconds: 6 }), undefined],
    ['429 with a time', fault({ kind: 'rate_limited', status: 429, retryAfterSeconds: 5 }), [5000, 5250]],
    ['429 without one', fault({ kind: 'rate_limited', status: 429 }), undefined],
    ['500', fault({ status: 500 }), undefined],
    ['401', fault({ status: 401 }), undefined],
    ['a redirect', fault({ status: 302 }), undefined],
    ['a host that accepts nothing', fault({ kind: 'connect_timeout' }), undefined],
    ['no token in time', fault({ kind: 'first_token_timeout' }), undefined],
    ['a stop', fault({ kind: 'aborted' }), undefined],
  ])('%s', (_, of, range) => {
    expect(range && [waitBefore(1, of, () => 0), waitBefore(1, of, () => 1)]).toEqual(range)
    expect(waitBefore(1, of) === undefined).toBe(range === undefined)
  })
})
