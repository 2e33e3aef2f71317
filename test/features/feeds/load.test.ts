import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startScripted } from '../../support/scripted.ts'
import { Watcher } from '../../support/watcher.ts'
import { type World, world } from '../../support/world.ts'

const FEEDS = 500

describe('many readers, and slow ones', () => {
  let at: World
  let upstream: Awaited<ReturnType<typeof startScripted>>
  let modelUid: string
  let idle: ReturnType<typeof idleMinute>
  beforeAll(async () => {
    idle = idleMinute()
    // Who asks for it sees why it failed.
    idle.catch(() => {})
    at = await world({ CLIENT_GONE_S: '17' })
    upstream = await startScripted()
    modelUid = (
      await at.model({
        api_link: upstream.link,
        max_output_tokens: 5_000_000,
        context_tokens: 50_000_000,
        token_cost: 1_000_000,
      })
    ).modelUid
  })
  afterAll(() => upstream?.close())

  /** On a Worker of its own, so that nobody else is counted: the minute passes while the others are tested. */
  async function idleMinute() {
    const quiet = await world({ CLIENT_GONE_S: '16' })
    const { chatUid, headers } = await begin(quiet)
    const paths = ['/api/feed', '/api/chat/sse', `/api/chat/sse/${chatUid}`, '/api/transaction/balance-sse']
    const watchers = Array.from(
      { length: 100 },
      (_, index) => new Watcher(quiet.url + paths[index % 4], headers),
    )
    for (const watcher of watchers) watcher.open(undefined)
    while (watchers.some(({ snapshots }) => snapshots === 0)) await sleep(50)
    await sleep(1_000)
    quiet.upstash.reset()
    await sleep(60_000)
    const counts = { ...quiet.upstash.counts }
    await Promise.all(watchers.map((watcher) => watcher.drop()))
    return { quiet, counts, faults: watchers.filter(({ fault }) => fault !== undefined) }
  }

  const begin = async (where = at) => {
    const person = await where.richPerson(10_000)
    const { chatUid } = (await person.post<{ chatUid: string }>('/api/chat/create', {})).body
    return { person, chatUid, headers: { authorization: `Bearer ${person.token}` } }
  }
  const ask = (
    { person, chatUid }: Awaited<ReturnType<typeof begin>>,
    script: { pieces: string[]; times?: number; pauseMs: number },
  ) => {
    const message = JSON.stringify({ reasoning: [], together: 1, ...script })
    return person.post<any>('/api/chat/message', { role: 'user', message, chatUid, modelUid })
  }

  it(`${FEEDS} feeds each get every event of an answer, and leave nothing behind`, async () => {
    const chat = await begin()
    const { chatUid, headers } = chat
    const watchers = Array.from(
      { length: FEEDS },
      () => new Watcher(`${at.url}/api/chat/sse/${chatUid}`, headers),
    )
    for (const watcher of watchers) watcher.open(undefined)
    await expect
      .poll(() => watchers.filter(({ snapshots }) => snapshots > 0).length, { timeout: 60_000 })
      .toBe(FEEDS)
    expect(at.upstash.counts.subscriptions).toBe(FEEDS)
    const pieces = Array.from({ length: 100 }, (_, index) => `piece ${index} 🙂 `)
    const { body } = await ask(chat, { pieces, pauseMs: 20 })
    const { uid, message } = body.assistantMessage
    await expect
      .poll(() => watchers.filter(({ ended }) => ended.has(uid)).length, { timeout: 60_000 })
      .toBe(FEEDS)
    expect(new Set(watchers.map(({ messages }) => messages.get(uid)?.text))).toEqual(new Set([message]))
    expect(watchers.filter(({ fault, snapshots }) => fault !== undefined || snapshots !== 1)).toEqual([])
    await Promise.all(watchers.map((watcher) => watcher.drop()))
    await expect.poll(() => at.upstash.counts.subscriptions, { timeout: 30_000 }).toBe(0)
  }, 180_000)

  it('a reader that reads nothing holds nobody back and is let go', async () => {
    const chat = await begin()
    const { chatUid, headers } = chat
    const { hostname, port } = new URL(at.url)
    const stuck = connect(Number(port), hostname)
    stuck.write(
      `GET /api/chat/sse/${chatUid} HTTP/1.1\r\nHost: ${hostname}\r\nAuthorization: ${headers.authorization}\r\n\r\n`,
    )
    stuck.pause()
    const watcher = new Watcher(`${at.url}/api/chat/sse/${chatUid}`, headers)
    watcher.open(undefined)
    await expect.poll(() => at.upstash.counts.subscriptions).toBe(2)
    // 12 MB: more than the sockets between us take, and far more than a reader may be behind.
    const { status, body } = await ask(chat, { pieces: ['x'.repeat(20_000)], times: 600, pauseMs: 5 })
    expect({ status, state: body.assistantMessage.status }).toEqual({ status: 200, state: 'COMPLETED' })
    const { uid } = body.assistantMessage
    await expect.poll(() => watcher.ended.has(uid), { timeout: 60_000 }).toBe(true)
    expect(watcher.messages.get(uid)?.text).toHaveLength(12_000_000)
    // The stuck one's subscription is gone; the other's is still there.
    await expect.poll(() => at.upstash.counts.subscriptions, { timeout: 60_000 }).toBe(1)
    await watcher.drop()
    stuck.destroy()
    await sleep(100)
    expect(watcher.fault).toBeUndefined()
  }, 180_000)

  it('100 idle feeds cost not one command in a minute', async () => {
    const { quiet, counts, faults } = await idle
    expect(counts).toMatchObject({ requests: 0, commands: 0, subscriptions: 100 })
    expect(faults).toEqual([])
    await expect.poll(() => quiet.upstash.counts.subscriptions, { timeout: 30_000 }).toBe(0)
  }, 120_000)
})
