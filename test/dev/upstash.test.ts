import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { startUpstashBridge } from '../../dev/upstash.ts'
import { engines, openWorld, text, until, type World } from './upstash-world.ts'

describe.each(engines)('the Upstash bridge over the %s engine', (_name, startEngine) => {
  let engine: World['engine']
  let bridge: World['bridge']
  let redis: World['redis']
  let parsing: World['parsing']
  let client: World['client']
  let raw: World['raw']
  let post: World['post']
  let listen: World['listen']
  let world: World

  beforeAll(async () => {
    world = await openWorld(startEngine)
    ;({ engine, bridge, redis, parsing, client, raw, post, listen } = world)
  })
  beforeEach(() => world.empty())
  afterAll(() => world.close())

  describe('requests', () => {
    it('refuses a wrong token, takes it from the query too', async () => {
      await expect(client({ token: 'other' }).get('a')).rejects.toThrow(/WRONGPASS/)
      expect(await post(['GET', 'a'], '/', { authorization: 'Bearer nope' })).toEqual({
        status: 401,
        body: { error: 'WRONGPASS invalid or missing auth token' },
      })
      const open = await fetch(`${bridge.url}/ping?_token=${bridge.token}`)
      expect(await open.json()).toEqual({ result: 'PONG' })
      expect((await fetch(`${bridge.url}/ping?_token=nope`)).status).toBe(401)
      expect((await fetch(`${bridge.url}/subscribe/a`)).status).toBe(401)
      expect(bridge.counts).toEqual({ requests: 5, commands: 1, subscriptions: 0 })
    })

    it('takes commands in the path', async () => {
      expect((await post('the body / ü', '/set/a%2Fb?EX=100')).body).toEqual({ result: 'OK' })
      expect((await raw('/get/a%2Fb')).body).toEqual({ result: 'the body / ü' })
      expect((await raw('/ttl/a%2Fb/')).body).toEqual({ result: 100 })
    })

    it.each([
      '',
      '{',
      '{"a":1}',
      '"GET"',
      '[]',
      '[""]',
      '[["GET","a"]]',
      '["GET",null]',
      '["GET",{}]',
      'null',
    ])('answers 400 to the body %s', async (body) => {
      const answer = await post(body)
      expect(answer).toEqual({ status: 400, body: { error: expect.stringMatching(/^ERR /) } })
    })

    it.each(['', '[]', '["GET","a"]', '[[]]', '{}', '[["GET","a"],null]'])(
      'answers 400 to the pipeline %s',
      async (body) => {
        for (const path of ['/pipeline', '/multi-exec']) {
          expect(await post(body, path)).toEqual({
            status: 400,
            body: { error: expect.stringMatching(/^ERR /) },
          })
        }
      },
    )

    it('keeps what it was asked, bounded', async () => {
      await redis.set('a', 'x'.repeat(10_000))
      await redis.pipeline().get('a').get('b').exec()
      expect(bridge.log.map((entry) => entry.commands.map(([name]) => name))).toEqual([
        ['set'],
        ['get', 'get'],
      ])
      expect(bridge.log[0]!.commands[0]![2]!.length).toBeLessThan(5_000)
      expect(Math.abs(bridge.log[0]!.at - Date.now())).toBeLessThan(60_000)
      for (let i = 0; i < 1_010; i++) await redis.ping()
      expect(bridge.log).toHaveLength(1_000)
      expect(bridge.counts.requests).toBe(1_012)
    })

    it('is slow on demand', async () => {
      bridge.latencyMs = 120
      const start = performance.now()
      await redis.ping()
      expect(performance.now() - start).toBeGreaterThanOrEqual(115)
    })

    it('shares an engine with another bridge, and closes alone', async () => {
      const other = await startUpstashBridge({ engine, token: 'another' })
      const there = client({ url: other.url, token: 'another' })
      await there.set('shared', 'yes')
      expect(await redis.get('shared')).toBe('yes')
      const feed = await listen('across')
      expect(await there.publish('across', 'hello')).toBe(1)
      await until(() => expect(feed.lines).toHaveLength(2))
      await other.close()
      await expect(there.get('shared')).rejects.toThrow()
      expect(await redis.publish('across', 'still')).toBe(1)
      feed.stop()
    })
  })

  describe('faults', () => {
    it('breaks the connection before or after the commands ran', async () => {
      bridge.fault = (commands) => (commands[0]![0] === 'incr' ? 'before' : undefined)
      await expect(redis.incr('n')).rejects.toThrow()
      expect(await redis.get('n')).toBeNull()
      bridge.fault = ([command]) => (command![0] === 'incr' ? 'after' : undefined)
      await expect(redis.incr('n')).rejects.toThrow()
      expect(await redis.get('n')).toBe('1')
      // The client sends a command again whose answer was lost: it runs twice.
      let left = 1
      bridge.fault = () => (left-- > 0 ? 'after' : undefined)
      expect(await client({ retry: { retries: 2, backoff: () => 1 } }).incr('n')).toBe(3)
      expect(bridge.counts).toMatchObject({ requests: 6, commands: 5 })
    })

    it('is away while down, and back after', async () => {
      const feed = await listen('a')
      await until(() => expect(feed.lines).toHaveLength(1))
      bridge.down = true
      expect(await feed.ended).toBe('broken')
      await until(() => expect(bridge.counts.subscriptions).toBe(0))
      await expect(redis.get('a')).rejects.toThrow()
      await expect(listen('a')).rejects.toThrow()
      expect(bridge.log).toHaveLength(1)
      bridge.down = false
      expect(await redis.ping()).toBe('PONG')
      expect(await redis.publish('a', 'x')).toBe(0)
    })

    it('breaks what is on its way when it goes down', async () => {
      bridge.latencyMs = 100
      const waiting = redis.set('late', '1')
      await until(() => expect(bridge.counts.requests).toBe(1))
      bridge.down = true
      await expect(waiting).rejects.toThrow()
      await sleep(120)
      bridge.reset()
      expect(await redis.exists('late')).toBe(0)
    })
  })

  describe('subscriptions', () => {
    it('misses nothing published after its acknowledgement', async () => {
      for (let round = 0; round < 20; round++) {
        const feed = await listen(`feed:${round}`)
        await until(() => expect(feed.lines).toEqual([`subscribe,feed:${round},1`]))
        expect(feed.response.headers.get('content-type')).toMatch(/^text\/event-stream/)
        const sent = Array.from({ length: 20 }, (_, i) => JSON.stringify({ i, text }))
        for (const payload of sent.slice(0, 10)) expect(await redis.publish(`feed:${round}`, payload)).toBe(1)
        await Promise.all([redis.pipeline().publish('other', 'no').exec(), redis.publish('feed', 'no')])
        for (const payload of sent.slice(10)) await redis.publish(`feed:${round}`, payload)
        await until(() => expect(feed.lines).toHaveLength(21))
        expect(feed.lines.slice(1)).toEqual(sent.map((payload) => `message,feed:${round},${payload}`))
        feed.stop()
      }
      await until(() => expect(bridge.counts.subscriptions).toBe(0))
    })

    it('serves two listeners and cleans up after each', async () => {
      const [one, two] = [await listen('ch'), await listen('ch')]
      await until(() => expect(bridge.counts.subscriptions).toBe(2))
      await redis.publish('ch', 'both')
      await until(() => expect(one.lines).toEqual(['subscribe,ch,1', 'message,ch,both']))
      await until(() => expect(two.lines).toEqual(one.lines))
      one.stop()
      await until(() => expect(bridge.counts.subscriptions).toBe(1))
      expect(await redis.publish('ch', 'left')).toBe(1)
      await until(() => expect(two.lines.at(-1)).toBe('message,ch,left'))
      bridge.dropSubscriptions()
      expect(await two.ended).toBe('broken')
      await until(() => expect(bridge.counts.subscriptions).toBe(0))
      // Nobody listens: the channel itself is left.
      await until(async () => expect(await redis.publish('ch', 'nobody')).toBe(0))
      expect(bridge.log.filter((entry) => entry.commands[0]![0] === 'SUBSCRIBE')).toHaveLength(2)
    })

    it('stands many coming and going at once', async () => {
      const feeds = await Promise.all(Array.from({ length: 60 }, (_, i) => listen(`c${i % 3}`)))
      feeds.slice(0, 30).map((feed) => feed.stop())
      const later = await Promise.all(Array.from({ length: 30 }, (_, i) => listen(`c${i % 3}`)))
      const open = [...feeds.slice(30), ...later]
      await until(() => expect(bridge.counts.subscriptions).toBe(60))
      for (const i of [0, 1, 2]) expect(await redis.publish(`c${i}`, 'x')).toBe(1)
      await until(() => expect(open.every((feed) => feed.lines.length === 2)).toBe(true))
      for (const feed of open) feed.stop()
      await until(() => expect(bridge.counts.subscriptions).toBe(0))
      for (const i of [0, 1, 2]) await until(async () => expect(await redis.publish(`c${i}`, 'x')).toBe(0))
    })

    it('breaks a subscription by fault, before and after', async () => {
      for (const when of ['before', 'after'] as const) {
        bridge.fault = ([command]) => (command![0] === 'SUBSCRIBE' ? when : undefined)
        await expect(listen('f')).rejects.toThrow()
      }
      expect(bridge.counts.subscriptions).toBe(0)
      await until(async () => expect(await redis.publish('f', 'x')).toBe(0))
    })

    it('drops a listener that reads nothing', async () => {
      const socket = connect(bridge.port, '127.0.0.1')
      socket.on('error', () => {})
      socket.write(
        `GET /subscribe/slow?_token=${bridge.token} HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n`,
      )
      socket.pause()
      await until(() => expect(bridge.counts.subscriptions).toBe(1))
      const mebibyte = 'x'.repeat(1024 * 1024)
      for (let i = 0; i < 40 && bridge.counts.subscriptions > 0; i++) await redis.publish('slow', mebibyte)
      await until(() => expect(bridge.counts.subscriptions).toBe(0))
      await until(async () => expect(await redis.publish('slow', 'x')).toBe(0))
      socket.destroy()
    })

    it('works with the client’s own subscribe()', async () => {
      const got: unknown[] = []
      const subscriber = parsing.subscribe<unknown>(['own', 'second'])
      subscriber.on('subscribe', (count) => got.push(count))
      subscriber.on('message', ({ channel, message }) => got.push([channel, message]))
      await until(() => expect(got).toEqual([1, 1]))
      await parsing.publish('own', { a: 'ü, 1' })
      await parsing.publish('second', 'text')
      await until(() =>
        expect(got.slice(2)).toEqual(
          expect.arrayContaining([
            ['own', { a: 'ü, 1' }],
            ['second', 'text'],
          ]),
        ),
      )
      await subscriber.unsubscribe()
      await until(() => expect(bridge.counts.subscriptions).toBe(0))
    })
  })
})
