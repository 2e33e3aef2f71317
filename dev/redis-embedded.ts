/**
 * The embedded engine: ioredis-mock holds the data, the expiry, the channels and the Lua machine. Where it
 * answers other than Redis does (types, lengths in bytes, ranges, options, scripts) this file stands between.
 */
import { randomUUID } from 'node:crypto'
import RedisMock from 'ioredis-mock'
import {
  aborted,
  channelHub,
  isScript,
  type RedisEngine,
  RedisError,
  type Reply,
  refuse,
  scriptShelf,
} from './redis-engine.ts'
import { type LuaCall, runScript } from './redis-lua.ts'

// name, the type its first argument must hold («any» is not checked), fewest and most arguments
const commands = new Map(
  `GET string 1 1, SET any 2 9, GETDEL string 1 1, GETSET string 2 2, SETEX any 3 3, PSETEX any 3 3, SETNX any 2 2,
  APPEND string 2 2, STRLEN string 1 1, GETRANGE string 3 3, INCR string 1 1, INCRBY string 2 2, DECR string 1 1,
  DECRBY string 2 2, MGET any 1 -, MSET any 2 -, DEL any 1 -, UNLINK any 1 -, EXISTS any 1 -, TYPE any 1 1,
  EXPIRE any 2 3, PEXPIRE any 2 3, EXPIREAT any 2 3, PEXPIREAT any 2 3, PERSIST any 1 1, TTL any 1 1, PTTL any 1 1,
  HSET hash 3 -, HSETNX hash 3 3, HGET hash 2 2, HMGET hash 2 -, HGETALL hash 1 1, HINCRBY hash 3 3, HDEL hash 2 -,
  HEXISTS hash 2 2, HLEN hash 1 1, HKEYS hash 1 1, HVALS hash 1 1, RPUSH list 2 -, LPUSH list 2 -, LPOP list 1 1,
  RPOP list 1 1, LTRIM list 3 3, LRANGE list 3 3, LLEN list 1 1, LINDEX list 2 2, SADD set 2 -, SREM set 2 -,
  SMEMBERS set 1 1, SISMEMBER set 2 2, SCARD set 1 1, ZADD zset 3 -, ZREM zset 2 -, ZCARD zset 1 1, ZSCORE zset 2 2,
  ZCOUNT zset 3 3, ZRANGE zset 3 -, ZRANGEBYSCORE zset 3 -, ZREMRANGEBYSCORE zset 3 3, PUBLISH any 2 2, PING any 0 1,
  ECHO any 1 1, TIME any 0 0, KEYS any 1 1, SCAN any 1 7, DBSIZE any 0 0, FLUSHALL any 0 1, FLUSHDB any 0 1`
    .split(',')
    .map((line) => {
      const [name, type, fewest, most] = line.trim().split(/\s+/) as [string, string, string, string]
      return [
        name,
        { type, fewest: Number(fewest), most: most === '-' ? Number.POSITIVE_INFINITY : Number(most) },
      ]
    }),
)

/** What ioredis-mock keeps public but does not declare: the values and the moments (ms) they expire. */
interface Store {
  data: { get(key: string): unknown; has(key: string): boolean; delete(key: string): void }
  expires: { get(key: string): number; has(key: string): boolean }
}

/** A command of ioredis-mock's own and what to make of its answer; or the answer itself. */
type Step = { reply: Reply } | { call: string[]; answer?: (raw: unknown) => Reply }

/** State private to this engine. Supports the commands listed above, EVAL, EVALSHA and SCRIPT. */
export function embeddedRedis(): RedisEngine {
  // ioredis-mock shares its data between all instances of one host and port.
  const place = { host: randomUUID(), port: 6379 }
  const mock = new RedisMock(place)
  const ears = new RedisMock(place)
  const store = mock as unknown as Store
  const methods = mock as unknown as Record<string, (...args: string[]) => Promise<unknown>>
  const hub = channelHub({
    join: (channel) => ears.subscribe(channel),
    leave: (channel) => void ears.unsubscribe(channel),
  })
  ears.on('message', (channel: string, payload: string) => hub.deliver(channel, payload))
  const shelf = scriptShelf()

  async function perform(command: string[]): Promise<Reply> {
    const name = command[0]!.toUpperCase()
    const args = command.slice(1).map((arg) => arg.toWellFormed())
    known(name, args)
    if (name === 'SCRIPT') return shelf.command(args)
    if (isScript(name)) {
      const {
        args: [source, ...rest],
      } = shelf.resolve(name, args)
      return runScript((script, ...given) => mock.eval(script, 0, ...given), source!, rest, inScript)
    }
    const step = prepare(store, name, args)
    if ('reply' in step) return step.reply
    const [word, ...given] = step.call
    const raw = await methods[word!]!(...given)
    return step.answer ? step.answer(raw) : plain(raw)
  }

  /** The same, at once: inside a script ioredis-mock can be called without a promise. */
  function inScript(command: string[], call: LuaCall): Reply {
    const name = command[0]!.toUpperCase()
    if (isScript(name) || name === 'SCRIPT')
      throw new RedisError('ERR This Redis command is not allowed from script')
    const step = prepare(store, name, command.slice(1))
    if ('reply' in step) return step.reply
    const raw = call(step.call)
    return step.answer ? step.answer(raw) : plain(raw)
  }

  // One command, script or transaction at a time, as in Redis: some need several steps here.
  let last: Promise<unknown> = Promise.resolve()
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const mine = last.then(work)
    last = mine.catch(() => {})
    return mine
  }

  return {
    run: (command) => inTurn(() => perform(command)),
    async transaction(list) {
      try {
        for (const [name, ...args] of list) known(name!.toUpperCase(), args)
      } catch {
        throw new RedisError(aborted)
      }
      return inTurn(async () => {
        const outcomes = []
        for (const command of list) {
          outcomes.push(
            await perform(command).then(
              (result) => ({ result }),
              (error: Error) => ({ error: error.message }),
            ),
          )
        }
        return outcomes
      })
    },
    subscribe: hub.subscribe,
    async close() {
      await inTurn(async () => mock.flushall())
      mock.disconnect()
      ears.disconnect()
    },
  }
}

/** @throws RedisError for what Redis refuses before it looks at any key. */
function known(name: string, args: string[]) {
  refuse(name)
  const arity = () => new RedisError(`ERR wrong number of arguments for '${name.toLowerCase()}' command`)
  if (isScript(name)) {
    if (args.length < 2) throw arity()
    return
  }
  if (name === 'SCRIPT') return
  const rule = commands.get(name)
  if (!rule) {
    const begin = args.map((arg) => `'${arg.slice(0, 128)}' `).join('')
    throw new RedisError(`ERR unknown command '${name}', with args beginning with: ${begin.slice(0, 256)}`)
  }
  const pairs = name === 'MSET' ? args.length % 2 === 0 : name === 'HSET' ? args.length % 2 === 1 : true
  if (args.length < rule.fewest || args.length > rule.most || !pairs) throw arity()
  return rule
}

const wrongType = () => new RedisError('WRONGTYPE Operation against a key holding the wrong kind of value')
const syntax = () => new RedisError('ERR syntax error')

function typeOf(value: unknown) {
  if (typeof value === 'string') return 'string'
  if (Array.isArray(value)) return 'list'
  return value instanceof Set ? 'set' : value instanceof Map ? 'zset' : 'hash'
}

function integer(text: string | undefined, words = 'value is not an integer or out of range') {
  const value = Number(text)
  if (!/^-?\d{1,19}$/.test(text ?? '') || !Number.isSafeInteger(value)) throw new RedisError(`ERR ${words}`)
  return value
}

/** Start and end (inclusive) of a Redis range within `length`, negative ones counted from the end. */
function range(from: string | undefined, to: string | undefined, length: number) {
  const place = (text: string | undefined) => {
    const n = integer(text)
    return n < 0 ? n + length : n
  }
  return [Math.max(place(from), 0), Math.min(place(to), length - 1)] as const
}

/** Checks a command as Redis would and says how to get its answer. @throws RedisError */
function prepare(store: Store, name: string, args: string[]): Step {
  const rule = known(name, args)
  const [key = '', ...rest] = args
  const word = name.toLowerCase()
  const value = rule && rule.type !== 'any' && store.data.has(key) ? store.data.get(key) : undefined
  if (value !== undefined && typeOf(value) !== rule?.type) throw wrongType()
  const text = typeof value === 'string' ? value : ''
  const items = Array.isArray(value) ? value.length : 0
  const dropEmpty = (raw: unknown) => {
    const left = store.data.get(key) as unknown[] | Set<string> | Map<string, unknown> | undefined
    if (left && (Array.isArray(left) ? left.length : left.size) === 0) store.data.delete(key)
    return plain(raw)
  }
  switch (name) {
    case 'GET':
      return { reply: typeof value === 'string' ? value : null }
    case 'SET':
      return set(store, key, rest)
    case 'SETEX':
    case 'PSETEX':
      return set(store, key, [rest[1]!, name === 'SETEX' ? 'EX' : 'PX', rest[0]!])
    case 'MGET':
      return {
        call: ['mget', ...args],
        answer: (raw) => (raw as unknown[]).map((v) => (typeof v === 'string' ? v : null)),
      }
    case 'APPEND':
      return {
        call: ['append', ...args],
        answer: () => Buffer.byteLength(text) + Buffer.byteLength(rest[0]!),
      }
    case 'STRLEN':
      return { reply: Buffer.byteLength(text) }
    case 'GETRANGE': {
      const bytes = Buffer.from(text)
      const [start, end] = range(rest[0], rest[1], bytes.length)
      return { reply: bytes.subarray(start, Math.max(end + 1, start)) }
    }
    case 'INCR':
    case 'DECR':
    case 'INCRBY':
    case 'DECRBY':
      integer(text || '0')
      if (rest[0] !== undefined) integer(rest[0])
      return { call: [word, ...args] }
    case 'HINCRBY':
      integer(rest[1])
      integer(
        (value as Record<string, string> | undefined)?.[rest[0]!] ?? '0',
        'hash value is not an integer',
      )
      return { call: [word, ...args] }
    case 'HGETALL':
      return { reply: Object.entries((value ?? {}) as Record<string, string>).flat() }
    case 'HGET':
      return { reply: (value as Record<string, string> | undefined)?.[rest[0]!] ?? null }
    case 'LRANGE': {
      const [start, end] = range(rest[0], rest[1], items)
      return start > end ? { reply: [] } : { call: [word, key, `${start}`, `${end}`] }
    }
    case 'LTRIM': {
      const [start, end] = range(rest[0], rest[1], items)
      if (start > end) return { call: ['del', key], answer: () => 'OK' }
      return { call: [word, key, `${start}`, `${end}`] }
    }
    case 'LPOP':
    case 'RPOP':
    case 'SREM':
    case 'ZREM':
    case 'ZREMRANGEBYSCORE':
      return { call: [word, ...args], answer: dropEmpty }
    case 'ZRANGE':
    case 'ZRANGEBYSCORE':
      return { call: [word, ...args.map((arg, i) => (i > 2 ? arg.toUpperCase() : arg))] }
    case 'EXPIRE':
    case 'PEXPIRE':
    case 'EXPIREAT':
    case 'PEXPIREAT':
      return expire(
        store,
        key,
        integer(rest[0]) * (name.startsWith('P') ? 1 : 1_000),
        name.endsWith('AT'),
        rest[1],
      )
    case 'TIME': {
      const now = performance.timeOrigin + performance.now()
      return { reply: [`${Math.floor(now / 1_000)}`, `${Math.floor((now % 1_000) * 1_000)}`] }
    }
    case 'PING':
    case 'ECHO':
      return { reply: args[0] ?? 'PONG' }
    case 'SCAN': {
      const match = rest.findIndex((arg) => arg.toUpperCase() === 'MATCH')
      return {
        call: ['keys', match < 0 ? '*' : (rest[match + 1] ?? '*')],
        answer: (raw) => ['0', plain(raw)],
      }
    }
    default:
      return { call: [word, ...args] }
  }
}

function set(store: Store, key: string, [value = '', ...options]: string[]): Step {
  const words = options.map((option) => option.toUpperCase())
  const has = store.data.has(key)
  const old = has ? store.data.get(key) : null
  let when: string[] = []
  for (let i = 0; i < words.length; i++) {
    const option = words[i]!
    if (['NX', 'XX', 'GET'].includes(option)) continue
    if (when.length > 0) throw syntax()
    if (option === 'KEEPTTL')
      when = store.expires.has(key) ? ['PXAT', `${store.expires.get(key)}`] : ['KEEPTTL']
    else if (['EX', 'PX', 'EXAT', 'PXAT'].includes(option) && words[i + 1] !== undefined) {
      if (integer(words[i + 1]) <= 0) throw new RedisError(`ERR invalid expire time in 'set' command`)
      when = [option, words[++i]!]
    } else throw syntax()
  }
  const [nx, xx, get] = [words.includes('NX'), words.includes('XX'), words.includes('GET')]
  if (nx && xx) throw syntax()
  if (get && old !== null && typeof old !== 'string') throw wrongType()
  const reply = get ? (old as string | null) : 'OK'
  if ((nx && has) || (xx && !has)) return { reply: get ? reply : null }
  return { call: ['set', key, value, ...(when[0] === 'KEEPTTL' ? [] : when)], answer: () => reply }
}

function expire(store: Store, key: string, ms: number, isMoment: boolean, option?: string): Step {
  const at = isMoment ? ms : Date.now() + ms
  const old = store.expires.has(key) ? store.expires.get(key) : undefined
  const allowed = {
    NX: old === undefined,
    XX: old !== undefined,
    GT: old !== undefined && at > old,
    LT: old === undefined || at < old,
  }[option?.toUpperCase() ?? 'none']
  if (option !== undefined && allowed === undefined) throw new RedisError(`ERR Unsupported option ${option}`)
  if (!store.data.has(key) || allowed === false) return { reply: 0 }
  if (at <= Date.now()) return { call: ['del', key], answer: () => 1 }
  return { call: ['pexpireat', key, `${at}`] }
}

/** An answer of ioredis-mock in Redis's types. */
function plain(raw: unknown): Reply {
  if (Array.isArray(raw)) return raw.map(plain)
  if (typeof raw === 'number' || typeof raw === 'string') return raw
  return raw === null || raw === undefined ? null : String(raw)
}
