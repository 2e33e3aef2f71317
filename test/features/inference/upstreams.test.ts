// Upstreams that fail: when one is asked again, and what that costs.
import { request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Turn } from '../../support/turns.ts'
import { world } from '../../support/world.ts'
import { makeRoom, type Room } from './room.ts'

let room: Room
beforeAll(async () => {
  room = await makeRoom()
})
afterAll(() => room.close())

describe('asking again', () => {
  it('waits as long as it is told and asks again: one answer, one hold, one charge', async () => {
    const { upstream, modelUid } = await room.modelOf({ status: 429, retryAfter: 1 }, 'answer')
    const before = await room.account()
    room.at.neon.reset()
    const { status, body } = await room.ask(modelUid)
    expect(status).toBe(200)
    expect(body.assistantMessage).toMatchObject({ status: 'COMPLETED', message: 'Well.' })
    expect(upstream.asked).toHaveLength(2)
    expect(upstream.asked[1]! - upstream.asked[0]!).toBeGreaterThanOrEqual(995)
    const rows = await room.generations(modelUid)
    expect(rows).toMatchObject([{ status: 'COMPLETED', failure_code: null, charges: 1 }])
    const after = await room.account()
    expect(after).toMatchObject({ balance: body.newBalance, available: body.newBalance })
    expect(Math.round((before.balance - after.balance) * 1e6)).toBe(rows[0].cost)
    expect(await room.restOf(modelUid)).toEqual({ failures: 0, seconds: null })
  })

  it.concurrent.for<[string, Turn]>([
    ['a connection that dies', 'drop'],
    ['502', { status: 502 }],
    ['503', { status: 503 }],
    ['504', { status: 504 }],
  ])('asks twice more after %s', async ([, turn], { expect }) => {
    const { upstream, modelUid } = await room.modelOf(turn, turn, 'answer')
    expect(await room.ask(modelUid)).toMatchObject({
      status: 200,
      body: { assistantMessage: { message: 'Well.' } },
    })
    expect(upstream.asked).toHaveLength(3)
    expect(await room.generations(modelUid)).toMatchObject([{ status: 'COMPLETED', charges: 1 }])
  })

  it('gives up after the third, charges nothing and keeps the reason', async () => {
    const { upstream, modelUid } = await room.modelOf({ status: 503 })
    const before = await room.account()
    const chatUid = await room.chatOf()
    const { status, body } = await room.sendTo(modelUid, chatUid)
    expect({ status, code: body.code }).toEqual({ status: 502, code: 'upstream_failed' })
    expect(upstream.asked).toHaveLength(3)
    expect(await room.messagesOf(chatUid)).toMatchObject([
      { status: 'FAILED', creditSpent: 0 },
      { role: 'user' },
    ])
    expect(await room.generations(modelUid)).toEqual([
      {
        status: 'FAILED',
        failure_code: 'upstream_failed',
        failure_detail: 'status 503: as told: 503 (asked 3 times)',
        cost: 0,
        hold: expect.any(Number),
        charges: 0,
      },
    ])
    expect(await room.account()).toMatchObject({ balance: before.balance, available: before.balance })
  })

  it.concurrent.for<[string, Turn, number]>([
    ['400', { status: 400 }, 502],
    ['401', { status: 401 }, 502],
    ['403', { status: 403 }, 502],
    ['404', { status: 404 }, 502],
    ['422', { status: 422 }, 502],
    ['500, which may have worked', { status: 500 }, 502],
    ['a 429 that names no time', { status: 429 }, 503],
    ['a wait that is too long', { status: 503, retryAfter: 6 }, 502],
    ['a token', 'cut', 200],
  ])('does not ask again after %s', async ([, turn, expected], { expect }) => {
    const { upstream, modelUid } = await room.modelOf(turn, 'answer')
    const { status, body } = await room.ask(modelUid)
    expect(status).toBe(expected)
    expect(upstream.asked).toHaveLength(1)
    const [row] = await room.generations(modelUid)
    expect(row).toMatchObject({ status: 'FAILED', charges: turn === 'cut' ? 1 : 0 })
    if (turn === 'cut')
      expect(body.assistantMessage).toMatchObject({ message: 'Well.', finishReason: 'upstream_incomplete' })
  })

  it('stops waiting when it is asked to stop, and asks nobody again', async () => {
    const { upstream, modelUid } = await room.modelOf({ status: 429, retryAfter: 5 })
    const chatUid = await room.chatOf()
    const reply = room.sendTo(modelUid, chatUid)
    await expect.poll(() => upstream.asked.length).toBe(1)
    const [{ uid: messageUid }] = await room.messagesOf(chatUid)
    expect((await room.person.post('/api/chat/stop', { messageUid })).status).toBe(202)
    const { status, body } = await reply
    expect(status).toBe(200)
    expect(body).toMatchObject({ assistantMessage: { status: 'STOPPED', finishReason: 'stopped' }, cost: 0 })
    await sleep(500)
    expect(upstream.asked).toHaveLength(1)
    expect(await room.generations(modelUid)).toMatchObject([{ status: 'STOPPED', charges: 0 }])
  })

  it.concurrent.for([
    ['goes on for a client that has left', '20', 2, 'COMPLETED', null],
    ['gives up when it has been away too long', '1', 1, 'STOPPED', 'client_gone'],
  ] as const)('%s', async ([, CLIENT_GONE_S, times, status, reason], { expect }) => {
    const here = await world({ CLIENT_GONE_S })
    const { upstream, modelUid } = await room.modelOf({ status: 429, retryAfter: 5 }, 'answer')
    const chatUid = await room.chatOf()
    // A reset, which is noticed at once; a clean end shows at the next write only.
    const client = request(`${here.url}/api/chat/message`, {
      method: 'POST',
      headers: { authorization: `Bearer ${room.person.token}`, 'content-type': 'application/json' },
    })
    client.on('error', () => {})
    client.end(JSON.stringify({ role: 'user', message: 'Are you there?', chatUid, modelUid }))
    await expect.poll(() => upstream.asked.length).toBe(1)
    client.socket?.resetAndDestroy()
    await expect
      .poll(async () => (await room.generations(modelUid))[0]?.status, { timeout: 30_000 })
      .toBe(status)
    expect(upstream.asked).toHaveLength(times)
    const [answer] = await room.messagesOf(chatUid)
    if (reason) expect(answer).toMatchObject({ finishReason: reason, creditSpent: 0 })
    expect((await room.generations(modelUid))[0].charges).toBe(reason ? 0 : 1)
  })

  it('has FIRST_TOKEN_MS for all of it', async () => {
    const hurried = await world({ FIRST_TOKEN_MS: '9500' })
    const { upstream, modelUid } = await room.modelOf({ status: 429, retryAfter: 5 })
    const { upstream: busy, modelUid: quick } = await room.modelOf({ status: 429, retryAfter: 1 })
    const someone = await hurried.richPerson(10)
    const chat = () => room.chatOf(someone)
    const replies = [room.sendTo(modelUid, await chat(), someone), room.sendTo(quick, await chat(), someone)]
    for (const reply of await Promise.all(replies))
      expect(reply).toMatchObject({ status: 503, body: { code: 'upstream_rate_limited' } })
    // 5 s and 5 s more are too much, 1 s and 1 s more are not.
    expect(upstream.asked).toHaveLength(2)
    expect(busy.asked).toHaveLength(3)
  })
})

it('says why a model could not even be called', async () => {
  const { upstream, modelUid } = await room.modelOf('answer')
  const strict = await world({ PRIVATE_UPSTREAMS: 'off' })
  const chatUid = await room.chatOf()
  const json = { role: 'user', message: 'Are you there?', chatUid, modelUid }
  const asking = { token: room.person.token, json }
  expect((await strict.call('POST', '/api/chat/message', asking)).status).toBe(502)
  expect(upstream.asked).toHaveLength(0)
  expect(await room.generations(modelUid)).toMatchObject([
    { failure_code: 'upstream_failed', failure_detail: expect.stringMatching(/^not_called: api_link must/) },
  ])
  expect(await room.restOf(modelUid)).toEqual({ failures: 0, seconds: null })
})
