import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { beforeAll, describe, expect, it } from 'vitest'
import { watch } from '../../support/eventsource.ts'
import { Watcher } from '../../support/watcher.ts'
import { type Person, type World, world } from '../../support/world.ts'

const FEEDS = ['/api/feed', '/api/chat/sse', '/api/transaction/balance-sse'] as const

describe('feeds', () => {
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

  it('tell a whole story in order: the chat, the question, the answer, the money', async () => {
    const person = await at.richPerson(10)
    const feed = watch(`${at.url}/api/feed`, bearer(person))
    await feed.until('snapshot')
    expect(feed.seen[0]!.data).toMatchObject({ chats: [], running: [], balance: 10, available: 10 })
    const chatUid = await chatOf(person)
    await feed.until('new_chat')
    const { body } = await send(person, chatUid, '[[say:Every credit is counted once.]]')
    await feed.until('new_transaction')
    feed.source.close()
    const story = feed.seen.map(({ event }) => event).filter((event) => event !== 'message_delta')
    expect(story).toEqual([
      'snapshot',
      'new_chat',
      'new_message',
      'message_start',
      'balance',
      'chat_updated',
      'message_end',
      'chat_updated',
      'new_transaction',
    ])
    const [held] = feed.of('balance')
    expect(held!.data.balance).toBe(10)
    expect(held!.data.available).toBeLessThan(10)
    const [end] = feed.of('message_end')
    expect(end!.data).toEqual({
      message: body.assistantMessage,
      usage: body.usage,
      cost: body.cost,
      newBalance: body.newBalance,
    })
    const [paid] = feed.of('new_transaction')
    expect(paid!.data).toMatchObject({
      amount: -body.cost,
      newBalance: body.newBalance,
      available: body.newBalance,
    })
    expect(paid!.data.seq).toBeGreaterThan(held!.data.seq)
    expect(
      feed
        .of('message_delta')
        .map(({ data }) => data.text)
        .join(''),
    ).toBe(body.assistantMessage.message)
    const ids = feed.seen.map(({ id }) => Number(id.split('~')[0]!.split('-')[1]))
    expect(ids).toEqual(ids.map((_, index) => ids[0]! + index))
  })

  it('show each what is theirs: a chat its own, the balance only money, a person nothing of another', async () => {
    const [ada, bob] = await Promise.all([at.richPerson(50), at.richPerson(50)])
    const chats = await Promise.all([ada, ada, bob].map(chatOf))
    const feeds = {
      first: watch(`${at.url}/api/chat/sse/${chats[0]}`, bearer(ada)),
      balance: watch(`${at.url}/api/transaction/balance-sse`, bearer(ada)),
      all: watch(`${at.url}/api/chat/sse`, bearer(ada)),
      bob: watch(`${at.url}/api/feed`, bearer(bob)),
    }
    await Promise.all(Object.values(feeds).map((feed) => feed.until('snapshot')))
    await Promise.all(
      Array.from({ length: 4 }, async (_, turn) => {
        await sleep(turn * 50)
        await Promise.allSettled([
          send(ada, chats[0]!, 'to the first'),
          send(ada, chats[1]!, 'to the second'),
          send(bob, chats[2]!, 'bob speaks'),
        ])
      }),
    )
    await feeds.all.until('message_end', 2)
    await feeds.bob.until('message_end')
    await feeds.balance.until('new_transaction', 2)
    await sleep(300)
    for (const feed of Object.values(feeds)) feed.source.close()
    const text = (feed: { seen: unknown }) => JSON.stringify(feed.seen)
    expect(text(feeds.first)).not.toContain(chats[1])
    expect(
      feeds.balance.seen.every(({ event }) => ['snapshot', 'balance', 'new_transaction'].includes(event)),
    ).toBe(true)
    expect(feeds.balance.of('new_transaction').length).toBeGreaterThanOrEqual(2)
    expect(text(feeds.all)).not.toContain('new_transaction')
    for (const secret of [ada.uid, chats[0]!, chats[1]!]) expect(text(feeds.bob)).not.toContain(secret)
    for (const feed of [feeds.first, feeds.all, feeds.balance]) {
      expect(text(feed)).not.toContain(chats[2])
      expect(text(feed)).not.toContain('bob speaks')
    }
  })

  it('open with 200 whatever happens, and refuse only whoever may not look', async () => {
    const shaky = await world({ CLIENT_GONE_S: '19' })
    const person = await shaky.richPerson(5)
    const other = await shaky.person()
    const { chatUid } = (await person.post<{ chatUid: string }>('/api/chat/create', {})).body
    for (const path of [...FEEDS, `/api/chat/sse/${chatUid}`]) {
      expect((await shaky.call('GET', path)).status).toBe(401)
      expect((await shaky.call('GET', path, { token: 'abc' })).status).toBe(401)
      expect((await shaky.call('GET', `${path}?ticket=${'a'.repeat(43)}`)).status).toBe(401)
    }
    expect((await other.get(`/api/chat/sse/${chatUid}`)).status).toBe(404)

    shaky.upstash.down = true
    for (const path of [...FEEDS, `/api/chat/sse/${chatUid}`]) {
      const away = await person.get<string>(path)
      expect(away.status).toBe(200)
      expect(away.headers.get('content-type')).toMatch(/^text\/event-stream/)
      expect(away.body).toContain('retry: 5000')
    }
    const { modelUid: any } = await shaky.model({ type: 'demo-instant', token_cost: 1000 })
    const paid = await person.post<any>('/api/chat/message', {
      role: 'user',
      message: 'Redis is away',
      chatUid,
      modelUid: any,
    })
    expect(paid.status).toBe(200)
    shaky.upstash.down = false

    shaky.neon.fault = () => 'before'
    for (const [method, path, json] of [
      ['GET', '/api/user/profile'],
      ['GET', '/api/feed'],
      ['POST', '/api/chat/create', {}],
    ] as const) {
      const away = await shaky.call(method, path, { token: person.token, json })
      expect(away).toMatchObject({ status: 503, body: { code: 'unavailable' } })
      expect(Number(away.headers.get('retry-after'))).toBeGreaterThan(0)
    }
    shaky.neon.fault = undefined
    expect((await person.get<any>('/api/chat/all')).body.data).toHaveLength(1)
  })

  it('open by ticket, again and again, and for nothing else', async () => {
    const person = await at.richPerson(5)
    const { status, body } = await person.post<{ ticket: string; expiresIn: number }>('/api/auth/ticket')
    expect({ status, expiresIn: body.expiresIn }).toEqual({ status: 201, expiresIn: 30 })
    for (let opening = 0; opening < 2; opening++) {
      const feed = watch(`${at.url}/api/transaction/balance-sse?ticket=${body.ticket}`, {})
      await feed.until('snapshot')
      feed.source.close()
    }
    expect((await at.call('GET', `/api/user/profile?ticket=${body.ticket}`)).status).toBe(401)
    expect((await at.call('GET', '/api/user/profile', { token: body.ticket })).status).toBe(401)
    await at.call('POST', '/api/auth/logout', { token: person.token, json: {} })
    expect((await at.call('GET', `/api/transaction/balance-sse?ticket=${body.ticket}`)).status).toBe(401)
  })

  it('end at once for whoever is blocked', async () => {
    const person = await at.richPerson(5)
    const administrator = await at.administrator()
    const watcher = new Watcher(`${at.url}/api/feed`, bearer(person))
    watcher.open(undefined)
    await expect.poll(() => watcher.snapshots).toBe(1)
    expect((await administrator.patch(`/api/user/${person.uid}`, { status: 'BLOCKED' })).status).toBe(200)
    // It comes back as a client would, and is told why not.
    await expect.poll(() => watcher.fault, { timeout: 30_000 }).toMatch(/40[13]/)
    await watcher.drop()
  })

  // What takes long because it waits: at once.

  it.concurrent('cost Redis little: a flush is one command, an opening at most three, an idle feed none', async ({
    expect,
  }) => {
    const begun = async (quiet: World) => {
      const person = await quiet.richPerson(1_000)
      const { modelUid: slow } = await quiet.model({ type: 'demo-instant', token_cost: 1000 })
      const chatUid = await chatOf(person)
      /** @returns the seconds that the answer took */
      const answer = async () => {
        const started = Date.now()
        const message = '[[tokens=500]] [[delay=40]] counted'
        const send = { role: 'user', message, chatUid, modelUid: slow }
        const { body } = await person.post<any>('/api/chat/message', send)
        expect(body.assistantMessage.status).toBe('COMPLETED')
        return (Date.now() - started) / 1000
      }
      await sleep(300)
      quiet.upstash.reset()
      return { person, answer }
    }
    // Nobody watches: a flush every 1.8 s, the question, and the end.
    const unwatched = async (quiet: World) => {
      const { answer } = await begun(quiet)
      const seconds = await answer()
      await sleep(200)
      expect(quiet.upstash.counts.commands).toBeLessThanOrEqual(6 + seconds / 1.8)
    }
    // Somebody does: ten a second at first, then four.
    const watched = async (quiet: World) => {
      const { person, answer } = await begun(quiet)
      const feeds = FEEDS.map((path) => watch(quiet.url + path, bearer(person)))
      await Promise.all(feeds.map((feed) => feed.until('snapshot')))
      const { commands, subscriptions } = quiet.upstash.counts
      expect(commands + subscriptions).toBeLessThanOrEqual(3 * FEEDS.length)

      quiet.upstash.reset()
      await sleep(2_000)
      expect(quiet.upstash.counts.commands).toBe(0)
      // Pieces come while a flush is on its way; they wait for the next one.
      quiet.upstash.latencyMs = 20

      const seconds = await answer()
      await feeds[0]!.until('message_end')
      await sleep(200)
      expect(quiet.upstash.counts.commands).toBeLessThanOrEqual(20 + 4 * seconds)
      quiet.upstash.latencyMs = 0
      for (const feed of feeds) feed.source.close()
      await expect.poll(() => quiet.upstash.counts.subscriptions, { timeout: 30_000 }).toBe(0)
    }
    await Promise.all([
      unwatched(await world({ CLIENT_GONE_S: '20' })),
      watched(await world({ CLIENT_GONE_S: '16' })),
    ])
  }, 120_000)

  it.concurrent('learn of every end, also when Redis was away at that moment', async ({ expect }) => {
    const shaky = await world({ CLIENT_GONE_S: '18' })
    const person = await shaky.richPerson(5)
    const { chatUid } = (await person.post<{ chatUid: string }>('/api/chat/create', {})).body
    const { modelUid: any } = await shaky.model({ type: 'demo-instant', token_cost: 1000 })
    const watcher = new Watcher(`${shaky.url}/api/chat/sse/${chatUid}`, bearer(person))
    watcher.open(undefined)
    await expect.poll(() => watcher.snapshots).toBe(1)
    shaky.upstash.down = true
    const { body } = await person.post<any>('/api/chat/message', {
      role: 'user',
      message: 'Who hears the end?',
      chatUid,
      modelUid: any,
    })
    await sleep(9_000) // longer than the worker tries
    shaky.upstash.down = false
    await expect.poll(() => watcher.snapshots, { timeout: 30_000 }).toBeGreaterThanOrEqual(1)
    await sleep(13_000) // a row counts as left behind after 20 s
    await shaky.worker.scheduled()
    const { uid, message } = body.assistantMessage
    await expect.poll(() => watcher.messages.get(uid)?.text, { timeout: 30_000 }).toBe(message)
    expect(watcher.messages.get(uid)?.status).toBe('COMPLETED')
    await watcher.drop()
    expect(watcher.fault).toBeUndefined()
  }, 90_000)

  it.concurrent('resume for curl exactly where it was cut', async ({ expect }) => {
    const person = await at.richPerson(50)
    const chatUid = await chatOf(person)
    const url = `${at.url}/api/chat/sse/${chatUid}`
    /** What curl shows. */
    const curl = (id?: string) => {
      const resumed = id ? ['-H', `Last-Event-ID: ${id}`] : []
      const words = ['-sN', '-H', `Authorization: ${bearer(person).authorization}`, ...resumed, url]
      const child = spawn('curl', words, { stdio: ['ignore', 'pipe', 'ignore'] })
      let shown = ''
      child.stdout.setEncoding('utf8').on('data', (text: string) => (shown += text))
      return {
        until: (words: string) =>
          expect.poll(() => shown.includes(`event: ${words}\n`), { timeout: 30_000 }).toBe(true),
        /** Whole events only: what was cut within one is nothing to an EventSource. */
        async cut() {
          child.kill()
          await once(child, 'close')
          return shown.slice(0, shown.lastIndexOf('\n\n') + 2)
        },
      }
    }
    const whole = curl()
    const first = curl()
    await Promise.all([whole, first].map((each) => each.until('snapshot')))
    const sent = send(person, chatUid, '[[tokens=60]] [[delay=50]] for two curls')
    await first.until('message_delta')
    const cut = await first.cut()
    const id = cut
      .match(/^id: .*$/gm)!
      .at(-1)!
      .slice(4)
    const second = curl(id)
    await Promise.all([whole, second].map((each) => each.until('message_end')))
    const [all, rest] = await Promise.all([whole.cut(), second.cut()])
    const { body } = await sent
    const textOf = (stream: string) =>
      (stream.match(/^event: message_delta\ndata: .*$/gm) ?? [])
        .map((event) => JSON.parse(event.split('\ndata: ')[1]!).text)
        .join('')
    expect(textOf(cut)).not.toBe('')
    expect(rest).not.toContain('event: snapshot')
    expect(textOf(cut) + textOf(rest)).toBe(body.assistantMessage.message)
    expect(textOf(all)).toBe(body.assistantMessage.message)
  }, 60_000)
})
