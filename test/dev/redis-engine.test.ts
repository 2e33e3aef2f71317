import { randomUUID } from 'node:crypto'
import { Redis } from '@upstash/redis/cloudflare'
import { Redis as Wire } from 'ioredis'
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { embeddedRedis } from '../../dev/redis-embedded.ts'
import { realRedis } from '../../dev/redis-engine.ts'
import { startUpstashBridge } from '../../dev/upstash.ts'
import { engines, openWorld, realUrl, type World } from './upstash-world.ts'

describe.each(engines)('the %s engine', (_name, startEngine) => {
  let bridge: World['bridge']
  let redis: World['redis']
  let post: World['post']
  let world: World

  beforeAll(async () => {
    world = await openWorld(startEngine)
    ;({ bridge, redis, post } = world)
  })
  beforeEach(() => world.empty())
  afterAll(() => world.close())

  it('answers a pipeline in order, errors in their places', async () => {
    const pipeline = redis.pipeline().set('a', '1').incr('a').lpush('a', 'x').get('a').get('none')
    expect(await pipeline.exec({ keepErrors: true })).toEqual([
      { result: 'OK' },
      { result: 2 },
      { error: expect.stringMatching(/^WRONGTYPE /) },
      { result: '2' },
      { result: null },
    ])
    await expect(redis.pipeline().set('a', '1').lpush('a', 'x').exec()).rejects.toThrow(
      /Command 2 .*WRONGTYPE/,
    )
    expect(bridge.counts).toMatchObject({ requests: 2, commands: 7 })
  })

  it('runs a transaction with nothing in between', async () => {
    const transaction = () =>
      redis
        .multi()
        .incr('n')
        .set('copy', 'x')
        .eval("return redis.call('INCR', KEYS[1])", ['n'], [])
        .get('n')
        .exec()
    const answers = (await Promise.all(Array.from({ length: 10 }, transaction))) as unknown[][]
    for (const [first, ok, second, read] of answers) {
      expect([ok, second, read]).toEqual(['OK', Number(first) + 1, String(Number(first) + 1)])
    }
    expect(await redis.get('n')).toBe('20')
    // A command that fails while running leaves the others standing.
    const { body } = await post(
      [
        ['SET', 'a', 1],
        ['RPUSH', 'a', 1],
        ['INCR', 'a'],
        ['HGETALL', 'none'],
      ],
      '/multi-exec',
    )
    expect(body).toEqual([
      { result: 'OK' },
      { error: 'WRONGTYPE Operation against a key holding the wrong kind of value' },
      { result: 2 },
      { result: [] },
    ])
  })

  it.each([[['NOPE']], [['GET']], [['SUBSCRIBE', 'a']]])(
    'discards a transaction that holds %j',
    async (bad) => {
      const { status, body } = await post([['SET', 'a', 1], bad], '/multi-exec')
      expect(status).toBe(400)
      expect(body).toEqual({ error: 'EXECABORT Transaction discarded because of previous errors.' })
      expect(await redis.exists('a')).toBe(0)
      await expect(redis.multi().set('a', 1).eval('return 1', [], []).exec()).resolves.toEqual(['OK', 1])
    },
  )
})

describe('engines', () => {
  it('keeps the state of each embedded engine to itself', async () => {
    const [one, two] = [embeddedRedis(), embeddedRedis()]
    await one.run(['SET', 'a', '1'])
    await one.subscribe(
      'ch',
      () => {},
      () => {},
    )
    expect(await two.run(['GET', 'a'])).toBeNull()
    expect(await two.run(['PUBLISH', 'ch', 'x'])).toBe(0)
    await one.close()
    await two.close()
  })

  it('says so when the real server is away', async () => {
    const engine = realRedis({ url: 'redis://127.0.0.1:1' })
    const bridge = await startUpstashBridge({ engine, token: 't' })
    const redis = new Redis({ url: bridge.url, token: 't', retry: { retries: 0 }, enableTelemetry: false })
    await expect(redis.get('a')).rejects.toThrow(/max retries/)
    await bridge.close()
    await engine.close()
  })

  const url = realUrl
  if (url) {
    it('prefixes keys and channels on a real server, and leaves nothing there', async () => {
      const wire = new Wire(url)
      const prefix = `bridge-clean:${randomUUID()}:`
      const engine = realRedis({ url, keyPrefix: prefix })
      await engine.run(['SET', 'a', '1'])
      await engine.run([
        'EVAL',
        'redis.call("SET", KEYS[1], 2) return redis.call("PUBLISH", ARGV[1], "x")',
        '1',
        'b',
        'ch',
      ])
      const heard: string[] = []
      await engine.subscribe(
        'ch',
        (payload) => heard.push(payload),
        () => heard.push('lost'),
      )
      expect((await wire.keys(`${prefix}*`)).sort()).toEqual([`${prefix}a`, `${prefix}b`])
      expect(await wire.publish('ch', 'elsewhere')).toBe(0)
      expect(await wire.publish(`${prefix}ch`, 'here')).toBe(1)
      await vi.waitFor(() => expect(heard).toEqual(['here']), { timeout: 30_000 })
      // Only this engine's connection: the server may be shared.
      const clients = String(await wire.call('CLIENT', 'LIST', 'TYPE', 'pubsub')).split('\n')
      const mine = clients.find((line) => line.includes(` name=${prefix}ears `))
      await wire.call('CLIENT', 'KILL', 'ID', mine!.match(/^id=(\d+)/)![1]!)
      await vi.waitFor(() => expect(heard).toEqual(['here', 'lost']), { timeout: 30_000 })
      await engine.close()
      expect(await wire.keys(`${prefix}*`)).toEqual([])
      wire.disconnect()
      // A shared server without a prefix is not for emptying.
      const bare = realRedis({ url })
      await expect(bare.run(['FLUSHALL'])).rejects.toThrow(/refused/)
      await bare.close()
    })
  }
})
