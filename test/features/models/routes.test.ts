import { sql } from 'drizzle-orm'
import { beforeAll, describe, expect, test } from 'vitest'
import type { Database } from '../../../src/ports/postgres.ts'
import { type World, world } from '../../support/world.ts'
import { databaseOf, draft, makeWith, type Send, sender, someone, wrongFields } from './room.ts'

const MARKER = 'planted-marker-4f1d9c'
type Someone = Awaited<ReturnType<typeof someone>>
let here: World
let db: Database
let admin: Someone
let user: Someone
let nobody: Send

beforeAll(async () => {
  here = await world()
  db = databaseOf(here)
  nobody = sender(here)
  ;[admin, user] = await Promise.all([someone('ADMIN'), someone('USER')])
})

const made = (more?: Record<string, unknown>) => makeWith(admin.send, more)
const one = (send: Send, uid: string) => send('GET', `/api/model/one/${uid}`)

describe('POST /api/model/create', () => {
  test('registers with defaults', async () => {
    const uid = await made({ name: 'plain/model:free' })
    const { body } = await one(admin.send, uid)
    expect(body).toEqual({
      uid,
      name: 'plain/model:free',
      description: 'A model.',
      type: 'plain/model:free',
      token_cost: 1000,
      input_price: null,
      output_price: null,
      cached_input_price: null,
      context_tokens: 16_384,
      max_output_tokens: null,
      enabled: true,
      createdAt: expect.stringMatching(/^\d{4}-.*Z$/),
      api_link: 'https://api.example.com/v1',
      hasAuthToken: false,
      limit_param: 'max_tokens',
      cooldownUntil: null,
      updatedAt: expect.stringMatching(/^\d{4}-.*Z$/),
    })
  })

  test('keeps every number exactly', async () => {
    const numbers = {
      token_cost: 0.000001,
      input_price: 0.15,
      output_price: 1_000_000,
      cached_input_price: 0.000001,
      context_tokens: 100_000_000,
      max_output_tokens: 99_999_999,
    }
    expect((await one(admin.send, await made(numbers))).body).toMatchObject(numbers)
    expect((await one(admin.send, await made({ token_cost: 1e9 }))).body.token_cost).toBe(1e9)
    expect((await one(admin.send, await made({ token_cost: 123_456_789.123456 }))).body.token_cost).toBe(
      123_456_789.123456,
    )
  })

  test.each([
    ['token_cost', { token_cost: 0 }],
    ['token_cost', { token_cost: -1 }],
    ['token_cost', { token_cost: 0.0000001 }],
    ['token_cost', { token_cost: 1.2345678 }],
    ['token_cost', { token_cost: 1e9 + 1 }],
    ['token_cost', { token_cost: '1000' }],
    ['token_cost', { token_cost: null }],
    ['input_price', { input_price: -1, output_price: 1 }],
    ['input_price', { input_price: 0, output_price: 1 }],
    ['input_price', { input_price: 1e300, output_price: 1 }],
    ['output_price', { input_price: 1, output_price: 1_000_001 }],
    ['output_price', { input_price: 1 }],
    ['output_price', { output_price: 1 }],
    ['cached_input_price', { cached_input_price: 1 }],
    ['context_tokens', { context_tokens: 0 }],
    ['context_tokens', { context_tokens: 1.5 }],
    ['context_tokens', { context_tokens: 1e12 }],
    ['max_output_tokens', { max_output_tokens: 16_384 }],
    ['max_output_tokens', { context_tokens: 100, max_output_tokens: 100 }],
    ['max_output_tokens', { max_output_tokens: -5 }],
    ['limit_param', { limit_param: 'messages' }],
    ['limit_param', { limit_param: '__proto__' }],
    ['name', { name: '' }],
    ['name', { name: '   ' }],
    ['name', { name: 'a\nb' }],
    ['name', { name: 'a\u2028b' }],
    ['name', { name: 'x'.repeat(129) }],
    ['name', { name: '..' }],
    ['name', { name: 'a/../b' }],
    ['name', { name: '/a' }],
    ['auth_token', { auth_token: `${MARKER}\r\nX-Evil: 1` }],
    ['auth_token', { auth_token: `${MARKER} two` }],
    ['auth_token', { auth_token: `${MARKER}é` }],
    ['auth_token', { auth_token: '' }],
    ['auth_token', { auth_token: MARKER.padEnd(4097, 'x') }],
    ['api_link', { api_link: 'http://api.example.com/v1' }],
    ['api_link', { api_link: `https://${MARKER}:x@api.example.com/v1` }],
    ['api_link', { api_link: 'http://169.254.169.254/v1' }],
    ['api_link', { api_link: 'nonsense' }],
    ['', { unknown_field: 1 }],
  ])('refuses a wrong %s', async (path, wrong) => {
    const answer = await admin.send('POST', '/api/model/create', draft(wrong))
    expect(answer).toMatchObject({ status: 422, body: { code: 'invalid_request' } })
    expect(wrongFields(answer)).toContain(path)
  })

  test('without PRIVATE_UPSTREAMS refuses what is not public', async () => {
    const strict = await someone('ADMIN', await world({ PRIVATE_UPSTREAMS: 'off' }))
    for (const api_link of ['http://127.0.0.1:1234/v1', 'https://10.0.0.1/v1', 'https://ollama/v1'])
      expect(wrongFields(await strict.send('POST', '/api/model/create', draft({ api_link })))).toEqual([
        'api_link',
      ])
    const uid = (await strict.send('POST', '/api/model/create', draft())).body.modelUid
    expect(
      wrongFields(await strict.send('PUT', '/api/model/update', { uid, api_link: 'https://10.0.0.1/v1' })),
    ).toEqual(['api_link'])
  })

  test('a name is given once, however many ask at once', async () => {
    const name = 'wanted-by-many'
    const answers = await Promise.all(
      Array.from({ length: 8 }, () => admin.send('POST', '/api/model/create', draft({ name }))),
    )
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(1)
    const refused = answers.filter(({ status }) => status !== 201)
    expect(refused.map(({ body }) => body.code)).toEqual(Array(7).fill('model_name_taken'))
  })

  test('an Idempotency-Key makes one model of many tries', async () => {
    const body = draft({ auth_token: MARKER })
    const send = (what: unknown = body) =>
      admin.send('POST', '/api/model/create', what, { 'idempotency-key': 'create-1' })
    const answers = await Promise.all(Array.from({ length: 5 }, () => send()))
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([201]))
    expect(new Set(answers.map((answer) => answer.body.modelUid)).size).toBe(1)
    expect(await send({ ...body, token_cost: 2000 })).toMatchObject({
      status: 422,
      body: { code: 'idempotency_mismatch' },
    })
    const other = await someone('ADMIN')
    expect(
      await other.send('POST', '/api/model/create', body, { 'idempotency-key': 'create-1' }),
    ).toMatchObject({ status: 409, body: { code: 'model_name_taken' } })
  })

  test('a refused name is not kept under the key', async () => {
    const wish = draft()
    const first = await made({ name: wish.name })
    const send = () => admin.send('POST', '/api/model/create', wish, { 'idempotency-key': 'create-2' })
    expect((await send()).status).toBe(409)
    await admin.send('DELETE', `/api/model/delete/${first}`)
    expect((await send()).status).toBe(201)
  })
})

describe('who sees what', () => {
  const hidden = ['api_link', 'hasAuthToken', 'limit_param', 'cooldownUntil', 'updatedAt']

  test('people see a model without where it is called', async () => {
    const uid = await made({ auth_token: MARKER, api_link: 'https://secret-host.example.com/v1' })
    const { status, body } = await one(user.send, uid)
    expect(status).toBe(200)
    expect(body).toMatchObject({ uid, token_cost: 1000, enabled: true })
    for (const field of hidden) expect(body).not.toHaveProperty(field)
    expect((await one(admin.send, uid)).body).toMatchObject({ hasAuthToken: true })
    const list = await user.send('GET', '/api/model/all?limit=100')
    expect(JSON.stringify(list.body)).not.toContain('secret-host')
    expect(JSON.stringify(list.body)).toContain(uid)
  })

  test('a disabled model is there for administrators only', async () => {
    const uid = await made({ enabled: false })
    expect(await one(user.send, uid)).toMatchObject({ status: 404, body: { code: 'model_not_found' } })
    expect((await one(admin.send, uid)).body.enabled).toBe(false)
    const seenBy = async ({ send }: { send: Send }) =>
      JSON.stringify((await send('GET', '/api/model/all?limit=100')).body).includes(uid)
    expect([await seenBy(user), await seenBy(admin)]).toEqual([false, true])
  })

  test("the role is the database's, not the token's", async () => {
    const former = await someone('ADMIN')
    const uid = await made({ enabled: false })
    await db.execute(sql`UPDATE users SET role = 'USER' WHERE uid = ${former.uid}::uuid`)
    expect((await one(former.send, uid)).status).toBe(404)
    const list = await former.send('GET', '/api/model/all?limit=100')
    expect(JSON.stringify(list.body)).not.toContain('api_link')
    expect((await former.send('POST', '/api/model/create', draft())).body.code).toBe('forbidden')
  })

  test('only administrators write, ask or test', async () => {
    const uid = await made()
    const calls: [string, string, unknown?][] = [
      ['POST', '/api/model/create', draft()],
      ['PUT', '/api/model/update', { uid, name: 'mine' }],
      ['DELETE', `/api/model/delete/${uid}`],
      ['GET', '/api/model/types/all'],
      ['POST', `/api/model/test/${uid}`],
    ]
    for (const [method, path, body] of calls) {
      expect(await user.send(method, path, body)).toMatchObject({ status: 403, body: { code: 'forbidden' } })
      expect(await nobody(method, path, body)).toMatchObject({ status: 401 })
    }
    expect((await nobody('GET', '/api/model/all')).status).toBe(401)
    expect((await one(nobody, uid)).status).toBe(401)
  })

  test('pages run through all of them once, newest first, in one round trip each', async () => {
    const uids: string[] = []
    for (let n = 0; n < 5; n++) uids.unshift(await made())
    const found: string[] = []
    let cursor = ''
    here.neon.reset()
    for (let n = 0; n < 3; n++) {
      const { body } = await admin.send('GET', `/api/model/all?limit=2${cursor && `&cursor=${cursor}`}`)
      found.push(...(body.data as { uid: string }[]).map((model) => model.uid))
      cursor = body.nextCursor as string
    }
    expect(here.neon.counts.requests).toBe(3)
    expect(found.slice(0, 5)).toEqual(uids)
    expect(new Set(found).size).toBe(6)
    expect((await admin.send('GET', '/api/model/all?cursor=rubbish')).status).toBe(422)
  })
})

test('a secret stands nowhere but sealed in its row', async () => {
  // `call` has searched every answer for it.
  const uid = await made({ auth_token: MARKER })
  expect(here.secrets).toContain(MARKER)
  const { rows } = await db.execute(
    sql`SELECT auth_token_sealed AS sealed FROM models WHERE uid = ${uid}::uuid`,
  )
  const sealed = rows[0]?.sealed as string
  expect(sealed).toMatch(/^[\w-]+\.[\w-]{16}\.[\w-]+$/)
  const { rows: kept } = await db.execute(sql`SELECT to_jsonb(models)::text AS all FROM models
    UNION ALL SELECT to_jsonb(idempotency)::text FROM idempotency`)
  expect(JSON.stringify(kept)).not.toContain(MARKER)
  const told = here.logs().join('\n')
  expect(told).toContain('/api/model/create')
  expect(told).not.toContain(MARKER)
  expect(told).not.toContain(sealed.split('.')[2])
})
