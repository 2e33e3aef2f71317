import { setTimeout as sleep } from 'node:timers/promises'
import { beforeAll, describe, expect, it } from 'vitest'
import { watch } from '../../support/eventsource.ts'
import { Watcher } from '../../support/watcher.ts'
import { type Person, type World, world } from '../../support/world.ts'

describe('opening a feed', () => {
  let at: World
  let modelUid: string
  beforeAll(async () => {
    at = await world()
    modelUid = (await at.model({ type: 'demo-instant', token_cost: 1000 })).modelUid
  })
  const bearer = (person: Person) => ({ authorization: `Bearer ${person.token}` })
  const chatOf = async (person: Person) =>
    (await person.post<{ chatUid: string }>('/api/chat/create', {})).body.chatUid
  const send = (person: Person, chatUid: string, message: string) =>
    person.post<any>('/api/chat/message', { role: 'user', message, chatUid, modelUid })

  it('works also where a snapshot is large and an id is long or strange', async () => {
    const person = await at.richPerson(5)
    const chatUid = await chatOf(person)
    // More than a reader may be behind, and all of it free: instructions.
    for (let index = 0; index < 10; index++)
      await person.post('/api/chat/message', { role: 'system', message: 'large '.repeat(80_000), chatUid })
    const feed = watch(`${at.url}/api/chat/sse/${chatUid}`, bearer(person))
    await feed.until('snapshot')
    feed.source.close()
    expect(feed.of('snapshot')[0]!.data.messages).toHaveLength(10)
    for (const id of [
      'x'.repeat(3_000),
      '0',
      '-',
      '%F0%9F%99%82',
      `${'a'.repeat(32)}-1~${'m'.repeat(1_500)}`,
    ]) {
      const abort = new AbortController()
      const response = await fetch(`${at.url}/api/transaction/balance-sse?lastEventId=${id}`, {
        headers: bearer(person),
        signal: abort.signal,
      })
      expect(response.status).toBe(200)
      expect(response.headers.get('cache-control')).toBe('no-cache, no-transform')
      let text = ''
      for await (const part of response.body!.pipeThrough(new TextDecoderStream())) {
        text += part
        if (text.includes('event: snapshot')) break
      }
      abort.abort()
    }
  })

  it('tells nothing any more of a chat that was deleted', async () => {
    const person = await at.richPerson(5)
    const chatUid = await chatOf(person)
    const feed = watch(`${at.url}/api/feed`, bearer(person))
    await feed.until('snapshot')
    const before = feed.seen[0]!.id
    await send(person, chatUid, '[[say:a secret that shall go]]')
    await feed.until('message_end')
    expect((await person.delete(`/api/chat/${chatUid}`)).status).toBe(200)
    await feed.until('chat_deleted')
    feed.source.close()
    const dropped = ({ commands }: (typeof at.upstash.log)[number]) =>
      commands.some(([name, ...keys]) => name?.toUpperCase() === 'DEL' && keys.join().includes(person.uid))
    await expect.poll(() => at.upstash.log.some(dropped)).toBe(true)
    await sleep(300)
    const enough = new AbortController()
    const response = await fetch(`${at.url}/api/feed`, {
      headers: { ...bearer(person), 'last-event-id': before },
      signal: enough.signal,
    })
    let text = ''
    try {
      for await (const part of response.body!.pipeThrough(new TextDecoderStream())) {
        text += part
        if (text.includes('event: snapshot')) setTimeout(() => enough.abort(), 500)
      }
    } catch {}
    expect(text).toContain('event: snapshot')
    expect(text).not.toContain('a secret that shall go')
  })

  it('tells nothing of an answer in a chat that is gone, although the log has not heard of it', async () => {
    const elsewhere = await world({ CLIENT_GONE_S: '19' })
    const person = await at.richPerson(100)
    const chatUid = await chatOf(person)
    const reply = send(person, chatUid, '[[tokens=2000]] [[delay=20]] soon gone')
    const feed = watch(`${at.url}/api/feed`, bearer(person))
    await feed.until('message_delta')
    feed.source.close()
    elsewhere.upstash.down = true
    const { status } = await elsewhere.call('DELETE', `/api/chat/${chatUid}`, { token: person.token })
    expect(status).toBe(200)
    const watcher = new Watcher(`${at.url}/api/feed`, bearer(person))
    watcher.open(undefined)
    await expect.poll(() => watcher.snapshots).toBe(1)
    // The worker hears of it when it renews its lease.
    expect((await reply).body.assistantMessage.status).toBe('STOPPED')
    await sleep(300)
    await watcher.drop()
    elsewhere.upstash.down = false
    expect([watcher.fault, watcher.messages.size]).toEqual([undefined, 0])
  })
})
