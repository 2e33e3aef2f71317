import { beforeAll, describe, expect, it } from 'vitest'
import { type Program, program } from '../../support/door.ts'
import { type Asking, type World, world } from '../../support/world.ts'

interface Refusal {
  error: { message: string; type: string; param: string | null; code: string }
}

const PATH = '/v1/chat/completions'
const STRANGER = `sk-bh-${'B'.repeat(43)}`

describe('the door refuses, in the shape of OpenAI', () => {
  let at: World
  let app: Program
  let json: { model: string; messages: object[] }
  beforeAll(async () => {
    at = await world()
    app = await program(at)
    json = { model: (await at.model()).name, messages: [{ role: 'user', content: 'Hi' }] }
  })
  const call = async (method: string, path: string, asking: Asking = {}) => {
    const { status, headers, body } = await at.call<Refusal>(method, path, asking)
    return { status, headers, ...body.error }
  }
  const asBody = (body: string | Uint8Array<ArrayBuffer>, type = 'application/json'): Asking => ({
    body,
    headers: { 'Content-Type': type },
  })

  it('whoever has no key: by no other proof, on every path, before the body', async () => {
    const bearers = [undefined, 'nonsense', STRANGER, app.owner.token, app.owner.refreshToken]
    for (const [method, path] of [
      ['POST', PATH],
      ['GET', '/v1/models'],
      ['GET', `/v1/models/${json.model}`],
      ['GET', '/v1/models/a/b'],
    ] as const)
      for (const token of bearers) {
        const asking: Asking = { ...(token ? { token } : {}), ...(method === 'POST' ? { json } : {}) }
        const refusal = await call(method, path, { ...asking, cookie: `access_token=${app.owner.token}` })
        expect(refusal, `${path} ${token}`).toMatchObject({ status: 401, code: 'invalid_api_key' })
        expect(refusal.headers.get('www-authenticate')).toBe('Bearer')
      }
    for (const header of [`Basic ${app.key}`, app.key, `Bearer ${app.key} ${app.key}`, 'Bearer'])
      expect(await call('POST', PATH, { json, headers: { Authorization: header } })).toMatchObject({
        status: 401,
      })
    // A key that could be one, with a body that is none: it learns that it is no key, and nothing of the body.
    for (const asking of [
      asBody('{'),
      asBody('[]'),
      asBody('x', 'text/plain'),
      asBody('x'.repeat(9 * 1024 * 1024)),
    ])
      expect(await call('POST', PATH, { token: STRANGER, ...asking })).toMatchObject({ status: 401 })
  })

  it('a key is for this door alone', async () => {
    const { status, body } = await at.call('GET', '/api/user/profile', { token: app.key })
    expect({ status, body }).toMatchObject({ status: 401, body: { code: 'unauthenticated' } })
  })

  it('what is not a body of its kind', async () => {
    const token = app.key
    for (const text of ['', '{', '\u0000', '{"a":1}{"b":2}'])
      expect(await call('POST', PATH, { token, ...asBody(text) }), text).toMatchObject({ status: 400 })
    for (const text of ['null', '[]', '"text"', '{}', '{"messages":[]}'])
      expect(await call('POST', PATH, { token, ...asBody(text) }), text).toMatchObject({
        status: 400,
        code: 'invalid_parameter',
        type: 'invalid_request_error',
      })
    const plain = asBody(JSON.stringify(json), 'text/plain')
    expect(await call('POST', PATH, { token, ...plain })).toMatchObject({
      status: 415,
      code: 'unsupported_media_type',
    })
    const deep = `${'['.repeat(90_000)}${']'.repeat(90_000)}`
    const nested = JSON.stringify({ ...json, x: 0 }).replace('"x":0', `"x":${deep}`)
    expect(await call('POST', PATH, { token, ...asBody(nested) })).toMatchObject({ status: 400 })
    const large = (bytes: number) =>
      asBody(JSON.stringify({ ...json, metadata: { padding: 'x'.repeat(bytes) } }))
    expect(await call('POST', PATH, { token, ...large(9 * 1024 * 1024) })).toMatchObject({
      status: 413,
      code: 'payload_too_large',
    })
    const { status } = await at.call('POST', PATH, { token, ...large(7 * 1024 * 1024) })
    expect(status).toBe(200)
    const many = (value: string, count: number) =>
      asBody(`{"model":"m","messages":[${Array(count).fill(value).join()}]}`)
    for (const value of ['1', '{}', '[]', '"\\",[,["'])
      expect(await call('POST', PATH, { token, ...many(value, 130_000) })).toMatchObject({
        status: 413,
        code: 'payload_too_large',
      })
    const strings = asBody(JSON.stringify({ ...json, metadata: { x: ',[{'.repeat(100_000) } }))
    expect((await at.call('POST', PATH, { token, ...strings })).status).toBe(200)
    const stranger = { token: `sk-bh-${'A'.repeat(43)}` }
    for (const body of [many('1', 130_000), many('1', 90_000), many('{}', 40_000)])
      expect(await call('POST', PATH, { ...stranger, ...body })).toMatchObject({ status: 401 })
    expect(await call('POST', PATH, { token, ...many('1', 90_000) })).toMatchObject({
      status: 400,
      param: 'messages.0',
    })
  })

  it('a field of the wrong kind, by its name', async () => {
    const wrong: [string, unknown][] = [
      ['model', 7],
      ['model', ''],
      ['messages', 'Hi'],
      ['messages.0', ['Hi']],
      ['messages.0.role', 7],
      ['stream', 'true'],
      ['stream_options', []],
      ['stream_options.include_usage', 1],
      ['max_tokens', 0],
      ['max_tokens', 1.5],
      ['max_completion_tokens', '10'],
      ['max_completion_tokens', 1e12],
      ['n', 0],
      ['n', 9],
    ]
    for (const [param, value] of wrong) {
      const [field = '', , inner] = param.split('.')
      const put =
        param === 'messages.0'
          ? [value]
          : inner
            ? [{ role: value }]
            : param.includes('.')
              ? { include_usage: value }
              : value
      const refusal = await call('POST', PATH, { token: app.key, json: { ...json, [field]: put } })
      expect(refusal, param).toMatchObject({ status: 400, code: 'invalid_parameter', param })
      expect(refusal.message).toContain(param)
    }
    // null stands for what is left out, as OpenAI has it.
    const nothing = {
      stream: null,
      stream_options: null,
      max_tokens: null,
      max_completion_tokens: null,
      n: null,
    }
    expect((await at.call('POST', PATH, { token: app.key, json: { ...json, ...nothing } })).status).toBe(200)
    const headers = { 'Idempotency-Key': 'with a blank' }
    expect(await call('POST', PATH, { token: app.key, json, headers })).toMatchObject({ status: 400 })
  })

  it('absurd values never break it', async () => {
    for (const field of ['model', 'messages', 'stream', 'max_tokens', 'n', 'temperature', 'tools'])
      for (const put of [
        '1e308',
        '-1e308',
        '99999999999999999999',
        '-0',
        '"\\u0000"',
        '"\\ud800"',
        '""',
        'null',
        '{"__proto__":{}}',
      ]) {
        const rest = Object.entries({ ...json }).filter(([name]) => name !== field)
        const members = [
          `${JSON.stringify(field)}:${put}`,
          ...rest.map(([name, value]) => `"${name}":${JSON.stringify(value)}`),
        ]
        const { status } = await at.call('POST', PATH, {
          token: app.key,
          ...asBody(`{${members.join(',')}}`),
        })
        // 502 would be some model of that name whose upstream is not there.
        expect(status, `${field}: ${put}`).not.toBe(500)
      }
  })

  it('paths and methods that there are not', async () => {
    const token = app.key
    for (const [method, path] of [
      ['GET', '/v1'],
      ['GET', '/v1/nothing'],
      ['POST', '/v1/embeddings'],
      ['POST', '/v1/responses'],
      ['GET', '/v1/chat'],
    ] as const) {
      const refusal = await call(method, path, { token, ...(method === 'POST' ? { json } : {}) })
      expect(refusal, path).toMatchObject({ status: 404, type: 'invalid_request_error', code: 'unknown_url' })
    }
    for (const [method, path, allowed] of [
      ['GET', PATH, 'POST'],
      ['DELETE', PATH, 'POST'],
      ['POST', '/v1/models', 'GET, HEAD'],
      ['DELETE', '/v1/models/a/b', 'GET, HEAD'],
    ] as const) {
      const refusal = await call(method, path, { token })
      expect(refusal, path).toMatchObject({ status: 405, code: 'method_not_allowed' })
      expect(refusal.headers.get('allow')).toBe(allowed)
    }
    for (const id of ['no-such', 'a/b/c', 'no-such%00', '%F0%9F%99%82', 'a'.repeat(3000), "1'%20OR%20'1'='1"])
      expect(await call('GET', `/v1/models/${id}`, { token }), id).toMatchObject({
        status: 404,
        code: 'model_not_found',
      })
  })

  it('when the database cannot be asked: 503 and when to come again', async () => {
    at.neon.fault = () => 'before'
    try {
      const refusal = await call('POST', PATH, { token: app.key, json })
      expect(refusal).toMatchObject({ status: 503, type: 'api_error', code: 'unavailable' })
      expect(refusal.headers.get('retry-after')).toBe('5')
    } finally {
      at.neon.fault = undefined
    }
  })
})
