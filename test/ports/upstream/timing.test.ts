// Time limits, aborts and sockets.
import { createServer, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { openUpstream } from '../../../src/ports/upstream/openai.ts'
import { collect, collectInTime, fakeFetch, requestOf, type Script, says, TIMES } from './feed.ts'

const OK: Script = { pieces: [says('ok', 'stop'), 'data: [DONE]\n\n'] }

describe('time limits', () => {
  beforeEach(() => {
    vi.useFakeTimers()
  })
  afterEach(() => {
    vi.useRealTimers()
  })

  const hang: Script = { pieces: [], ending: 'hang' }
  const never = (() => new Promise(() => {})) as unknown as typeof fetch
  const comments: Script = { pieces: Array<string>(1000).fill(': ping\n\n'), delayMs: 10 }

  it.each<[string, typeof fetch, string, object]>([
    ['no headers', never, 'first_token_timeout', { firstTokenMs: 100 }],
    ['no body', fakeFetch(hang).fetch, 'first_token_timeout', { firstTokenMs: 100 }],
    ['comments instead of a token', fakeFetch(comments).fetch, 'first_token_timeout', { firstTokenMs: 200 }],
    [
      'a role instead of a token',
      fakeFetch({ ...hang, pieces: [says('')] }).fetch,
      'first_token_timeout',
      { firstTokenMs: 100 },
    ],
    [
      'silence after a token',
      fakeFetch({ ...hang, pieces: [says('a')] }).fetch,
      'silence_timeout',
      { silenceMs: 100 },
    ],
    [
      'a stream without end',
      fakeFetch({ pieces: Array<string>(1000).fill(says('a')), delayMs: 10 }).fetch,
      'total_timeout',
      { totalMs: 200 },
    ],
    [
      'silence within JSON',
      fakeFetch({ ...hang, pieces: ['{"choices":'] }).fetch,
      'silence_timeout',
      { silenceMs: 100 },
    ],
  ])('%s', async (_, fetcher, kind, times) => {
    const got = await collectInTime(requestOf(fetcher, { times: { ...TIMES, ...times } }))
    expect([got.end.fault?.kind, got.end.done]).toEqual([kind, false])
  })

  it('comments keep a slow stream alive, and a slow reader is not the upstream’s silence', async () => {
    const slow = fakeFetch({
      pieces: [says('a'), ...Array<string>(20).fill(': ping\n\n'), says('b', 'stop')],
      delayMs: 20,
    })
    const got = await collectInTime(requestOf(slow.fetch, { times: { ...TIMES, silenceMs: 300 } }))
    expect([got.text, got.end.fault]).toEqual(['ab', undefined])
    const lazy = fakeFetch({ pieces: [says('a'), says('b'), says('c', 'stop')], delayMs: 1 })
    const times = { ...TIMES, silenceMs: 100, firstTokenMs: 100 }
    const slept = await collectInTime(
      requestOf(lazy.fetch, { times }),
      () => new Promise((done) => setTimeout(done, 250)),
    )
    expect([slept.text, slept.end.fault]).toEqual(['abc', undefined])
  })

  it('an unstreamed answer has the total to come', async () => {
    const json = JSON.stringify({ choices: [{ message: { content: 'late' }, finish_reason: 'stop' }] })
    const fake = fakeFetch({ pieces: ['\n', '\n', json], delayMs: 150 })
    const times = { ...TIMES, firstTokenMs: 50, silenceMs: 2000 }
    expect((await collectInTime(requestOf(fake.fetch, { stream: false, times }))).text).toBe('late')
    const total = { ...TIMES, firstTokenMs: 50, totalMs: 200 }
    const got = await collectInTime(requestOf(never, { stream: false, times: total }))
    expect(got.end.fault?.kind).toBe('total_timeout')
  })

  it('a host that accepts no connection fails early, one that only thinks long does not', async () => {
    const asked: string[] = []
    const silent = await collectInTime(
      requestOf(never, {
        times: { ...TIMES, connectMs: 50 },
        reach: async (url, ms) => {
          asked.push(`${url} ${ms}`)
          return 'silent'
        },
      }),
    )
    expect(silent.end.fault?.kind).toBe('connect_timeout')
    expect(asked).toEqual(['https://upstream.example/v1/chat/completions 50'])
    for (const found of ['open', 'unknown'] as const) {
      const late = (async (...args: Parameters<typeof fetch>) => {
        await new Promise((done) => setTimeout(done, 200))
        return fakeFetch(OK).fetch(...args)
      }) as typeof fetch
      const got = await collectInTime(
        requestOf(late, { times: { ...TIMES, connectMs: 50 }, reach: async () => found }),
      )
      expect([got.text, got.end.fault]).toEqual(['ok', undefined])
    }
  })

  it('an abort ends it at once, before, during and after the headers, and closes the body', async () => {
    const before = await collectInTime(requestOf(fakeFetch(OK).fetch, { signal: AbortSignal.abort() }))
    expect(before.end).toEqual({
      finishReason: null,
      done: false,
      fault: { kind: 'aborted', message: expect.any(String) as string },
    })
    const early = new AbortController()
    setTimeout(() => early.abort(), 50)
    expect((await collectInTime(requestOf(never, { signal: early.signal }))).end.fault?.kind).toBe('aborted')
    const late = new AbortController()
    const fake = fakeFetch({ pieces: [says('a'), says('b')], ending: 'hang' })
    const got = await collectInTime(requestOf(fake.fetch, { signal: late.signal }), (chunks) => {
      if (chunks.some((chunk) => chunk.text === 'b')) setTimeout(() => late.abort(), 20)
    })
    expect([got.text, got.end.fault?.kind, fake.cancelled()]).toEqual(['ab', 'aborted', 1])
  })

  it('leaving the loop closes the body too', async () => {
    const fake = fakeFetch({ pieces: [says('a'), says('b')], ending: 'hang' })
    for await (const chunks of openUpstream(requestOf(fake.fetch))) if (chunks.length > 0) break
    await vi.advanceTimersByTimeAsync(20)
    expect((fake.calls[0]!.init.signal as AbortSignal).aborted).toBe(true)
  })
})

describe('an upstream that talks without a pause', () => {
  // Nothing but the next piece gets a turn, so no timer fires.
  const flood = (first: string) => {
    let left = 2_000_000
    const [head, comment] = [first, ': ping\n\n'].map((text) => new TextEncoder().encode(text))
    return (async () =>
      new Response(
        new ReadableStream({
          start: (controller) => controller.enqueue(head),
          pull: (controller) => (left-- > 0 ? controller.enqueue(comment) : controller.close()),
        }),
      )) as typeof fetch
  }
  it.each([
    ['the first token', ': ping\n\n', { firstTokenMs: 100 }, 'first_token_timeout'],
    ['all of it', says('a'), { totalMs: 100 }, 'total_timeout'],
  ])('is held to its time for %s', async (_, first, times, kind) => {
    const got = await collect(requestOf(flood(first), { times: { ...TIMES, ...times } }))
    expect(got.end.fault?.kind).toBe(kind)
  })
})

describe('over real sockets', () => {
  let server: Server | undefined
  afterEach(() => {
    server?.closeAllConnections()
    server?.close()
  })

  async function serve(act: (res: ServerResponse) => void): Promise<string> {
    server = createServer((req, res) => {
      req.resume().on('end', () => act(res))
    })
    await new Promise<void>((done) => server!.listen(0, '127.0.0.1', done))
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/chat/completions`
  }

  it('an abort reaches the socket; a broken one is incomplete; a redirect is not followed', async () => {
    let closed: Promise<void> | undefined
    const url = await serve((res) => {
      closed = new Promise((done) => res.on('close', () => done()))
      res.write(says('a'))
    })
    const control = new AbortController()
    const got = await collect(requestOf(undefined, { url, signal: control.signal }), () => control.abort())
    expect(got.end.fault?.kind).toBe('aborted')
    await closed
    server!.close()

    const broken = await serve((res) => {
      res.write(says('a'))
      setTimeout(() => res.destroy(), 30)
    })
    const cut = await collect(requestOf(undefined, { url: broken }))
    expect([cut.text, cut.end.fault?.kind]).toEqual(['a', 'incomplete'])
    server!.close()

    let hits = 0
    const moved = await serve((res) => {
      hits++
      res.writeHead(307, { location: '/elsewhere' }).end()
    })
    expect((await collect(requestOf(undefined, { url: moved }))).end.fault).toMatchObject({
      kind: 'status',
      status: 307,
    })
    expect(hits).toBe(1)
  })

  it('nobody there is unreachable, without the address in the message', async () => {
    const url = await serve(() => {})
    await new Promise((done) => server!.close(done))
    const got = await collect(requestOf(undefined, { url }))
    expect(got.end.fault?.kind).toBe('unreachable')
    expect(got.end.fault?.message).toBe('no connection: ECONNREFUSED')
  })
})
