import { sql } from 'drizzle-orm'
import { beforeAll, describe, expect, test } from 'vitest'
import { newId } from '../../../src/core/id.ts'
import type { Database } from '../../../src/ports/postgres.ts'
import { world } from '../../support/world.ts'
import { databaseOf, makeWith, someone, wrongFields } from './room.ts'

const MARKER = 'planted-marker-77e0b3'
let db: Database
let admin: Awaited<ReturnType<typeof someone>>

beforeAll(async () => {
  db = databaseOf(await world())
  admin = await someone('ADMIN')
})

const made = (more?: Record<string, unknown>) => makeWith(admin.send, more)
const one = (uid: string) => admin.send('GET', `/api/model/one/${uid}`)
const update = (body: Record<string, unknown>) => admin.send('PUT', '/api/model/update', body)

describe('PUT /api/model/update', () => {
  test('changes what is named, leaves the rest, and answers the model', async () => {
    const uid = await made({ auth_token: MARKER, input_price: 1, output_price: 2, max_output_tokens: 100 })
    const before = (await one(uid)).body
    const { status, body } = await update({ uid, description: 'Changed.', token_cost: 7.5, enabled: false })
    expect(status).toBe(200)
    expect(body).toEqual({
      ...before,
      description: 'Changed.',
      token_cost: 7.5,
      enabled: false,
      updatedAt: body.updatedAt,
    })
    expect((body.updatedAt as string) > (before.updatedAt as string)).toBe(true)
  })

  test('takes back what GET gave', async () => {
    const uid = await made({ input_price: 1, output_price: 2, cached_input_price: 0.5, auth_token: MARKER })
    const { body } = await one(uid)
    const back = await update(body)
    expect(back.status, JSON.stringify(back.body)).toBe(200)
    expect({ ...back.body, updatedAt: '' }).toEqual({ ...body, updatedAt: '' })
  })

  test('null takes away: prices, the limit, the secret', async () => {
    const uid = await made({ input_price: 1, output_price: 2, max_output_tokens: 100, auth_token: MARKER })
    const { body } = await update({
      uid,
      input_price: null,
      output_price: null,
      max_output_tokens: null,
      auth_token: null,
    })
    expect(body).toMatchObject({
      input_price: null,
      output_price: null,
      max_output_tokens: null,
      hasAuthToken: false,
    })
    expect((await update({ uid, auth_token: MARKER })).body.hasAuthToken).toBe(true)
    expect((await update({ uid, name: `renamed-${uid}` })).body.hasAuthToken).toBe(true)
  })

  test('holds the merged model to the rules between fields', async () => {
    const uid = await made({
      input_price: 1,
      output_price: 2,
      cached_input_price: 0.5,
      max_output_tokens: 100,
    })
    const wrong: [string, Record<string, unknown>][] = [
      ['output_price', { output_price: null }],
      ['output_price', { input_price: null, cached_input_price: null }],
      ['cached_input_price', { input_price: null, output_price: null }],
      ['max_output_tokens', { context_tokens: 100 }],
      ['max_output_tokens', { max_output_tokens: 20_000 }],
    ]
    const before = (await one(uid)).body
    for (const [path, patch] of wrong) {
      const answer = await update({ uid, ...patch, description: 'must not stay' })
      expect(answer).toMatchObject({ status: 422, body: { code: 'invalid_request' } })
      expect(wrongFields(answer)).toContain(path)
    }
    expect((await one(uid)).body).toEqual(before)
    expect((await update({ uid, context_tokens: 30_000, max_output_tokens: 20_000 })).status).toBe(200)
  })

  test('no two updates at once leave what neither would have been allowed', async () => {
    for (let round = 0; round < 5; round++) {
      const uid = await made({ context_tokens: 1000, max_output_tokens: 10 })
      await Promise.all([update({ uid, context_tokens: 100 }), update({ uid, max_output_tokens: 500 })])
      const { body } = await one(uid)
      expect(body.max_output_tokens as number).toBeLessThan(body.context_tokens as number)
    }
  })

  test('another link forgets what was learned from the old one', async () => {
    const uid = await made()
    const learn = () =>
      db.execute(sql`UPDATE models SET limit_param = 'max_completion_tokens', stream_options = false,
        cooldown_until = now() + interval '1 hour' WHERE uid = ${uid}::uuid`)
    const learned = async () =>
      (
        await db.execute(sql`SELECT limit_param, stream_options, cooldown_until IS NOT NULL AS cools
        FROM models WHERE uid = ${uid}::uuid`)
      ).rows[0]
    const kept = { limit_param: 'max_completion_tokens', stream_options: false, cools: true }
    await learn()
    await update({ uid, token_cost: 5 })
    expect(await learned()).toEqual(kept)
    await update({ uid, api_link: 'https://api.example.com/v1' })
    expect(await learned()).toEqual(kept)
    await update({ uid, api_link: 'https://other.example.com/v1' })
    expect(await learned()).toEqual({ limit_param: 'max_tokens', stream_options: true, cools: false })
    await learn()
    await update({ uid, api_link: 'https://third.example.com/v1', limit_param: 'max_new_tokens' })
    expect(await learned()).toEqual({ limit_param: 'max_new_tokens', stream_options: true, cools: false })
  })

  test('refuses a name in use, an unknown model, an unknown field', async () => {
    const [mine, other] = [await made({ name: 'routes-mine' }), await made({ name: 'routes-other' })]
    expect((await update({ uid: mine, name: 'routes-other' })).body.code).toBe('model_name_taken')
    expect((await update({ uid: other, name: 'routes-other' })).status).toBe(200)
    expect(await update({ uid: newId(), name: 'x' })).toMatchObject({
      status: 404,
      body: { code: 'model_not_found' },
    })
    expect((await update({ uid: mine, stream_options: false })).status).toBe(422)
    expect((await update({ name: 'x' })).status).toBe(422)
  })
})

describe('DELETE /api/model/delete/{modelUid}', () => {
  test('hides the model, frees the name, forgets the secret and keeps the row', async () => {
    const name = 'to-be-deleted'
    const uid = await made({ name, auth_token: MARKER })
    const path = `/api/model/delete/${uid}`
    expect(await admin.send('DELETE', path)).toEqual({ status: 200, body: { modelUid: uid } })
    expect((await admin.send('DELETE', path)).body.code).toBe('model_not_found')
    expect((await one(uid)).status).toBe(404)
    expect((await update({ uid, name: 'back' })).status).toBe(404)
    expect((await admin.send('POST', `/api/model/test/${uid}`)).status).toBe(404)
    const { rows } = await db.execute(
      sql`SELECT name, auth_token_sealed FROM models WHERE uid = ${uid}::uuid`,
    )
    expect(rows).toEqual([{ name, auth_token_sealed: null }])
    expect(await made({ name })).not.toBe(uid)
  })

  test('a malformed id is refused before anything is asked', async () => {
    expect((await admin.send('DELETE', '/api/model/delete/1')).status).toBe(422)
  })
})
