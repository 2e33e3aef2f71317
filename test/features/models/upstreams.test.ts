import { randomBytes } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { sql } from 'drizzle-orm'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { newId } from '../../../src/core/id.ts'
import type { Database } from '../../../src/ports/postgres.ts'
import { type World, world } from '../../support/world.ts'
import { cannedUpstream, databaseOf, makeWith, someone } from './room.ts'

const MARKER = 'planted-marker-8c20aa'
let here: World
let db: Database
let admin: Awaited<ReturnType<typeof someone>>
const canned: { close(): Promise<void> }[] = []

beforeAll(async () => {
  here = await world()
  db = databaseOf(here)
  admin = await someone('ADMIN')
})

// The list is of every model that is registered, also those of other tests.
beforeEach(async () => {
  await db.execute(sql`UPDATE models SET deleted_at = now() WHERE deleted_at IS NULL`)
})

afterAll(async () => {
  await Promise.all(canned.map((one) => one.close()))
  expect(here.logs().join('\n')).not.toContain(MARKER)
})

const made = (more: Record<string, unknown>) => makeWith(admin.send, more)

async function upstreamOf(status: number, body: unknown, headers: Record<string, string> = {}) {
  const upstream = await cannedUpstream(status, body, headers)
  canned.push(upstream)
  return upstream
}

const ids = (...names: string[]) => ({ object: 'list', data: names.map((id) => ({ id, object: 'model' })) })
const types = () => admin.send('GET', '/api/model/types/all')
const tryOut = (uid: string, send = admin.send) => send('POST', `/api/model/test/${uid}`)

describe('GET /api/model/types/all', () => {
  test('names what each upstream offers, and the failing one beside the rest', async () => {
    const good = await upstreamOf(200, ids('alpha', 'beta'))
    const bad = await upstreamOf(401, (headers: { authorization?: string }) => ({
      error: { message: `Incorrect API key provided: ${headers.authorization}` },
    }))
    const a = await made({ api_link: good.url, auth_token: MARKER, name: 'a' })
    const b = await made({
      api_link: `${good.url}/chat/completions`,
      auth_token: MARKER,
      name: 'b',
      enabled: false,
    })
    const c = await made({ api_link: bad.url, auth_token: `${MARKER}-2`, name: 'c' })
    const d = await made({ api_link: 'http://127.0.0.1:1/v1', name: 'd' })
    const { status, body } = await types()
    expect(status).toBe(200)
    expect(body.data).toEqual([
      { api_link: `${good.url}/chat/completions`, types: ['alpha', 'beta'], models: expect.any(Array) },
    ])
    const [{ models }] = body.data as [{ models: unknown[] }]
    expect(new Set(models)).toEqual(
      new Set([
        { modelUid: a, name: 'a' },
        { modelUid: b, name: 'b' },
      ]),
    )
    expect(body.failed).toEqual(
      expect.arrayContaining([
        {
          api_link: bad.url,
          models: [{ modelUid: c, name: 'c' }],
          error: expect.stringMatching(/^status 401: Incorrect API key provided: .*\*\*\*/),
        },
        {
          api_link: 'http://127.0.0.1:1/v1',
          models: [{ modelUid: d, name: 'd' }],
          error: expect.stringMatching(/^unreachable: /),
        },
      ]),
    )
    expect(body.failed).toHaveLength(2)
    expect(good.seen).toEqual([{ path: '/v1/models', authorization: `Bearer ${MARKER}` }])
  })

  test('waits five seconds for one that is silent, and for no other', async () => {
    const silent = createServer(() => undefined)
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
    canned.push({
      close: () =>
        new Promise((resolve) => {
          silent.close(() => resolve())
          silent.closeAllConnections()
        }),
    })
    const good = await upstreamOf(200, ids('x'))
    await made({ api_link: good.url })
    await made({ api_link: `http://127.0.0.1:${(silent.address() as AddressInfo).port}/v1` })
    const start = Date.now()
    const { body } = await types()
    expect(Date.now() - start).toBeLessThan(40_000)
    expect(body).toMatchObject({
      data: [{ api_link: good.url, types: ['x'] }],
      failed: [{ error: expect.stringMatching(/^total_timeout: /) }],
    })
  })

  test('asks the same address once for each secret', async () => {
    const both = await upstreamOf(200, ids('x'))
    await made({ api_link: both.url, auth_token: `${MARKER}-1` })
    await made({ api_link: `${both.url}/`, auth_token: `${MARKER}-2` })
    await made({ api_link: both.url })
    expect((await types()).body.data).toHaveLength(3)
    expect(new Set(both.seen.map(({ authorization }) => authorization))).toEqual(
      new Set([`Bearer ${MARKER}-1`, `Bearer ${MARKER}-2`, undefined]),
    )
  })

  test('is kept for a while, until a model changes', async () => {
    const upstream = await upstreamOf(200, ids('x'))
    const uid = await made({ api_link: upstream.url })
    const first = await types()
    expect((await types()).body).toEqual(first.body)
    expect(upstream.seen).toHaveLength(1)
    await admin.send('PUT', '/api/model/update', { uid, name: `renamed-${uid}` })
    expect(JSON.stringify((await types()).body)).toContain(`renamed-${uid}`)
    expect(upstream.seen).toHaveLength(2)
    const kept = here.upstash.log
      .flatMap(({ commands }) => commands)
      .filter(([name]) => /^set$/i.test(name ?? ''))
    expect(
      kept
        .at(-1)
        ?.slice(3)
        .map((word) => word.toLowerCase()),
    ).toEqual(['ex', '60'])
  })

  test('just asks while Redis is away', async () => {
    const upstream = await upstreamOf(200, ids('x'))
    await made({ api_link: upstream.url })
    here.upstash.down = true
    try {
      expect((await types()).body.data).toHaveLength(1)
      expect((await types()).body.data).toHaveLength(1)
    } finally {
      here.upstash.reset()
    }
    expect(upstream.seen).toHaveLength(2)
  })

  test('asks nobody where the rule or the key no longer allows it', async () => {
    const upstream = await upstreamOf(200, ids('x'))
    await made({ api_link: upstream.url, auth_token: MARKER })
    const strict = await someone('ADMIN', await world({ PRIVATE_UPSTREAMS: 'off' }))
    const closed = (await strict.send('GET', '/api/model/types/all')).body
    expect(closed).toMatchObject({
      data: [],
      failed: [{ error: expect.stringContaining('api_link must lead') }],
    })
    // Another model, so that the answer above is not the one that was kept.
    await made({ api_link: upstream.url, auth_token: MARKER })
    const MODEL_SECRET_KEYS = `other:${randomBytes(32).toString('base64')}`
    const rekeyed = await someone('ADMIN', await world({ MODEL_SECRET_KEYS }))
    const lost = (await rekeyed.send('GET', '/api/model/types/all')).body
    expect(lost).toMatchObject({
      data: [],
      failed: [{ error: expect.stringContaining('auth_token does not open') }],
    })
    expect(upstream.seen).toHaveLength(0)
  })
})

describe('POST /api/model/test/{modelUid}', () => {
  test('says that a model answers, and bills nothing', async () => {
    const uid = await made({
      api_link: here.upstream.url,
      type: 'demo-instant',
      auth_token: MARKER,
      enabled: false,
    })
    const { status, body } = await tryOut(uid)
    expect(status).toBe(200)
    expect(body).toEqual({ ok: true, latencyMs: expect.any(Number) })
    const asked = here.upstream.requests.at(-1)!
    expect(asked.headers.authorization).toBe(`Bearer ${MARKER}`)
    expect(asked.body).toMatchObject({ model: 'demo-instant', max_tokens: 16 })
    const { rows } = await db.execute(
      sql`SELECT (SELECT count(*)::int FROM generations WHERE model_uid = ${uid}::uuid) AS held`,
    )
    expect(rows).toEqual([{ held: 0 }])
  })

  test('says why a model fails, without its secret', async () => {
    const bad = await upstreamOf(401, (headers: { authorization?: string }) => ({
      error: { message: `Incorrect API key provided: ${headers.authorization}` },
    }))
    const { status, body } = await tryOut(await made({ api_link: bad.url, auth_token: MARKER }))
    expect(status).toBe(200)
    expect(body).toMatchObject({ ok: false, error: expect.stringMatching(/^status 401: Incorrect API key/) })
    const gone = await tryOut(await made({ api_link: 'http://127.0.0.1:1/v1' }))
    expect(gone.body).toMatchObject({ ok: false, error: expect.stringMatching(/^unreachable/) })
  })

  test('remembers what the upstream teaches, as long as the link is the same', async () => {
    const seen: string[] = []
    const server = createServer(async (request, response) => {
      let text = ''
      for await (const part of request) text += part
      const asked = JSON.parse(text) as Record<string, unknown>
      seen.push(
        Object.keys(asked)
          .filter((name) => /^max_|stream_options/.test(name))
          .sort()
          .join(),
      )
      const param = asked.max_tokens ? 'max_tokens' : asked.stream_options ? 'stream_options' : undefined
      response.writeHead(param ? 400 : 200, { 'content-type': 'application/json' })
      response.end(
        JSON.stringify(
          param
            ? {
                error: { message: `Unsupported parameter: '${param}'`, param, code: 'unsupported_parameter' },
              }
            : { choices: [{ message: { role: 'assistant', content: 'pong' }, finish_reason: 'stop' }] },
        ),
      )
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    canned.push({ close: () => new Promise((resolve) => server.close(() => resolve())) })
    const uid = await made({ api_link: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1` })
    expect((await tryOut(uid)).body.ok).toBe(true)
    expect((await tryOut(uid)).body.ok).toBe(true)
    expect(seen.at(-1)).toBe('max_completion_tokens')
    expect(seen).toHaveLength(4)
    expect((await admin.send('GET', `/api/model/one/${uid}`)).body.limit_param).toBe('max_completion_tokens')
  })

  test('goes where the link leads and no further', async () => {
    const target = await upstreamOf(200, ids('x'))
    const redirecting = await upstreamOf(307, {}, { location: `${target.url}/models` })
    const uid = await made({ api_link: redirecting.url })
    expect((await tryOut(uid)).body).toMatchObject({ ok: false, error: expect.stringContaining('redirect') })
    expect((await types()).body).toMatchObject({ failed: [{ error: expect.stringContaining('redirect') }] })
    expect(target.seen).toHaveLength(0)
  })

  test('does not call where the rule no longer allows it; an unknown model is 404', async () => {
    const uid = await made({ api_link: here.upstream.url })
    const before = here.upstream.requests.length
    const strict = await someone('ADMIN', await world({ PRIVATE_UPSTREAMS: 'off' }))
    expect((await tryOut(uid, strict.send)).body).toMatchObject({
      ok: false,
      error: expect.stringContaining('api_link'),
    })
    expect(here.upstream.requests).toHaveLength(before)
    expect(await tryOut(newId())).toMatchObject({ status: 404, body: { code: 'model_not_found' } })
  })
})
