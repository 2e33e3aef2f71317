/**
 * One suite of refusals for every route of the document: who may not call, what may not come in, whose things are
 * not there. `call` holds each answer against the document (one error shape, declared codes only, no secret), so a
 * test here says which refusal it must be.
 */
import { createHmac, randomUUID } from 'node:crypto'
import { beforeAll, describe, expect, it } from 'vitest'
import { operations as all, type RouteOperation } from './support/contract.ts'
import { stack } from './support/stack.ts'
import { type Asking, type Person, type World, world } from './support/world.ts'

type Json = Record<string, unknown>

/** Routes whose every field is optional: no body means an empty one. */
const EMPTY_FITS = new Set(['logout', 'refresh', 'createChat'])
// The OpenAI-compatible door has another shape, other proofs and a suite of its own (features/gateway).
const operations = all.filter(({ path }) => !path.startsWith('/v1'))
const withBody = operations.filter(({ example }) => example !== undefined)
const guarded = operations.filter(({ guard }) => guard !== 'anyone')
const administrators = operations.filter(({ guard }) => guard === 'administrator')
const withPath = operations.filter(({ path }) => path.includes('{'))
const named = (list: RouteOperation[]) =>
  list.map((route) => [`${route.method} ${route.path}`, route] as const)

const fill = (path: string, uid: string = randomUUID()) => path.replace(/\{\w+\}/g, uid)
const asBody = (value: unknown): Asking => ({
  body: typeof value === 'string' ? value : JSON.stringify(value),
  headers: { 'Content-Type': 'application/json' },
})

function forged(token: string, header: Json, change: Json, secret: string): string {
  const [, payload = ''] = token.split('.')
  const claims = JSON.parse(Buffer.from(payload, 'base64url').toString())
  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const signed = `${part(header)}.${part({ ...claims, ...change })}`
  const signature =
    header.alg === 'none' ? '' : createHmac('sha256', secret).update(signed).digest('base64url')
  return `${signed}.${signature}`
}

describe('every route refuses', () => {
  let at: World
  let person: Person
  let accessSecret: string
  beforeAll(async () => {
    at = await world()
    accessSecret = (await stack()).secrets.JWT_ACCESS_SECRET!
    person = await at.richPerson(5)
  })
  // Somebody new for each test: some routes end the session that calls them.
  const tokenFor = async ({ guard }: RouteOperation) =>
    (await (guard === 'administrator' ? at.administrator() : at.person())).token

  it.each(named(guarded))('%s: whoever does not prove who they are', async (_, route) => {
    const past = Math.floor(Date.now() / 1000) - 10
    const head = JSON.parse(Buffer.from(person.token.split('.')[0]!, 'base64url').toString())
    const tokens = {
      expired: forged(person.token, head, { exp: past }, accessSecret),
      'alg none': forged(person.token, { ...head, alg: 'none' }, {}, ''),
      'another key': forged(person.token, head, {}, 'x'.repeat(64)),
      'another algorithm': forged(person.token, { ...head, alg: 'HS512' }, {}, accessSecret),
      'a refresh token': person.refreshToken,
      'another audience': forged(person.token, head, { aud: 'elsewhere' }, accessSecret),
      'a session that is not there': forged(person.token, head, { sid: randomUUID() }, accessSecret),
      'not a token': 'abc',
    }
    const path = fill(route.path)
    const json = route.example
    const none = await at.call(route.method, path, json === undefined ? {} : { json })
    expect(none).toMatchObject({ status: 401, body: { code: 'unauthenticated' } })
    for (const [what, token] of Object.entries(tokens)) {
      const { status, body } = await at.call(route.method, path, {
        token,
        ...(json === undefined ? {} : { json }),
      })
      expect({ what, status, code: (body as Json).code }).toEqual({
        what,
        status: 401,
        code: 'unauthenticated',
      })
    }
  })

  it.each(named(administrators))(
    '%s: whoever is not an administrator, before the body is read',
    async (_, route) => {
      const asking = route.example === undefined ? {} : asBody('{not json')
      const { status, body } = await at.call(route.method, fill(route.path), {
        token: person.token,
        ...asking,
      })
      expect({ status, body }).toMatchObject({ status: 403, body: { code: 'forbidden' } })
    },
  )

  it.each(named(withBody))('%s: what is not a body of its kind', async (_, route) => {
    const path = fill(route.path)
    const token = await tokenFor(route)
    const ask = async (asking: Asking) =>
      (await at.call(route.method, path, { token, ...asking })) as { status: number; body: Json }
    for (const text of ['{', '{"a":}', '\u0000', 'undefined', '{"a":1}{"b":2}'])
      expect(await ask(asBody(text)), text).toMatchObject({ status: 400, body: { code: 'malformed_body' } })
    for (const value of [null, [], 'text', 7, true])
      expect(await ask(asBody(JSON.stringify(value))), JSON.stringify(value)).toMatchObject({
        status: 422,
        body: { code: 'invalid_request' },
      })
    const plain = { body: JSON.stringify(route.example), headers: { 'Content-Type': 'text/plain' } }
    expect(await ask(plain)).toMatchObject({ status: 415, body: { code: 'unsupported_media_type' } })
    if (!EMPTY_FITS.has(route.operationId)) {
      const missing = await ask({})
      expect([400, 415, 422]).toContain(missing.status)
      const empty = await ask(asBody(''))
      expect([400, 422]).toContain(empty.status)
    }
    const unknown = await ask(asBody({ ...route.example, isAdministrator: true }))
    expect(unknown).toMatchObject({ status: 422, body: { code: 'invalid_request' } })
    expect(JSON.stringify(unknown.body.errors)).toContain('isAdministrator')
    const large = JSON.stringify({ ...route.example, padding: 'x'.repeat(10 * 1024 * 1024) })
    expect(await ask(asBody(large))).toMatchObject({ status: 413, body: { code: 'payload_too_large' } })
  })

  it.each(named(withBody))('%s: fields of the wrong type, and it survives absurd ones', async (_, route) => {
    const path = fill(route.path)
    const token = await tokenFor(route)
    for (const [field, value] of Object.entries(route.example ?? {})) {
      const wrong = typeof value === 'string' ? [7, {}, ['a']] : ['text', {}, [1]]
      for (const put of wrong) {
        const { status, body } = await at.call(route.method, path, {
          token,
          ...asBody({ ...route.example, [field]: put }),
        })
        expect({ field, put, status, code: (body as Json).code }).toEqual({
          field,
          put,
          status: 422,
          code: 'invalid_request',
        })
        expect(((body as Json).errors as { path: string }[])[0]!.path.startsWith(field)).toBe(true)
      }
      // Raw text: JSON.stringify would not let these through as they are.
      const absurd = [
        '1e308',
        '-1e308',
        '1e-320',
        '99999999999999999999',
        '-0',
        '0.0000001',
        '"\\u0000"',
        '"\\ud800"',
        `"${'é'.repeat(5000)}"`,
        '""',
        'null',
      ]
      for (const put of absurd) {
        const rest = { ...route.example }
        delete rest[field]
        const members = [
          `${JSON.stringify(field)}:${put}`,
          ...Object.entries(rest).map(([key, member]) => `${JSON.stringify(key)}:${JSON.stringify(member)}`),
        ]
        const { status } = await at.call(route.method, path, { token, ...asBody(`{${members.join(',')}}`) })
        expect(status, `${field}: ${put.slice(0, 40)}`).toBeLessThan(500)
      }
    }
  })

  it.each(named(withPath))('%s: an id that is none, and one that names nothing', async (_, route) => {
    const token = await tokenFor(route)
    const asking = { token, ...(route.example === undefined ? {} : { json: route.example }) }
    for (const uid of ['7', 'null', "1'%20OR%20'1'='1", '%00', '%F0%9F%99%82', 'a'.repeat(3000)]) {
      const { status } = await at.call(route.method, fill(route.path, uid), asking)
      expect([400, 404, 422], uid).toContain(status)
    }
    expect((await at.call(route.method, fill(route.path), asking)).status).toBe(404)
  })

  it('another person, to whom nothing of the first exists', async () => {
    const { modelUid } = await at.model()
    const { chatUid } = (await person.post<{ chatUid: string }>('/api/chat/create', {})).body
    await person.post('/api/chat/message', { role: 'user', message: 'mine', chatUid, modelUid })
    const [row] = (await person.get<{ data: { uid: string }[] }>('/api/transaction/my')).body.data
    const other = await at.richPerson(5)
    const attempts = [
      other.get(`/api/chat/${chatUid}`),
      other.get(`/api/chat/${chatUid}/messages`),
      other.patch(`/api/chat/${chatUid}`, { title: 'taken' }),
      other.delete(`/api/chat/${chatUid}`),
      other.post('/api/chat/message', { role: 'user', message: 'hello', chatUid, modelUid }),
      other.post('/api/chat/message', { role: 'system', message: 'hello', chatUid }),
      other.get(`/api/transaction/info/${row!.uid}`),
    ]
    for (const attempt of attempts) expect((await attempt).status).toBe(404)
    expect((await person.get(`/api/chat/${chatUid}`)).status).toBe(200)
    const messages = await person.get<{ data: unknown[] }>(`/api/chat/${chatUid}/messages`)
    expect(messages.body.data).toHaveLength(2)
  })

  it('paths and methods that no route has, and bad pages, in the one shape', async () => {
    for (const [method, path] of [
      ['GET', '/api'],
      ['GET', '/api/nothing'],
      ['POST', '/api/chat/all'],
      ['PUT', '/api/auth/login'],
      ['GET', '/api/../etc/passwd'],
    ] as const)
      expect((await at.call(method, path, { token: person.token })).status, `${method} ${path}`).toBe(404)
    for (const list of ['/api/chat/all', '/api/transaction/my', '/api/model/all'])
      for (const query of [
        'limit=0',
        'limit=101',
        'limit=x',
        'limit=1e3',
        'cursor=abc',
        'cursor=%00',
        `cursor=${'a'.repeat(500)}`,
      ])
        expect(await person.get(`${list}?${query}`), query).toMatchObject({
          status: 422,
          body: { code: 'invalid_request' },
        })
    for (const search of ['%00', 'a%00b', '%F0%9F%99%82', '%25_%5C', 'x'.repeat(200)])
      expect((await person.get(`/api/chat/all?search=${search}`)).status, search).toBe(200)
  })
})
