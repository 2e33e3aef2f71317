import { request } from 'node:http'
import { connect } from 'node:net'
import { describe, expect, it } from 'vitest'
import { eventsOf } from '../../support/events.ts'
import { type Person, world } from '../../support/world.ts'

describe('a client that leaves', () => {
  const profile = async (person: Person) => (await person.get('/api/user/profile')).body as any

  it('has its answer finished and booked, or stopped when the time is up', async () => {
    const short = await world({ CLIENT_GONE_S: '1' })
    const person = await short.richPerson(100)
    const { modelUid } = await short.model({ type: 'demo-instant', token_cost: 1000 })
    const over = async (chatUid: string, timeout: number) => {
      const answer = async () => ((await person.get(`/api/chat/${chatUid}/messages`)).body as any).data[0]
      await expect.poll(async () => (await answer()).status, { timeout }).not.toBe('STREAMING')
      return answer()
    }
    const gone = async (message: string, url = short.url) => {
      const { chatUid } = (await person.post('/api/chat/create', {})).body as { chatUid: string }
      const abort = new AbortController()
      const response = await fetch(`${url}/api/chat/message?stream=true`, {
        method: 'POST',
        signal: abort.signal,
        headers: { authorization: `Bearer ${person.token}`, 'content-type': 'application/json' },
        body: JSON.stringify({ role: 'user', message, chatUid, modelUid }),
      })
      const events = eventsOf(response)
      for await (const { event } of events) if (event === 'message_delta') break
      abort.abort()
      return over(chatUid, 60_000)
    }
    const alone = async () => {
      const { chatUid } = (await person.post('/api/chat/create', {})).body as { chatUid: string }
      const body = JSON.stringify({
        role: 'user',
        message: '[[tokens=3000]] [[delay=20]] alone',
        chatUid,
        modelUid,
      })
      const { hostname, port } = new URL(short.url)
      const socket = connect(Number(port), hostname)
      socket.write(
        `POST /api/chat/message HTTP/1.1\r\nHost: ${hostname}\r\nAuthorization: Bearer ${person.token}\r\n` +
          `Content-Type: application/json\r\nAccept-Encoding: gzip\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
      )
      await new Promise((begun) => socket.once('data', begun))
      socket.end()
      socket.destroy()
      return over(chatUid, 60_000)
    }
    // Who waits for one JSON answer and leaves quietly is noticed, too.
    const [finished, cut, quiet] = await Promise.all([
      // The time of this one is never up.
      gone('[[tokens=20]] [[delay=20]] go on', (await world()).url),
      gone('[[tokens=3000]] [[delay=20]] go on and on'),
      alone(),
    ])
    expect(finished).toMatchObject({ status: 'COMPLETED' })
    for (const stopped of [cut, quiet])
      expect(stopped).toMatchObject({ status: 'STOPPED', finishReason: 'client_gone' })
    for (const { message, creditSpent } of [finished, cut, quiet]) {
      expect(message).not.toBe('')
      expect(creditSpent).toBeGreaterThan(0)
    }
    const { balance, available } = await profile(person)
    expect(available).toBe(balance)
    const upstreamOf = (words: string) =>
      short.upstream.requests.findLast(({ body }) => JSON.stringify(body).includes(words))
    for (const words of ['go on and on', 'alone']) expect(upstreamOf(words)?.clientGone).toBe(true)
  }, 150_000)

  it('has paid nothing when it left before the first token, and its silent upstream is let go', async () => {
    const short = await world({ CLIENT_GONE_S: '1' })
    const person = await short.richPerson(100)
    const { modelUid } = await short.model({ type: 'demo-instant', token_cost: 1000 })
    const { chatUid } = (await person.post<{ chatUid: string }>('/api/chat/create', {})).body
    // No word comes for a minute; the connection of a plain JSON send is reset meanwhile.
    const message = '[[fault:slow-first-token=60000]] nobody waits'
    const client = request(`${short.url}/api/chat/message`, {
      method: 'POST',
      headers: { authorization: `Bearer ${person.token}`, 'content-type': 'application/json' },
    })
    client.on('error', () => {})
    client.end(JSON.stringify({ role: 'user', message, chatUid, modelUid }))
    const asked = () =>
      short.upstream.requests.find(({ body }) => JSON.stringify(body).includes('nobody waits'))
    await expect.poll(asked).toBeDefined()
    client.socket?.resetAndDestroy()
    const answer = async () => ((await person.get(`/api/chat/${chatUid}/messages`)).body as any).data[0]
    await expect.poll(async () => (await answer()).status).toBe('STOPPED')
    expect(await answer()).toMatchObject({ finishReason: 'client_gone', message: '', creditSpent: 0 })
    await expect.poll(() => asked()?.clientGone).toBe(true)
    expect(await profile(person)).toMatchObject({ balance: 100, available: 100 })
  })
})
