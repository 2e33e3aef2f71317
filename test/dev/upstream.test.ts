// The demo upstream, driven through the port that the gateway uses.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type DemoUpstream, startDemoUpstream } from '../../dev/upstream.ts'
import { answerFor, piecesOf } from '../../dev/upstream-script.ts'
import { listModels } from '../../src/ports/upstream/models.ts'
import type { UpstreamRequest } from '../../src/ports/upstream/port.ts'
import { collect, type Got, requestOf, TIMES } from '../ports/upstream/feed.ts'

let demo: DemoUpstream
beforeAll(async () => {
  demo = await startDemoUpstream()
})
afterAll(() => demo.close())

function ask(content: string, over: Partial<UpstreamRequest> = {}, body: object = {}): Promise<Got> {
  return collect(
    requestOf(undefined, {
      url: `${demo.url}/chat/completions`,
      maxTokens: 100_000,
      body: { model: 'demo-instant', messages: [{ role: 'user', content }], ...body },
      ...over,
    }),
  )
}

async function eventually(holds: () => boolean): Promise<void> {
  for (let i = 0; i < 200 && !holds(); i++) await new Promise((done) => setTimeout(done, 10))
  expect(holds()).toBe(true)
}

describe('the demo upstream', () => {
  it('answers the question it was asked, streamed and not, with the same words and count', async () => {
    const question = 'How does the hold work?'
    const streamed = await ask(question)
    const whole = await ask(question, { stream: false })
    expect(streamed.text).toBe(answerFor(question))
    expect(streamed.text).toContain(question)
    expect(streamed.text).toContain('sets some of your credits aside')
    expect(whole.text).toBe(streamed.text)
    expect(whole.end.usage).toEqual(streamed.end.usage)
    expect(streamed.end).toMatchObject({ finishReason: 'stop', done: true })
    expect(streamed.end.usage?.completionTokens).toBe(piecesOf(streamed.text).length)
    const topics = ['stream', 'settle', 'stop', 'key', 'balance', 'hello', 'quantum chromodynamics']
    expect(new Set(topics.map((topic) => answerFor(topic).split('\n\n')[1])).size).toBe(topics.length)
    expect(demo.requests.at(-1)).toMatchObject({ body: { stream: false }, clientGone: false })
  })

  it('honours the limit, counts what it sent, and reports usage only when asked', async () => {
    const short = await ask('hello', { maxTokens: 5 })
    expect([short.end.finishReason, short.end.usage?.completionTokens]).toEqual(['length', 5])
    const other = await ask('[[tokens=300]]', { limitParam: 'max_completion_tokens', maxTokens: 7 })
    expect([piecesOf(other.text).length, other.end.finishReason]).toEqual([7, 'length'])
    const exact = await ask('[[tokens=7]]', { maxTokens: 7 })
    expect([exact.end.finishReason, exact.end.usage?.completionTokens]).toEqual(['stop', 7])
    expect((await ask('hello', { streamOptions: false })).end.usage).toBeUndefined()
    expect((await ask('hello [[fault:no-usage]]', { stream: false })).end.usage).toBeUndefined()
  })

  it('thinks first, calls tools, answers several times', async () => {
    const thought = await ask('[[delay=0]] why?', {}, { model: 'demo-reasoner' })
    expect(thought.reasoning).toContain('what is being asked')
    expect(thought.end.usage?.reasoningTokens).toBe(piecesOf(thought.reasoning).length)
    const tool = await ask('[[tool:weather {"city":"Oslo"}]]')
    expect(tool.end.finishReason).toBe('tool_calls')
    expect(tool.chunks.map((chunk) => chunk.extra).join('')).toBe('weather{"city":"Oslo"}')
    const three = await ask('[[say:one two]]', {}, { n: 3 })
    expect([three.text, three.end.usage?.completionTokens]).toEqual(['one two', 6])
    expect(three.chunks.filter((chunk) => chunk.otherChoices).length).toBe(4)
  })

  it('says what it is told, at any length', async () => {
    expect((await ask('x [[say:a  “b”\n c]d 😀]] y')).text).toBe('a  “b”\n c]d 😀')
    const long = await ask('[[chunks=20000,size=100]]')
    expect([long.text.length, long.end.usage?.completionTokens]).toEqual([2_000_000, 20_000])
    expect(long.text.startsWith('0 lorem')).toBe(true)
    expect((await ask('[[line=1000000]]')).text.length).toBe(1_000_000)
  })

  it('takes its time', async () => {
    const start = performance.now()
    await ask('[[tokens=20]]', {}, { model: 'demo' })
    expect(performance.now() - start).toBeGreaterThan(20 * 30 - 50)
  })

  it.each<[string, string, object]>([
    ['[[fault:status=429,retry-after=7]]', '', { kind: 'rate_limited', status: 429, retryAfterSeconds: 7 }],
    ['[[fault:status=500]]', '', { kind: 'status', status: 500 }],
    ['[[fault:redirect=http://127.0.0.1:1/]]', '', { kind: 'status', status: 302 }],
    ['[[say:a b c d e]] [[fault:cut-after=3]]', 'a b c ', { kind: 'incomplete' }],
    [
      '[[say:a b c d e]] [[fault:error-after=2]]',
      'a b ',
      { kind: 'error_in_stream', upstreamCode: 'demo_fault' },
    ],
    ['[[say:a b c d e]] [[fault:stall-after=1]]', 'a ', { kind: 'silence_timeout' }],
    ['[[say:a]] [[fault:slow-first-token=5000]]', '', { kind: 'first_token_timeout' }],
    ['[[say:a]] [[fault:slow-headers=5000]]', '', { kind: 'first_token_timeout' }],
  ])('%s', async (message, text, fault) => {
    const isLate = 'kind' in fault && String(fault.kind).endsWith('timeout')
    const times = isLate ? { ...TIMES, firstTokenMs: 400, silenceMs: 400 } : TIMES
    const got = await ask(message, { times })
    expect(got.text).toBe(text)
    expect(got.end.fault).toMatchObject(fault)
  })

  it('misbehaves in ways that do not matter', async () => {
    for (const fault of ['content-type=text/html', 'no-done', 'stay-open', 'slow-first-token=50']) {
      const got = await ask(`[[say:fine]] [[fault:${fault}]]`)
      expect([fault, got.text, got.end.fault]).toEqual([fault, 'fine', undefined])
    }
    const learned = await ask('[[say:fine]] [[fault:refuse=max_tokens]]')
    expect([learned.text, learned.end.learned]).toEqual(['fine', { limitParam: 'max_completion_tokens' }])
    const unlearned = await ask('[[say:fine]] [[fault:refuse=stream_options]]')
    expect([unlearned.text, unlearned.end.learned]).toEqual(['fine', { streamOptions: false }])
  })

  it('notices who hangs up', async () => {
    const control = new AbortController()
    const request = { signal: control.signal }
    const model = { model: 'demo' }
    setTimeout(() => control.abort(), 150)
    expect((await ask('[[tokens=500]]', request, model)).end.fault?.kind).toBe('aborted')
    const seen = demo.requests.at(-1)!
    await eventually(() => seen.clientGone)
    await ask('[[say:b]] [[fault:cut-after=0]]')
    await new Promise((done) => setTimeout(done, 50))
    expect(demo.requests.at(-1)!.clientGone).toBe(false)
  })

  it('lists its models', async () => {
    const signal = new AbortController().signal
    const got = await listModels({ url: `${demo.url}/models`, timeoutMs: 5000, signal })
    expect(got).toEqual({ ids: ['demo', 'demo-instant', 'demo-reasoner'] })
  })
})
