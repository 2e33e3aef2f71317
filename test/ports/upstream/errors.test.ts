// Every form in which an upstream says no.
import { describe, expect, it } from 'vitest'
import { retryAfterOf } from '../../../src/ports/upstream/error.ts'
import type { UpstreamFault } from '../../../src/ports/upstream/port.ts'
import { collect, fakeFetch, refusal, requestOf, type Script, says, sse, TIMES } from './feed.ts'

async function faultOf(script: Script, stream = true): Promise<UpstreamFault> {
  const got = await collect(requestOf(fakeFetch(script).fetch, { stream }))
  expect(got.text).toBe('')
  expect(got.end.done).toBe(false)
  return got.end.fault!
}

describe('errors', () => {
  it.each<[string, Script, Partial<UpstreamFault>]>([
    [
      'an object',
      refusal(401, { error: { message: 'no', code: 'k', param: 'p' } }),
      { kind: 'status', status: 401, message: 'no', upstreamCode: 'k', param: 'p' },
    ],
    [
      'a string',
      refusal(500, { error: 'boom', error_type: 'overloaded' }),
      { kind: 'status', message: 'boom', upstreamCode: 'overloaded' },
    ],
    [
      'object: error',
      refusal(400, { object: 'error', message: 'm', code: 40303 }),
      { message: 'm', upstreamCode: '40303' },
    ],
    ['detail', refusal(404, { detail: 'Not Found' }), { status: 404, message: 'Not Found' }],
    [
      'details',
      refusal(422, { detail: [{ loc: ['body', 'n'], msg: 'bad' }, { msg: 'x' }] }),
      { message: 'body.n: bad; x' },
    ],
    ['a message', refusal(403, { message: 'Forbidden' }), { message: 'Forbidden' }],
    [
      'an array around it',
      refusal(400, [{ error: { code: 400, message: 'm', status: 'INVALID' } }]),
      { message: 'm', upstreamCode: '400' },
    ],
    [
      'plain text',
      refusal(503, ' upstream  down\n'),
      { kind: 'status', status: 503, message: 'upstream down' },
    ],
    [
      'HTML',
      refusal(502, '\n<!DOCTYPE html><p>secret page'),
      { status: 502, message: 'HTTP 502 with an HTML page' },
    ],
    ['nothing', refusal(500, ''), { message: 'HTTP 500 without a body' }],
    [
      'an event stream',
      refusal(400, 'event: error\ndata: {"error":{"message":"m"}}\n\n'),
      { message: 'm', status: 400 },
    ],
    [
      'a redirect',
      { status: 302, headers: { location: 'http://169.254.169.254/' }, pieces: [] },
      { kind: 'status', status: 302 },
    ],
    [
      'a limit',
      { ...refusal(429, 'slow down'), headers: { 'retry-after': '7' } },
      { kind: 'rate_limited', status: 429, retryAfterSeconds: 7 },
    ],
    [
      '200: an object',
      refusal(200, { error: { message: 'm', code: 502 } }),
      { kind: 'error_in_stream', status: 502, message: 'm' },
    ],
    [
      '200: a limit',
      refusal(200, { error: { message: 'm', code: '429' } }),
      { kind: 'rate_limited', status: 429 },
    ],
    [
      '200: a named limit',
      refusal(200, { error: { message: 'm', code: 'rate_limit_exceeded' } }),
      { kind: 'rate_limited' },
    ],
    ['200: a string', refusal(200, { error: 'm' }), { kind: 'error_in_stream', message: 'm' }],
    ['200: a message', refusal(200, { message: 'm', code: 3 }), { kind: 'error_in_stream', message: 'm' }],
    [
      '200: HTML',
      refusal(200, '<html>login'),
      { kind: 'bad_answer', message: 'an HTML page in place of an answer' },
    ],
    ['200: text', refusal(200, 'Internal error'), { kind: 'bad_answer' }],
    ['200: other JSON', refusal(200, { hello: 1 }), { kind: 'bad_answer' }],
    ['200: no choices', refusal(200, { choices: [] }), { kind: 'bad_answer' }],
    ['200: broken JSON', refusal(200, '{"choices": [}'), { kind: 'bad_answer' }],
    ['200: nothing', refusal(200, ''), { kind: 'incomplete' }],
    ['200: only comments', refusal(200, ': a\n\n: b\n\n'), { kind: 'incomplete' }],
    [
      'an event named error',
      refusal(200, 'event: error\ndata: {"message":"m","code":"c"}\n\n'),
      { kind: 'error_in_stream', message: 'm', upstreamCode: 'c' },
    ],
    [
      'an event named error, text',
      refusal(200, 'event: error\ndata: overloaded\n\n'),
      { kind: 'error_in_stream', message: 'overloaded' },
    ],
    [
      'a line named error',
      refusal(200, 'error: {"error":"m","error_type":"overloaded"}\n'),
      { kind: 'error_in_stream', message: 'm' },
    ],
    [
      'data with object: error',
      refusal(200, sse({ object: 'error', message: 'm' })),
      { kind: 'error_in_stream', message: 'm' },
    ],
    [
      'an error in a choice',
      refusal(200, sse({ choices: [{ delta: { content: '' }, error: { message: 'm', code: 429 } }] })),
      { kind: 'rate_limited' },
    ],
    [
      'a router with the inner words',
      refusal(200, sse({ error: { message: 'Provider returned error', metadata: { raw: 'why' } } })),
      { message: 'Provider returned error: why' },
    ],
  ])('%s', async (_, script, wanted) => {
    for (const stream of [true, false]) expect(await faultOf(script, stream)).toMatchObject(wanted)
  })

  it('in the middle of a stream leave what came before, and nothing after', async () => {
    const error = {
      choices: [{ delta: { content: '!' }, finish_reason: 'error' }],
      error: { message: 'm' },
      usage: { total_tokens: 5, prompt_tokens: 1 },
    }
    const got = await collect(
      requestOf(fakeFetch({ pieces: [`${says('a')}${says('b')}${sse(error)}${says('c')}`] }).fetch),
    )
    expect([got.text, got.end.fault?.kind, got.end.fault?.message]).toEqual(['ab!', 'error_in_stream', 'm'])
    expect(got.end.usage?.completionTokens).toBe(4)
    expect(JSON.stringify(got.chunks.map((chunk) => chunk.raw))).not.toContain('"m"')
  })

  it('are read only so far and only so long', async () => {
    const fake = fakeFetch({
      status: 500,
      pieces: Array<string>(100).fill('e'.repeat(16 * 1024)),
      ending: 'hang',
    })
    const got = await collect(requestOf(fake.fetch))
    expect([got.end.fault?.status, got.end.fault?.message.length, fake.cancelled()]).toEqual([500, 500, 1])
    const slow = fakeFetch({ status: 503, pieces: ['sorry'], ending: 'hang' })
    const times = { ...TIMES, totalMs: 150 }
    expect((await collect(requestOf(slow.fetch, { times }))).end.fault).toMatchObject({
      status: 503,
      message: 'sorry',
    })
  })

  it('tell when to come back', () => {
    const now = Date.parse('2026-01-01T00:00:00Z')
    const at = (headers: Record<string, string>) => retryAfterOf(new Headers(headers), now)
    expect(at({ 'retry-after': '30' })).toBe(30)
    expect(at({ 'retry-after': '0.2' })).toBe(1)
    expect(at({ 'retry-after': 'Thu, 01 Jan 2026 00:02:00 GMT' })).toBe(120)
    expect(at({ 'retry-after': 'Wed, 31 Dec 2025 00:00:00 GMT' })).toBe(0)
    expect(at({ 'retry-after': '999999999' })).toBe(86_400)
    expect(at({ 'retry-after': '30', 'retry-after-ms': '1500' })).toBe(2)
    expect([at({ 'retry-after': 'soon' }), at({ 'retry-after': '-5' }), at({})]).toEqual([
      undefined,
      undefined,
      undefined,
    ])
  })
})
