import { createHash, randomUUID } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { engines, openWorld, until, type World } from './upstash-world.ts'

describe.each(engines)('scripts over the %s engine', (_name, startEngine) => {
  let bridge: World['bridge']
  let redis: World['redis']
  let send: World['send']
  let listen: World['listen']
  let world: World

  beforeAll(async () => {
    world = await openWorld(startEngine)
    ;({ bridge, redis, send, listen } = world)
  })
  beforeEach(() => world.empty())
  afterAll(() => world.close())

  const flush = `
    local length = redis.call('APPEND', KEYS[1], ARGV[1])
    local n = redis.call('INCR', KEYS[2])
    redis.call('RPUSH', KEYS[3], string.format('%d', n) .. ':' .. ARGV[1])
    redis.call('LTRIM', KEYS[3], -2, -1)
    local heard = redis.call('PUBLISH', ARGV[2], ARGV[1])
    redis.call('EXPIRE', KEYS[1], ARGV[3])
    local rest = redis.call('LRANGE', KEYS[3], 0, -1)
    return { tostring(length), n .. '', tostring(heard), tostring(#rest), rest[1], rest[#rest] }`
  const keys = ['text', 'number', 'log']

  it('appends, numbers, logs, trims, publishes and expires in one', async () => {
    const feed = await listen('feed')
    expect(await redis.eval(flush, keys, ['Раз ', 'feed', '60'])).toEqual([
      '7',
      '1',
      '1',
      '1',
      '1:Раз ',
      '1:Раз ',
    ])
    await until(() => expect(feed.lines).toEqual(['subscribe,feed,1', 'message,feed,Раз ']))
    feed.stop()
    await until(async () => expect(await redis.publish('feed', 'x')).toBe(0))
    await redis.eval(flush, keys, ['два', 'feed', '60'])
    expect(await redis.eval(flush, keys, ['3', 'feed', '60'])).toEqual(['14', '3', '0', '2', '2:два', '3:3'])
    expect(await redis.get('text')).toBe('Раз два3')
    expect(await redis.ttl('text')).toBe(60)
  })

  it('knows a script by its sha only when it was loaded or run', async () => {
    const source = `return { ARGV[1], tostring(#KEYS), '${randomUUID()}' }`
    const sha = createHash('sha1').update(source).digest('hex')
    expect(await redis.scriptExists(sha)).toEqual([0])
    await expect(redis.evalsha(sha, ['k'], ['a'])).rejects.toThrow(/^NOSCRIPT /)
    expect(await redis.scriptLoad(source)).toBe(sha)
    expect(await redis.scriptExists(sha, 'f'.repeat(40))).toEqual([1, 0])
    expect(await redis.evalsha(sha, ['k'], ['a'])).toMatchObject(['a', '1', expect.any(String)])
    const script = redis.createScript<string[]>(`return { ARGV[1], '${randomUUID()}' }`)
    expect((await script.exec([], ['a']))[0]).toBe('a')
    expect((await script.exec([], ['b']))[0]).toBe('b')
    // The first call was refused by sha and came again with the source.
    expect(bridge.log.slice(-3).map((entry) => entry.commands[0]![0]!.toUpperCase())).toEqual([
      'EVALSHA',
      'EVAL',
      'EVALSHA',
    ])
  })

  it.each([
    ['return 3.99', 3],
    ['return "text"', 'text'],
    ['return true', 1],
    ['return false', null],
    ['return nil', null],
    ['return', null],
    ['return {1, 2, nil, 4}', [1, 2]],
    ['return {1, {"a", {"b"}}, false}', [1, ['a', ['b']], null]],
    ['local t = {} for i = 1, 3 do t[#t + 1] = i end return t', [1, 2, 3]],
    ['return {}', []],
    ['return redis.call("SET", KEYS[1], 5)', 'OK'],
    ['return redis.status_reply("FINE")', 'FINE'],
    ['redis.call("SET", KEYS[1], "") return redis.call("GET", KEYS[1])', ''],
    ['return redis.call("GET", KEYS[1]) == false', 1],
    ['return tostring(redis.call("INCR", KEYS[1]))', '1'],
    ['return redis.call("INCR", KEYS[1]) .. ":" .. #ARGV[1]', '1:4'],
    ['redis.call("SET", KEYS[1], 10) return redis.call("GET", KEYS[1])', '10'],
    ['redis.call("SET", KEYS[1], 1, "ex", 5) return redis.call("TTL", KEYS[1])', 5],
    ['redis.call("HSET", KEYS[1], "a", 1) return redis.call("HGETALL", KEYS[1])', ['a', '1']],
    ['return redis.call("MGET", KEYS[1], KEYS[1])', [null, null]],
    ['return redis.call("MGET", KEYS[1], KEYS[1])[2] == false', 1],
    ['local t = redis.call("TIME") return type(t[1]) .. #t', 'string2'],
    ['return type(redis.call("SET", KEYS[1], 1)) .. redis.call("SET", KEYS[1], 1).ok', 'tableOK'],
    ['return redis.pcall("NOPE").err ~= nil', 1],
    ['return redis.pcall("RPUSH", KEYS[1], 1) + redis.call("RPUSH", KEYS[1], 2)', 3],
    ['return string.sub(ARGV[1], 1, 2)', 'ф'],
    ['return {unpack(ARGV)}', ['фы']],
    ['return 1 -- a comment at the end', 1],
  ])('answers %s', async (source, expected) => {
    expect(await redis.eval(source, ['key'], ['фы'])).toEqual(expected)
  })

  it.each([
    ['return redis.error_reply("NOPE because")', /^NOPE because/],
    ['return {err = "CODE words"}', /^CODE words/],
    ['redis.call("SET", KEYS[1], 1) return redis.call("RPUSH", KEYS[1], 1)', /^WRONGTYPE Operation/],
    ['return redis.call("NOPE")', /^ERR /],
    ['return redis.call("GET")', /^ERR /],
    ['error("broken")', /broken/],
    ['error({err = "MINE alone"})', /^MINE alone/],
    ['return nonsense(', /^ERR Error compiling script \(new function\): user_script:1:/],
    ['return missing', /nonexistent global variable 'missing'/],
    ['made = 1', /^ERR /],
  ])('fails as told: %s', async (source, expected) => {
    await expect(redis.eval(source, ['key'], ['a'])).rejects.toThrow(expected)
  })

  it('checks the number of keys', async () => {
    expect(await send('EVAL', 'return 1', 'x')).toBe('! ERR value is not an integer or out of range')
    expect(await send('EVAL', 'return 1', 2, 'a')).toBe(
      "! ERR Number of keys can't be greater than number of args",
    )
    expect(await send('EVAL', 'return 1')).toBe("! ERR wrong number of arguments for 'eval' command")
  })
})
