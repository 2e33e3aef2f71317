// The request and its second tries, secrets, lists of models, addresses.
import { describe, expect, it } from 'vitest'
import { endpointsOf } from '../../../src/ports/upstream/endpoints.ts'
import { createBlot } from '../../../src/ports/upstream/error.ts'
import { listModels } from '../../../src/ports/upstream/models.ts'
import { collect, fakeFetch, refusal, requestOf, type Script, says } from './feed.ts'

const OK: Script = { pieces: [says('ok', 'stop'), 'data: [DONE]\n\n'] }

describe('the request', () => {
  it('is a POST that follows nothing, with the limit and the options that were asked for', async () => {
    const fake = fakeFetch(OK)
    const body = {
      model: 'm',
      messages: [],
      seed: 7,
      max_tokens: 1e9,
      max_completion_tokens: 1e9,
      stream_options: { a: 1 },
    }
    await collect(requestOf(fake.fetch, { body, limitParam: 'max_tokens', maxTokens: 64 }))
    const { init, body: sent, url } = fake.calls[0]!
    expect([url, init.method, init.redirect]).toEqual([
      'https://upstream.example/v1/chat/completions',
      'POST',
      'manual',
    ])
    expect(new Headers(init.headers).get('authorization')).toBe('Bearer secret-token-123')
    expect(new Headers(init.headers).get('accept')).toBe('text/event-stream')
    expect(sent).toEqual({
      model: 'm',
      messages: [],
      seed: 7,
      stream: true,
      max_tokens: 64,
      stream_options: { include_usage: true },
    })
    await collect(requestOf(fake.fetch, { stream: false, limitParam: 'max_new', authToken: undefined }))
    expect(fake.calls[1]!.body).not.toHaveProperty('stream_options')
    expect(fake.calls[1]!.body).toMatchObject({ stream: false, max_new: 100 })
    expect(new Headers(fake.calls[1]!.init.headers).has('authorization')).toBe(false)
  })

  const limit = refusal(400, {
    error: {
      message: "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens'.",
      param: 'max_tokens',
    },
  })
  const options = refusal(422, {
    detail: [{ loc: ['body', 'stream_options'], msg: 'Extra inputs are not permitted' }],
  })

  it('is sent again without what a refusal names, and tells what was learned', async () => {
    const one = fakeFetch(limit, OK)
    const first = await collect(requestOf(one.fetch))
    expect([first.text, first.end.learned]).toEqual(['ok', { limitParam: 'max_completion_tokens' }])
    expect(one.calls[1]!.body).toMatchObject({
      max_completion_tokens: 100,
      stream_options: { include_usage: true },
    })
    expect(one.calls[1]!.body).not.toHaveProperty('max_tokens')

    const both = fakeFetch(options, limit, OK)
    const second = await collect(requestOf(both.fetch))
    expect(second.end.learned).toEqual({ limitParam: 'max_completion_tokens', streamOptions: false })
    expect(both.calls[2]!.body).not.toHaveProperty('stream_options')
    expect(both.calls.length).toBe(3)
  })

  it('is not sent again for other refusals, other statuses, or a third time', async () => {
    const stubborn = fakeFetch(limit)
    const got = await collect(requestOf(stubborn.fetch))
    expect([stubborn.calls.length, got.end.fault?.kind, got.end.learned]).toEqual([2, 'status', undefined])
    expect(got.end.fault?.param).toBe('max_tokens')
    for (const script of [
      refusal(400, 'context too long'),
      // About the value: another name would only lose the limit.
      refusal(400, { error: { message: 'max_tokens is too large: 9000', param: 'max_tokens' } }),
      refusal(400, 'This model supports at most 4096 max_tokens, whereas you asked for 9000'),
      refusal(500, 'max_tokens'),
      refusal(429, 'max_tokens'),
    ]) {
      const fake = fakeFetch(script, OK)
      await collect(requestOf(fake.fetch))
      expect(fake.calls.length).toBe(1)
    }
    const own = fakeFetch(limit, OK)
    await collect(requestOf(own.fetch, { limitParam: 'max_completion_tokens' }))
    expect(own.calls.length).toBe(1)
  })
})

describe('secrets', () => {
  it('are blotted out of every message, plain, escaped and encoded', async () => {
    const token = 'to"ken/with spaces+1'
    const url = 'https://gpu-7.corp.internal:8443/v1/chat/completions?api-key=abcdef123456'
    const leak = `bad key ${token} ${encodeURIComponent(token)} at gpu-7.corp.internal:8443 gpu-7.corp.internal
      Authorization: Bearer abc.def-123 sk-proj-Ab12_cd34-xyz AIzaSyA1234567890abc api-key=abcdef123456
      connect 10.1.2.3:443 eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.sig second-secret`
    const bodies = [
      refusal(401, leak),
      refusal(401, { error: { message: leak, code: token, param: token } }),
      refusal(200, { error: leak }),
    ]
    for (const script of [
      ...bodies,
      refusal(200, `event: error\ndata: ${JSON.stringify({ deep: { leak } })}\n\n`),
    ]) {
      const got = await collect(
        requestOf(fakeFetch(script).fetch, { url, authToken: token, redact: ['second-secret'] }),
      )
      const shown = JSON.stringify(got.end)
      for (const word of [
        'ken/with',
        'ken%2Fwith',
        'corp',
        'abc.def',
        'Ab12',
        'AIza',
        'abcdef12',
        '10.1',
        'eyJ',
        'second',
      ]) {
        expect(shown).not.toContain(word)
      }
      expect(got.end.fault?.message).toContain('***')
    }
  })

  it.each([
    'http://backend:9000/v1',
    'https://backend.corp.local:9000/x',
    'gpu-7.svc',
    'llm.internal:8080',
    'http://[fd00::1]:80/',
    '10.1.2.3:80',
  ])('are no host of an inner network: %s', (host) => {
    const blot = createBlot('https://a.example/', [])
    const name = host.replace(/^https?:\/\/|[/:].*$/g, '').replace(/^\[.*/, 'fd00')
    expect(blot(`no route to ${host} today`)).not.toContain(name)
    const words = 'See https://docs.example.com/errors, e.g. the local, internal and home sections. 10.5 s'
    expect(blot(words)).toBe(words)
  })

  it('do not survive the cut at 500 characters, and no character is halved', () => {
    const blot = createBlot('https://a.example/', ['s3cret'])
    expect(blot(`${'x'.repeat(497)}s3cret`)).toBe(`${'x'.repeat(497)}***`)
    const cut = blot('😀'.repeat(400))
    expect([cut.length <= 500, cut.isWellFormed(), cut.endsWith('…')]).toEqual([true, true, true])
    expect(blot('a\u0000\n\tb\u009bc')).toBe('a b c')
  })
})

describe('models', () => {
  const ask = (script: Script, over: object = {}) => {
    const fake = fakeFetch(script)
    const signal = new AbortController().signal
    const url = 'https://upstream.example/v1/models'
    return listModels({ url, authToken: 't0ken', timeoutMs: 5000, signal, fetch: fake.fetch, ...over })
  }

  it.each<[unknown, unknown]>([
    [{ data: [{ id: 'a' }, { id: 'b' }, { id: 'a' }, { id: 5 }, null] }, { ids: ['a', 'b'] }],
    [{ models: [{ name: 'n' }, { model: 'm' }] }, { ids: ['n', 'm'] }],
    [['x', { id: 'y' }], { ids: ['x', 'y'] }],
    [{ data: [] }, { ids: [] }],
    [{ error: { message: 'bad t0ken' } }, { fault: { kind: 'error_in_stream', message: 'bad ***' } }],
    [{ hello: 1 }, { fault: { kind: 'bad_answer', message: expect.any(String) as string } }],
  ])('%j', async (body, wanted) => {
    expect(await ask(refusal(200, body))).toEqual(wanted)
  })

  it('is bounded in time and size, and has the same faults', async () => {
    const kind = async (script: Script, over?: object) => {
      const got = await ask(script, over)
      return 'fault' in got ? got.fault.kind : 'none'
    }
    expect(await kind(refusal(403, 'no'))).toBe('status')
    expect(await kind({ status: 301, headers: { location: 'https://x.example' }, pieces: [] })).toBe('status')
    expect(await kind({ pieces: ['{"data":['], ending: 'hang' }, { timeoutMs: 100 })).toBe('total_timeout')
    expect(await kind({ pieces: ['{"data":['], ending: 'break' })).toBe('incomplete')
    expect(await kind({ pieces: Array<string>(9).fill(' '.repeat(512 * 1024)), ending: 'hang' })).toBe(
      'too_large',
    )
    expect(await kind(refusal(200, '<html>'))).toBe('bad_answer')
  })
})

describe('addresses', () => {
  it.each([
    ['https://h.example/v1', '/v1/chat/completions', '/v1/models'],
    ['https://h.example/v1/', '/v1/chat/completions', '/v1/models'],
    ['https://h.example', '/chat/completions', '/models'],
    ['https://h.example/a/chat/completions', '/a/chat/completions', '/a/models'],
    ['https://h.example/a/chat/completions/?v=1#x', '/a/chat/completions?v=1', '/a/models?v=1'],
    [
      'https://h.example/openai?api-version=2',
      '/openai/chat/completions?api-version=2',
      '/openai/models?api-version=2',
    ],
  ])('%s', (link, completions, models) => {
    const at = (path: string): string => `https://h.example${path}`
    expect(endpointsOf(link)).toEqual({ completions: at(completions), models: at(models) })
  })
})
