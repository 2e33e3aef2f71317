import { randomUUID } from 'node:crypto'
import { sql } from 'drizzle-orm'
import { describe, expect, test } from 'vitest'
import { digestOf, isKey } from '../../../src/features/keys/secret.ts'
import { atOnce, tally } from '../../support/races.ts'
import { db, type Key, keyOf, keysOf, type Made, type Problem, seen, w } from './room.ts'

const LATER = '2999-12-31T23:59:59.000Z'
const fields = ({ errors = [] }: Problem) => errors.map(({ path }) => path)

describe('a new key', () => {
  test('has no limits but those it is given', async () => {
    const person = await w.person()
    const [one, two] = [await w.model(), await w.model()]
    const plain = await keyOf(person, { name: '  Nightly\u0000 ' })
    expect(isKey(plain.key)).toBe(true)
    expect(await seen(person, plain.keyUid)).toEqual({
      uid: plain.keyUid,
      name: 'Nightly\uFFFD',
      hint: plain.key.slice(-4),
      ...{ budget: null, spent: 0, held: 0, remaining: null, models: null },
      ...{ expiresAt: null, lastUsedAt: null, revokedAt: null, status: 'ACTIVE' },
      createdAt: expect.stringMatching(/^\d{4}-.*Z$/),
    })
    const models = [two.modelUid, one.modelUid.toUpperCase(), two.modelUid]
    const bound = await keyOf(person, { models, budget: 999_999_999.999999, expiresAt: LATER })
    expect(await seen(person, bound.keyUid)).toMatchObject({
      models: [two.modelUid, one.modelUid],
      ...{ budget: 999_999_999.999999, remaining: 999_999_999.999999, expiresAt: LATER },
    })
  })

  test('tells its secret once, and neither tables nor output hold it', async () => {
    const person = await w.person()
    const { keyUid, key } = await keyOf(person)
    const digest = await digestOf(key)
    // `call` searches every answer from here on.
    w.secrets.add(digest)
    await keysOf(person)
    await person.patch(`/api/key/${keyUid}`, { name: 'Renamed' })
    await w.call('GET', '/api/key/all', { token: key })
    await person.post('/api/key/create', { name: 'x', key })
    const { rows } = await db.execute(sql`SELECT to_jsonb(keys)::text AS row FROM keys
      UNION ALL SELECT to_jsonb(idempotency)::text FROM idempotency`)
    const stored = JSON.stringify(rows)
    expect(stored).toContain(digest)
    expect(stored).not.toContain(key)
    const told = w.logs().join('\n')
    expect(told).toContain('/api/key/create')
    expect(told).not.toContain(key)
    expect(told).not.toContain(digest)
  })

  test('is made once under one Idempotency-Key, and a repeat goes without the secret', async () => {
    const person = await w.person()
    const { modelUid } = await w.model()
    const headers = { 'idempotency-key': randomUUID() }
    const json = { name: 'Once', models: [modelUid], expiresAt: LATER }
    const create = (body: unknown) => person.post<Made>('/api/key/create', body, headers)
    const answers = await atOnce(6, () => create(json))
    expect(tally(answers.map(({ status }) => status))).toEqual({ 201: 6 })
    expect(new Set(answers.map(({ body }) => body.keyUid)).size).toBe(1)
    expect(answers.filter(({ body }) => body.key !== undefined)).toHaveLength(1)
    expect((await create({ ...json, name: 'Twice' })).body).toMatchObject({ code: 'idempotency_mismatch' })
    // What the first one needed may be gone by now.
    const administrator = await w.administrator()
    await administrator.delete(`/api/model/delete/${modelUid}`)
    expect((await create(json)).body).toEqual({ keyUid: answers[0]!.body.keyUid })
    expect((await keysOf(person)).data).toHaveLength(1)
  })

  test('that was refused is not kept under the Idempotency-Key', async () => {
    const person = await w.person()
    const headers = { 'idempotency-key': randomUUID() }
    const json = { name: 'x', expiresAt: '2020-01-01T00:00:00Z' }
    for (let n = 0; n < 2; n++)
      expect((await person.post<Problem>('/api/key/create', json, headers)).body.code).toBe('invalid_request')
    expect((await person.post('/api/key/create', { name: 'x' }, headers)).status).toBe(201)
  })

  test('is one of a hundred that are not revoked, however many are asked for at once', async () => {
    const person = await w.person()
    await db.execute(sql`INSERT INTO keys (uid, user_uid, name, digest, hint, expires_at)
      SELECT gen_random_uuid(), ${person.uid}::uuid, 'k', gen_random_uuid()::text, 'abcd', now() FROM generate_series(1, 98)`)
    const answers = await atOnce(5, () => person.post<Made & Problem>('/api/key/create', { name: 'k' }))
    expect(tally(answers.map(({ status, body }) => `${status} ${body.code ?? ''}`))).toEqual({
      '201 ': 2,
      '409 too_many_keys': 3,
    })
    const made = answers.find(({ status }) => status === 201)!.body
    await person.delete(`/api/key/delete/${made.keyUid}`)
    expect((await person.post('/api/key/create', { name: 'k' })).status).toBe(201)
  })

  test('takes one round trip', async () => {
    const person = await w.person()
    const before = w.neon.counts.requests
    await keyOf(person)
    expect(w.neon.counts.requests - before).toBe(1)
  })

  test('asks models that are there', async () => {
    const person = await w.person()
    const [{ modelUid }, gone] = [await w.model(), await w.model()]
    await (await w.administrator()).delete(`/api/model/delete/${gone.modelUid}`)
    for (const unknown of [gone.modelUid, randomUUID()]) {
      const { status, body } = await person.post('/api/key/create', {
        name: 'x',
        models: [modelUid, unknown],
      })
      expect({ status, body }).toMatchObject({ status: 404, body: { code: 'model_not_found' } })
    }
    const { keyUid } = await keyOf(person, { models: [modelUid] })
    const change = { name: 'Other', models: [gone.modelUid] }
    expect((await person.patch(`/api/key/${keyUid}`, change)).body).toMatchObject({ code: 'model_not_found' })
    expect(await seen(person, keyUid)).toMatchObject({ name: 'A program', models: [modelUid] })
  })
})

const wrong: [string, unknown][] = [
  ['name', ''],
  ['name', '  '],
  ['name', 'x'.repeat(101)],
  ['name', null],
  ['expiresAt', '2020-01-01T00:00:00Z'],
  ['expiresAt', '2999-01-01'],
  ['expiresAt', '2999-01-01T00:00:00'],
  ['expiresAt', '2999-02-30T00:00:00Z'],
  ['expiresAt', '0000-01-01T00:00:00Z'],
  ['expiresAt', '9999-12-31T23:59:59-12:00'],
  ['expiresAt', 32503680000],
  ['budget', 0],
  ['budget', -1],
  ['budget', 0.0000001],
  ['budget', 1.2345678],
  ['budget', 1_000_000_000.000001],
  ['budget', '5'],
  ['models', []],
  ['models', ['gpt']],
  ['models', 'all'],
  ['models', Array.from({ length: 101 }, () => randomUUID())],
]

test('wrong fields are named, in a new key and in a change', async () => {
  const person = await w.person()
  const { keyUid } = await keyOf(person)
  const before = await seen(person, keyUid)
  for (const [field, value] of wrong) {
    const answers = [
      await person.post<Problem>('/api/key/create', { name: 'x', [field]: value }),
      await person.patch<Problem>(`/api/key/${keyUid}`, { [field]: value }),
    ]
    for (const { status, body } of answers) {
      const path = fields(body)[0]?.split('.')[0]
      expect({ value, status, path }).toEqual({ value, status: 422, path: field })
    }
  }
  for (const nothing of [{}, { digest: 'a'.repeat(64) }, { spent: 0 }, { revokedAt: null }])
    expect(await person.patch(`/api/key/${keyUid}`, nothing)).toMatchObject({ status: 422 })
  for (const limit of ['expiresAt', 'budget', 'models'])
    expect(
      fields((await person.post<Problem>('/api/key/create', { name: 'x', [limit]: null })).body),
    ).toEqual([limit])
  expect(await seen(person, keyUid)).toEqual(before)
})

describe('a change', () => {
  test('leaves what it does not name, and null takes a limit away', async () => {
    const person = await w.person()
    const { modelUid } = await w.model()
    const limits = { budget: 5, models: [modelUid], expiresAt: LATER }
    const { keyUid } = await keyOf(person, limits)
    const change = async (json: unknown) => (await person.patch<Key>(`/api/key/${keyUid}`, json)).body
    expect(await change({ name: 'Renamed' })).toMatchObject({ name: 'Renamed', ...limits })
    expect(await change({ budget: null })).toMatchObject({ ...limits, budget: null, remaining: null })
    expect(await change({ models: null })).toMatchObject({ models: null, expiresAt: LATER })
    expect(await change({ expiresAt: '2998-01-01T01:00:00+01:00' })).toMatchObject({
      expiresAt: '2998-01-01T00:00:00.000Z',
    })
    expect(await change({ expiresAt: null, budget: 0.000001 })).toEqual(await seen(person, keyUid))
    expect(await seen(person, keyUid)).toMatchObject({ name: 'Renamed', expiresAt: null, budget: 0.000001 })
  })

  test('may set a budget below what is spent and held', async () => {
    const person = await w.person()
    const { keyUid } = await keyOf(person, { budget: 10 })
    const money = (spent: number, held: number) =>
      db.execute(sql`UPDATE keys SET spent = ${spent}, held = ${held} WHERE uid = ${keyUid}::uuid`)
    await money(4_000_001, 500_000)
    expect(await seen(person, keyUid)).toMatchObject({ spent: 4.000001, held: 0.5, remaining: 5.499999 })
    const { status, body } = await person.patch(`/api/key/${keyUid}`, { budget: 2 })
    expect({ status, body }).toMatchObject({
      status: 200,
      body: { budget: 2, spent: 4.000001, remaining: 0 },
    })
    await money(0, 0)
  })

  test('revives a key that has expired', async () => {
    const person = await w.person()
    const { keyUid } = await keyOf(person, { expiresAt: LATER })
    await db.execute(
      sql`UPDATE keys SET expires_at = now() - interval '1 second' WHERE uid = ${keyUid}::uuid`,
    )
    expect(await seen(person, keyUid)).toMatchObject({ status: 'EXPIRED' })
    expect((await person.patch<Key>(`/api/key/${keyUid}`, { expiresAt: LATER })).body.status).toBe('ACTIVE')
  })
})

test('a revoked key stays in the list and can neither be changed nor revoked again', async () => {
  const person = await w.person()
  const { keyUid } = await keyOf(person)
  const revoke = () => person.delete(`/api/key/delete/${keyUid}`)
  expect(await revoke()).toMatchObject({ status: 200, body: { keyUid } })
  const revoked = await seen(person, keyUid)
  expect(revoked).toMatchObject({ status: 'REVOKED', revokedAt: expect.stringMatching(/Z$/) })
  expect(await revoke()).toMatchObject({ status: 404, body: { code: 'key_not_found' } })
  const change = await person.patch(`/api/key/${keyUid}`, { name: 'Back', expiresAt: null })
  expect(change).toMatchObject({ status: 404, body: { code: 'key_not_found' } })
  expect(await seen(person, keyUid)).toEqual(revoked)
})

test('pages run through all of them once, newest first', async () => {
  const person = await w.person()
  const uids: string[] = []
  for (let n = 0; n < 5; n++) uids.unshift((await keyOf(person)).keyUid)
  const found: string[] = []
  let cursor: string | null = ''
  while (cursor !== null) {
    const { data, nextCursor } = await keysOf(person, `?limit=2${cursor && `&cursor=${cursor}`}`)
    found.push(...data.map(({ uid }) => uid))
    cursor = nextCursor
  }
  expect(found).toEqual(uids)
  for (const query of ['limit=0', 'limit=101', 'cursor=rubbish'])
    expect((await person.get(`/api/key/all?${query}`)).status).toBe(422)
})

test("another person's key is not there", async () => {
  const [owner, other, administrator] = [await w.person(), await w.person(), await w.administrator()]
  const { keyUid } = await keyOf(owner)
  const before = await seen(owner, keyUid)
  for (const stranger of [other, administrator]) {
    const answers = [
      await stranger.patch(`/api/key/${keyUid}`, { name: 'Mine' }),
      await stranger.delete(`/api/key/delete/${keyUid}`),
    ]
    for (const answer of answers)
      expect(answer).toMatchObject({ status: 404, body: { code: 'key_not_found' } })
    expect((await keysOf(stranger)).data).toEqual([])
  }
  expect(await seen(owner, keyUid)).toEqual(before)
})
