// What a repeat under one Idempotency-Key is told, and what is kept for it.
import { sql } from 'drizzle-orm'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { eventsOf } from '../../support/events.ts'
import type { Turn } from '../../support/turns.ts'
import { makeRoom, type Room } from '../inference/room.ts'

let room: Room
beforeAll(async () => {
  room = await makeRoom()
})
afterAll(() => room.close())

describe('a repeat', () => {
  it.each<[string, Turn, number]>([
    ['that was busy', { status: 429, retryAfter: 37 }, 503],
    ['that was busy and did not say for how long', { status: 429 }, 503],
    ['that refused', { status: 401 }, 502],
    ['that broke', { status: 500 }, 502],
    ['that hung up', 'drop', 502],
  ])('tells the same of an upstream %s, as JSON and as events', async (_, turn, status) => {
    const { upstream, modelUid } = await room.modelOf(turn)
    const json = { role: 'user', message: 'Are you there?', chatUid: await room.chatOf(), modelUid }
    const send = () => room.person.post<any>('/api/chat/message', json, { 'Idempotency-Key': modelUid })
    const first = await send()
    expect(first.status).toBe(status)
    const asked = upstream.asked.length
    const again = await send()
    const { requestId: _1, ...told } = first.body
    const { requestId: _2, ...toldAgain } = again.body
    expect(again.status).toBe(status)
    expect(toldAgain).toEqual(told)
    expect(again.headers.get('retry-after')).toBe(first.headers.get('retry-after'))

    const stream = await fetch(`${room.at.url}/api/chat/message`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${room.person.token}`,
        ...{ 'content-type': 'application/json', 'idempotency-key': modelUid, accept: 'text/event-stream' },
      },
      body: JSON.stringify(json),
    })
    const { event, data } = (await Array.fromAsync(eventsOf(stream))).at(-1)!
    expect({ event, code: data.code, detail: data.detail }).toEqual({
      event: 'message_error',
      code: told.code,
      detail: told.detail,
    })
    expect(upstream.asked).toHaveLength(asked)
  })

  it('of an instruction is answered with it, and leaves none of its text behind a deleted chat', async () => {
    const chatUid = await room.chatOf()
    const secret = `Speak like ${crypto.randomUUID()}.`
    const send = () =>
      room.person.post<any>(
        '/api/chat/message',
        { role: 'system', message: secret, chatUid },
        { 'Idempotency-Key': chatUid },
      )
    const first = await send()
    expect(first).toMatchObject({ status: 201, body: { message: { message: secret, role: 'system' } } })
    expect(await send()).toMatchObject({ status: 201, body: first.body })
    expect(await room.messagesOf(chatUid)).toHaveLength(1)

    expect((await room.person.delete(`/api/chat/${chatUid}`)).status).toBe(200)
    const { rows } = await room.db.execute(sql`SELECT to_json(i)::text AS kept FROM idempotency i
      WHERE user_uid = ${room.person.uid}::uuid AND key = ${chatUid}`)
    expect(rows).toHaveLength(1)
    expect(JSON.stringify(rows)).not.toContain(secret)
    // It was stored, so a repeat does not store it again; of its text nothing is left to tell.
    const late = await send()
    expect(late).toMatchObject({
      status: 201,
      body: { message: { uid: first.body.message.uid, message: '' } },
    })
  })
})
