// When a model rests, who notices, and what ends it.
import { sql } from 'drizzle-orm'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { makeRoom, type Room } from './room.ts'

let room: Room
beforeAll(async () => {
  room = await makeRoom()
})
afterAll(() => room.close())

describe('a model that rests', () => {
  it('is not asked while it is rate limited; then it is, and other models always', async () => {
    const { upstream, modelUid } = await room.modelOf({ status: 429, retryAfter: 30 }, 'answer')
    const first = await room.ask(modelUid)
    expect(first).toMatchObject({ status: 503, body: { code: 'upstream_rate_limited' } })
    expect(first.headers.get('retry-after')).toBe('30')
    const chatUid = await room.chatOf()
    const before = await room.account()
    const key = { 'Idempotency-Key': 'once' }
    const json = { role: 'user', message: 'And now?', chatUid, modelUid }
    const refused = await room.person.post<any>('/api/chat/message', json, key)
    expect(refused).toMatchObject({ status: 503, body: { code: 'model_cooling_down' } })
    const seconds = Number(refused.headers.get('retry-after'))
    expect(seconds).toBeGreaterThan(20)
    expect(seconds).toBeLessThanOrEqual(30)
    expect(upstream.asked).toHaveLength(1)
    expect(await room.messagesOf(chatUid)).toEqual([])
    expect(await room.account()).toMatchObject({ balance: before.balance, available: before.balance })

    const { modelUid: other } = await room.at.model({ api_link: upstream.link })
    expect((await room.ask(other)).status).toBe(200)
    await room.endRest(modelUid)
    // A refusal is not kept under its key.
    expect((await room.person.post<any>('/api/chat/message', json, key)).status).toBe(200)
    expect((await room.restOf(modelUid)).failures).toBe(0)
  })

  it.each([
    [undefined, 10],
    [0, 1],
    [3_600, 60],
  ])('rests after a 429 with Retry-After %s for %s seconds', async (retryAfter, expected) => {
    const { modelUid } = await room.modelOf(
      retryAfter === undefined ? { status: 429 } : { status: 429, retryAfter },
    )
    const { modelUid: steady } = await room.modelOf('answer')
    expect((await room.ask(modelUid)).status).toBe(503)
    const { seconds } = await room.restOf(modelUid)
    expect(seconds).toBeGreaterThan(expected - 5)
    expect(seconds).toBeLessThanOrEqual(expected)
    expect((await room.ask(steady)).status).toBe(200)
  })

  it('rests after three failures in a row, twice as long after each further one, 5 minutes at most', async () => {
    const { upstream, modelUid } = await room.modelOf({ status: 500 })
    for (const failures of [1, 2]) {
      expect((await room.ask(modelUid)).status).toBe(502)
      expect(await room.restOf(modelUid)).toEqual({ failures, seconds: null })
    }
    for (const rest of [15, 30, 60, 120, 240, 300, 300]) {
      expect((await room.ask(modelUid)).status).toBe(502)
      const { seconds } = await room.restOf(modelUid)
      expect(seconds).toBeGreaterThan(rest - 5)
      expect(seconds).toBeLessThanOrEqual(rest)
      expect(await room.ask(modelUid)).toMatchObject({ status: 503, body: { code: 'model_cooling_down' } })
      await room.endRest(modelUid)
    }
    expect(upstream.asked).toHaveLength(9)
    upstream.play('answer')
    expect((await room.ask(modelUid)).status).toBe(200)
    expect(await room.restOf(modelUid)).toEqual({ failures: 0, seconds: null })
  })

  it('begins to count anew after an answer, and does not count what is not the upstream’s fault', async () => {
    const { upstream, modelUid } = await room.modelOf({ status: 500 }, { status: 500 }, 'cut', {
      status: 500,
    })
    for (const failures of [1, 2, 0, 1]) {
      await room.ask(modelUid)
      expect(await room.restOf(modelUid)).toEqual({ failures, seconds: null })
    }
    for (const status of [400, 401, 403, 404]) {
      upstream.play({ status })
      await room.ask(modelUid)
      expect(await room.restOf(modelUid)).toEqual({ failures: 1, seconds: null })
    }
  })

  it('rests once for all that fail together, and what began before its rest ends nothing', async () => {
    const { upstream, modelUid } = await room.modelOf({ status: 500, afterMs: 1_000 })
    const chats = await Promise.all(Array.from({ length: 12 }, () => room.chatOf()))
    const replies = await Promise.all(chats.map((chatUid) => room.sendTo(modelUid, chatUid)))
    expect(replies.every(({ status }) => status >= 502)).toBe(true)
    const { failures, seconds } = await room.restOf(modelUid)
    expect(failures).toBe(3)
    expect(seconds).toBeLessThanOrEqual(15)

    const together = upstream.asked.length
    expect(together).toBeGreaterThan(3)
    upstream.play({ status: 429, retryAfter: 4 }, 'answer')
    await room.endRest(modelUid)
    const late = room.ask(modelUid)
    await expect.poll(() => upstream.asked.length).toBeGreaterThan(together)
    await room.db.execute(sql`UPDATE models SET cooldown_until = clock_timestamp() + interval '1 minute'
      WHERE uid = ${modelUid}::uuid`)
    expect((await late).status).toBe(200)
    expect(await room.restOf(modelUid)).toMatchObject({ failures: 3, seconds: expect.any(Number) })
  })

  it('blocks nobody while many fail on it and an administrator changes and deletes it', async () => {
    const { upstream, modelUid } = await room.modelOf({ status: 500 })
    const people = await Promise.all(Array.from({ length: 15 }, () => room.at.richPerson(10)))
    const administrator = await room.at.administrator()
    let over = false
    const changing = async () => {
      while (!over) {
        const put = { uid: modelUid, description: `at ${Date.now()}` }
        expect((await administrator.put('/api/model/update', put)).status).toBe(200)
      }
      expect((await administrator.delete(`/api/model/delete/${modelUid}`)).status).toBe(200)
    }
    const sending = people.map(async (someone) => {
      const chatUid = await room.chatOf(someone)
      for (let round = 0; round < 5; round++) {
        const { body } = await room.sendTo(modelUid, chatUid, someone)
        expect(['upstream_failed', 'model_cooling_down']).toContain(body.code)
        await room.endRest(modelUid)
      }
      expect((await someone.get<any>('/api/user/profile')).body).toMatchObject({ balance: 10, available: 10 })
    })
    const changes = changing()
    await Promise.all(sending).finally(() => {
      over = true
    })
    await changes
    const rows = await room.generations(modelUid)
    expect(rows).toHaveLength(upstream.asked.length)
    expect(rows.every(({ status }) => status === 'FAILED')).toBe(true)
    expect(room.at.logs().filter((line) => line.includes('settle_failed'))).toEqual([])
  })

  it('counts once, also when the answer of the settle is lost', async () => {
    const { modelUid } = await room.modelOf({ status: 500 })
    let lost = 0
    room.at.neon.fault = ({ statements }) => {
      const isSettle = statements.some((text) => text.includes('settled_at = clock_timestamp()'))
      return isSettle && lost++ === 0 ? 'after' : undefined
    }
    try {
      expect((await room.ask(modelUid)).status).toBe(502)
    } finally {
      room.at.neon.reset()
    }
    expect(lost).toBe(2)
    expect((await room.restOf(modelUid)).failures).toBe(1)
  })

  it('wakes when an administrator’s test succeeds, and no sooner', async () => {
    const { upstream, modelUid } = await room.modelOf({ status: 429, retryAfter: 60 })
    const administrator = await room.at.administrator()
    await room.ask(modelUid)
    const one = async () => (await administrator.get<any>(`/api/model/one/${modelUid}`)).body
    expect(Date.parse((await one()).cooldownUntil)).toBeGreaterThan(Date.now())
    const { token } = administrator
    const test = () => room.at.call<any>('POST', `/api/model/test/${modelUid}`, { token })
    expect((await test()).body.ok).toBe(false)
    expect((await room.ask(modelUid)).body.code).toBe('model_cooling_down')
    upstream.play('answer')
    expect((await test()).body.ok).toBe(true)
    expect((await one()).cooldownUntil).toBe(null)
    expect((await room.ask(modelUid)).status).toBe(200)
  })

  it('writes nothing on the row of a model that goes well', async () => {
    const { modelUid } = await room.modelOf('answer')
    const version = async () =>
      (await room.db.execute(sql`SELECT xmin::text, ctid::text FROM models WHERE uid = ${modelUid}::uuid`))
        .rows[0]
    const before = await version()
    for (let i = 0; i < 3; i++) expect((await room.ask(modelUid)).status).toBe(200)
    expect(await version()).toEqual(before)
  })
})
