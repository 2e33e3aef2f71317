import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { engines, openWorld, text, type World } from './upstash-world.ts'

describe.each(engines)('commands over the %s engine', (_name, startEngine) => {
  let redis: World['redis']
  let parsing: World['parsing']
  let client: World['client']
  let post: World['post']
  let send: World['send']
  let world: World

  beforeAll(async () => {
    world = await openWorld(startEngine)
    ;({ redis, parsing, client, post, send } = world)
  })
  beforeEach(() => world.empty())
  afterAll(() => world.close())

  // Each script is run as given, on both engines, against what Redis 7 answers.
  const scripts: Record<string, Array<[Array<string | number>, unknown]>> = {
    'GET and SET with options': [
      [['GET', 'a'], null],
      [['SET', 'a', ''], 'OK'],
      [['GET', 'a'], ''],
      [['set', 'a', 1, 'nx'], null],
      [['SET', 'a', 1, 'XX', 'GET'], ''],
      [['SET', 'a', 2, 'EX', 100, 'GET'], '1'],
      [['TTL', 'a'], 100],
      [['SET', 'a', 3, 'KEEPTTL'], 'OK'],
      [['TTL', 'a'], 100],
      [['SET', 'a', 3], 'OK'],
      [['TTL', 'a'], -1],
      [['SET', 'b', 3, 'XX'], null],
      [['SET', 'b', 3, 'NX', 'XX'], '! ERR syntax error'],
      [['SET', 'b', 3, 'EX'], '! ERR syntax error'],
      [['SET', 'b', 3, 'EX', 0], "! ERR invalid expire time in 'set' command"],
      [['SET', 'b', 3, 'EX', 'x'], '! ERR value is not an integer or out of range'],
      [['SETEX', 'b', 10, 'v'], 'OK'],
      [['GETDEL', 'b'], 'v'],
      [['GETDEL', 'b'], null],
      [['MSET', 'a', 1, 'b', ''], 'OK'],
      [
        ['MGET', 'a', 'b', 'c'],
        ['1', '', null],
      ],
      [['DEL', 'a', 'b', 'c'], 2],
      [['EXISTS', 'a', 'b'], 0],
    ],
    'numbers stay integers': [
      [['INCR', 'n'], 1],
      [['INCRBY', 'n', 41], 42],
      [['DECR', 'n'], 41],
      [['DECRBY', 'n', 1], 40],
      [['GET', 'n'], '40'],
      [['INCRBY', 'n', 'x'], '! ERR value is not an integer or out of range'],
      [['SET', 's', 'text'], 'OK'],
      [['INCR', 's'], '! ERR value is not an integer or out of range'],
    ],
    expiry: [
      [['EXPIRE', 'e', 10], 0],
      [['TTL', 'e'], -2],
      [['SET', 'e', 1], 'OK'],
      [['EXPIRE', 'e', 10, 'XX'], 0],
      [['EXPIRE', 'e', 10, 'NX'], 1],
      [['EXPIRE', 'e', 20, 'NX'], 0],
      [['TTL', 'e'], 10],
      [['PERSIST', 'e'], 1],
      [['PEXPIRE', 'e', 100_000], 1],
      [['TTL', 'e'], 100],
      [['EXPIRE', 'e', 'soon'], '! ERR value is not an integer or out of range'],
      [['EXPIRE', 'e', -1], 1],
      [['EXISTS', 'e'], 0],
    ],
    hashes: [
      [['HSET', 'h', 'a', 1, 'b', 'two'], 2],
      [['HSET', 'h', 'a', 2], 0],
      [['HGET', 'h', 'a'], '2'],
      [['HGET', 'h', 'z'], null],
      [['HINCRBY', 'h', 'a', 5], 7],
      [['HINCRBY', 'h', 'b', 5], '! ERR hash value is not an integer'],
      [
        ['HGETALL', 'h'],
        ['a', '7', 'b', 'two'],
      ],
      [['HGETALL', 'none'], []],
      [
        ['HMGET', 'h', 'a', 'z'],
        ['7', null],
      ],
      [['HDEL', 'h', 'a', 'b', 'z'], 2],
      [['EXISTS', 'h'], 0],
    ],
    lists: [
      [['RPUSH', 'l', 'b', 'c', 'd'], 3],
      [['LPUSH', 'l', 'a'], 4],
      [['LLEN', 'l'], 4],
      [
        ['LRANGE', 'l', 0, -1],
        ['a', 'b', 'c', 'd'],
      ],
      [
        ['LRANGE', 'l', -6, -2],
        ['a', 'b', 'c'],
      ],
      [
        ['LRANGE', 'l', 1, 100],
        ['b', 'c', 'd'],
      ],
      [['LRANGE', 'l', 3, 1], []],
      [['LTRIM', 'l', -2, -1], 'OK'],
      [
        ['LRANGE', 'l', 0, -1],
        ['c', 'd'],
      ],
      [['LTRIM', 'l', 5, 9], 'OK'],
      [['EXISTS', 'l'], 0],
      [['LLEN', 'l'], 0],
      [['RPUSH', 'l', ''], 1],
      [['LPOP', 'l'], ''],
      [['EXISTS', 'l'], 0],
    ],
    'lengths in bytes': [
      [['APPEND', 'x', 'Привет'], 12],
      [['APPEND', 'x', ' 👋'], 17],
      [['STRLEN', 'x'], 17],
      [['GETRANGE', 'x', 0, 3], 'Пр'],
      [['GETRANGE', 'x', 13, -1], '👋'],
      [['GETRANGE', 'x', 0, 2], 'П\ufffd'],
      [['GETRANGE', 'x', 50, 60], ''],
      [['GETRANGE', 'none', 0, -1], ''],
    ],
    'sets and sorted sets': [
      [['SADD', 's', 'a', 'b', 'a'], 2],
      [['SREM', 's', 'b'], 1],
      [['SMEMBERS', 's'], ['a']],
      [['SREM', 's', 'a'], 1],
      [['EXISTS', 's'], 0],
      [['ZADD', 'z', 2, 'b', 1, 'a'], 2],
      [
        ['ZRANGEBYSCORE', 'z', '-inf', '+inf'],
        ['a', 'b'],
      ],
      [
        ['ZRANGEBYSCORE', 'z', 2, 9, 'withscores'],
        ['b', '2'],
      ],
    ],
    'refusals in Redis’s words': [
      [['SET', 'str', 'v'], 'OK'],
      [['RPUSH', 'str', 'v'], '! WRONGTYPE Operation against a key holding the wrong kind of value'],
      [['HGET', 'str', 'v'], '! WRONGTYPE Operation against a key holding the wrong kind of value'],
      [['RPUSH', 'list', 'v'], 1],
      [['GET', 'list'], '! WRONGTYPE Operation against a key holding the wrong kind of value'],
      [['APPEND', 'list', 'v'], '! WRONGTYPE Operation against a key holding the wrong kind of value'],
      [['INCR', 'list'], '! WRONGTYPE Operation against a key holding the wrong kind of value'],
      [['NOPE', 'a', 'b'], "! ERR unknown command 'NOPE', with args beginning with: 'a' 'b' "],
      [['GET'], "! ERR wrong number of arguments for 'get' command"],
      [['MSET', 'a'], "! ERR wrong number of arguments for 'mset' command"],
      [['SUBSCRIBE', 'a'], "! ERR Command is not available: 'SUBSCRIBE'"],
      [['PUBLISH', 'nobody', 'x'], 0],
      [['PING'], 'PONG'],
      [['PING', 'text'], 'text'],
    ],
  }
  it.each(Object.entries(scripts))('%s', async (_title, steps) => {
    for (const [command, expected] of steps) {
      expect([command, await send(...command)]).toEqual([command, expected])
    }
  })

  it('lists keys, and forgets a key when its time has come', async () => {
    await redis.set('short', 1, { px: 3_000 })
    await redis.set('long', 1)
    expect((await redis.keys('*')).sort()).toEqual(['long', 'short'])
    expect(await redis.pttl('short')).toBeLessThanOrEqual(3_000)
    await expect.poll(() => redis.get('short')).toBeNull()
    expect(await redis.scan(0, { match: 'l*', count: 10 })).toEqual(['0', ['long']])
  })

  it('tells the time', async () => {
    const [seconds, micros] = await redis.time()
    expect(Math.abs(Number(seconds) * 1_000 + Number(micros) / 1_000 - Date.now())).toBeLessThan(60_000)
  })

  it('carries any text, with base64 and without', async () => {
    for (const responseEncoding of ['base64', false] as const) {
      const plain = client({ responseEncoding })
      for (const value of [text, 'OK', 'T0s=', '', '0', '{"a":"ü"}', 'null', '12345678901234567890']) {
        expect(await plain.set('v', value)).toBe('OK')
        expect(await plain.get('v')).toBe(value)
        await plain.del('l')
        await plain.rpush('l', value, text)
        expect(await plain.lrange('l', 0, -1)).toEqual([value, text])
        expect(await plain.eval('return {ARGV[1], {ARGV[2], {ARGV[1]}}, 7}', [], [value, text])).toEqual([
          value,
          [text, [value]],
          7,
        ])
      }
    }
    const { body } = await post(['GET', 'v'], '/', { 'upstash-encoding': 'base64' })
    expect(body).toEqual({ result: Buffer.from('12345678901234567890').toString('base64') })
  })

  it('works with the client’s own parsing', async () => {
    await parsing.set('json', { a: [1, 'ü', null] })
    expect(await parsing.get('json')).toEqual({ a: [1, 'ü', null] })
    await parsing.hset('h', { n: 1, s: 'x' })
    expect(await parsing.hgetall('h')).toEqual({ n: 1, s: 'x' })
    expect(await parsing.hgetall('none')).toBeNull()
    expect(await parsing.mget('json', 'none')).toEqual([{ a: [1, 'ü', null] }, null])
  })

  it('takes 16 MiB', async () => {
    const big = 'я'.repeat(8 * 1024 * 1024)
    expect(await redis.set('big', big)).toBe('OK')
    expect(await redis.strlen('big')).toBe(16 * 1024 * 1024)
    expect((await redis.get<string>('big')) === big).toBe(true)
  })
})
