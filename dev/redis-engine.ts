/**
 * The engines behind the Upstash bridge: one word for «run a command», whatever answers it. The real one is
 * here, the embedded one in redis-embedded.ts.
 */
import { createHash } from 'node:crypto'
import { Command, Redis } from 'ioredis'

/** What a command answers. Real Redis answers bytes, the embedded engine text; integers stay numbers. */
export type Reply = string | Buffer | number | null | Reply[]
export type Outcome = { result: Reply } | { error: string }
export type OnMessage = (payload: string) => void

export interface RedisEngine {
  /**
   * Runs one command, its name first. Commands start in the order of the calls.
   * @throws RedisError with Redis's own words (`WRONGTYPE …`, `ERR …`); any other error: the engine is away.
   */
  run(command: string[]): Promise<Reply>
  /** Runs all with nothing in between. @throws RedisError (EXECABORT) when one could not be queued. */
  transaction(commands: string[][]): Promise<Outcome[]>
  /**
   * Resolves once nothing published from now on is missed. Listeners of one channel share one Redis
   * subscription, so PUBLISH counts them as one. `onLost`: the server went away, messages may be missing.
   */
  subscribe(channel: string, onMessage: OnMessage, onLost: () => void): Promise<() => void>
  /** Ends the connections; an engine with a key prefix deletes what it wrote. */
  close(): Promise<void>
}

/** An error answer of Redis itself, to be passed on in its own words. */
export class RedisError extends Error {}

const refused = new Set(
  `SUBSCRIBE UNSUBSCRIBE PSUBSCRIBE PUNSUBSCRIBE SSUBSCRIBE SUNSUBSCRIBE MONITOR MULTI EXEC DISCARD WATCH UNWATCH
  QUIT AUTH HELLO RESET SELECT SWAPDB CLIENT CONFIG DEBUG SHUTDOWN SYNC PSYNC REPLICAOF SLAVEOF FAILOVER WAIT
  BLPOP BRPOP BLMOVE BLMPOP BRPOPLPUSH BZPOPMIN BZPOPMAX BZMPOP FUNCTION FCALL FCALL_RO`.split(/\s+/),
)

/** Commands that would change or block the connection all requests share. @throws RedisError */
export function refuse(name: string) {
  if (refused.has(name)) throw new RedisError(`ERR Command is not available: '${name}'`)
}

/** One subscription per channel, however many listen; the last one to leave ends it. */
export function channelHub(wire: { join(channel: string): Promise<unknown>; leave(channel: string): void }) {
  interface Line {
    users: number
    ready: Promise<unknown>
    ears: Set<{ onMessage: OnMessage; onLost: () => void }>
  }
  const lines = new Map<string, Line>()
  const leave = (channel: string, line: Line) => {
    line.users--
    if (line.users > 0 || lines.get(channel) !== line) return
    lines.delete(channel)
    wire.leave(channel)
  }
  return {
    /** Passes a message to the listeners of its channel. */
    deliver(channel: string, payload: string) {
      for (const ear of [...(lines.get(channel)?.ears ?? [])]) ear.onMessage(payload)
    },
    /** Forgets every subscription and tells the listeners. */
    lose() {
      const lost = [...lines.values()]
      lines.clear()
      for (const line of lost) for (const ear of [...line.ears]) ear.onLost()
    },
    async subscribe(channel: string, onMessage: OnMessage, onLost: () => void) {
      const line = lines.get(channel) ?? { users: 0, ready: wire.join(channel), ears: new Set() }
      lines.set(channel, line)
      line.users++
      const ear = { onMessage, onLost }
      try {
        await line.ready
        if (lines.get(channel) !== line) throw new Error('the Redis connection was lost')
      } catch (error) {
        leave(channel, line)
        throw error
      }
      line.ears.add(ear)
      return () => {
        if (line.ears.delete(ear)) leave(channel, line)
      }
    },
  }
}

/** Scripts by their SHA-1: EVALSHA works the same on every engine, even where a script is rewritten. */
export function scriptShelf() {
  const scripts = new Map<string, string>()
  const load = (source: string) => {
    const sha = createHash('sha1').update(source).digest('hex')
    scripts.set(sha, source)
    return sha
  }
  return {
    /** Turns EVALSHA into EVAL and remembers what EVAL brings. @throws RedisError NOSCRIPT */
    resolve(name: string, args: string[]): { name: string; args: string[] } {
      if (name === 'EVAL' || name === 'EVAL_RO') {
        if (args[0] !== undefined) load(args[0])
        return { name, args }
      }
      const source = scripts.get((args[0] ?? '').toLowerCase())
      if (source === undefined) throw new RedisError('NOSCRIPT No matching script. Please use EVAL.')
      return { name: name.replace('SHA', ''), args: [source, ...args.slice(1)] }
    },
    /** SCRIPT LOAD | EXISTS | FLUSH. @throws RedisError for any other. */
    command([word = '', ...args]: string[]): Reply {
      const verb = word.toUpperCase()
      if (verb === 'LOAD' && args.length === 1) return load(args[0]!)
      if (verb === 'EXISTS' && args.length > 0)
        return args.map((sha) => (scripts.has(sha.toLowerCase()) ? 1 : 0))
      if (verb === 'FLUSH') {
        scripts.clear()
        return 'OK'
      }
      throw new RedisError(
        `ERR unknown subcommand or wrong number of arguments for '${word}'. Try SCRIPT HELP.`,
      )
    },
  }
}

export const isScript = (name: string) => /^EVAL(SHA)?(_RO)?$/.test(name)

/** What a command becomes: words for the wire, or work of the engine's own. */
type Plan = { wire: string[] } | { own: () => Promise<Reply> }

/**
 * A real Redis. With `keyPrefix` (letters, digits and `_:.{}-`) every key and channel carries it unseen, also
 * KEYS of scripts and the channels they publish to; FLUSHALL then deletes just these, and is refused without.
 * Not hidden: a script sees the prefix in KEYS, and a key it builds from ARGV has none.
 */
export function realRedis(options: { url: string; keyPrefix?: string }): RedisEngine {
  const prefix = options.keyPrefix ?? ''
  if (!/^[\w:.{}-]*$/.test(prefix)) throw new TypeError('keyPrefix has a character that needs escaping')
  const settings = {
    maxRetriesPerRequest: 1,
    retryStrategy: (attempt: number) => Math.min(attempt * 100, 2_000),
    // What was sent before a connection broke may have run: sending it again is the caller's decision.
    autoResendUnfulfilledCommands: false,
  }
  const main = new Redis(options.url, settings)
  // A silent resubscription would hide the gap: listeners are told instead, and come again.
  const ears = new Redis(options.url, {
    ...settings,
    autoResubscribe: false,
    connectionName: `${prefix}ears`,
  })
  const hub = channelHub({
    join: (channel) => ears.subscribe(prefix + channel),
    leave: (channel) => void ears.unsubscribe(prefix + channel).catch(() => {}),
  })
  // ioredis reports a lost server here and rejects the commands too: the commands are enough.
  main.on('error', () => {})
  ears.on('error', () => {})
  ears.on('close', () => hub.lose())
  ears.on('message', (channel, payload) => hub.deliver(channel.slice(prefix.length), payload))

  const shelf = scriptShelf()
  // Upper case: ioredis then leaves the reply as it is on the wire (HGETALL stays a flat list).
  const send = async ([name = '', ...args]: string[]): Promise<unknown> => {
    const command = new Command(name, [...args], { replyEncoding: null, keyPrefix: prefix })
    // ioredis invents the keys a command lacks; Redis is to see, and refuse, it as it came.
    const isWhole = command.args.length === args.length
    return main.sendCommand(isWhole ? command : new Command(name, args, { replyEncoding: null }))
  }

  async function keysMatching(pattern: string) {
    const found = new Set<string>()
    let cursor = '0'
    do {
      const [next, keys] = (await send(['SCAN', cursor, 'MATCH', prefix + pattern, 'COUNT', '500'])) as [
        Buffer,
        Buffer[],
      ]
      for (const key of keys) found.add(key.toString().slice(prefix.length))
      cursor = next.toString()
    } while (cursor !== '0')
    return [...found]
  }

  async function clear() {
    const keys = await keysMatching('*')
    for (let i = 0; i < keys.length; i += 500) await send(['UNLINK', ...keys.slice(i, i + 500)])
    return 'OK'
  }

  /** @throws RedisError for what is not sent at all. */
  function plan(command: string[]): Plan {
    const name = command[0]!.toUpperCase()
    const args = command.slice(1)
    refuse(name)
    if (name === 'SCRIPT') return { own: async () => shelf.command(args) }
    if (isScript(name)) {
      const script = shelf.resolve(name, args)
      const [source, ...rest] = script.args
      if (!prefix || source === undefined) return { wire: [script.name, ...script.args] }
      return { wire: [script.name, prefixed(source, prefix), ...rest] }
    }
    if (name === 'FLUSHALL' || name === 'FLUSHDB') {
      if (!prefix) throw new RedisError(`ERR ${name} is refused on a Redis that may be shared`)
      return { own: clear }
    }
    if (prefix && name === 'KEYS' && args.length === 1) return { own: () => keysMatching(args[0]!) }
    if (prefix && name === 'SCAN') {
      const match = args.findIndex((arg) => arg.toUpperCase() === 'MATCH')
      return { own: async () => ['0', await keysMatching(match < 0 ? '*' : (args[match + 1] ?? '*'))] }
    }
    if (prefix && name === 'PUBLISH' && args.length === 2) return { wire: [name, prefix + args[0], args[1]!] }
    return { wire: [name, ...args] }
  }

  return {
    async run(command) {
      try {
        const step = plan(command)
        return 'own' in step ? await step.own() : asReply(await send(step.wire))
      } catch (error) {
        throw asError(error)
      }
    },
    async transaction(commands) {
      const wires = commands.map((command) => {
        const step = queueable(() => plan(command), command)
        if ('own' in step) throw new RedisError(aborted)
        return step.wire
      })
      // Put on the one connection in one go: nothing of another request can come between MULTI and EXEC.
      const queued = [['MULTI'], ...wires].map(send)
      const ended = send(['EXEC'])
      await Promise.allSettled(queued)
      try {
        const replies = (await ended) as unknown[]
        return replies.map((reply) =>
          reply instanceof Error ? { error: reply.message } : { result: asReply(reply) },
        )
      } catch (error) {
        throw asError(error)
      }
    },
    subscribe: hub.subscribe,
    async close() {
      try {
        if (prefix && main.status === 'ready') await clear()
      } finally {
        main.disconnect()
        ears.disconnect()
      }
    },
  }
}

export const aborted = 'EXECABORT Transaction discarded because of previous errors.'

/** What cannot even be queued ends the whole transaction; an unknown script fails only when run. */
function queueable(plan: () => Plan, command: string[]): Plan {
  try {
    return plan()
  } catch (error) {
    if (!(error instanceof RedisError)) throw error
    if (error.message.startsWith('NOSCRIPT')) return { wire: command }
    throw new RedisError(aborted)
  }
}

/** A script knows its channels as ARGV too, which ioredis cannot see: its PUBLISH adds the prefix itself. */
function prefixed(source: string, prefix: string) {
  const wrap = `local redis=(function(r) local p='${prefix}' local function f(g) return function(c,ch,...)
    if ch==nil then return g(c) end
    if string.upper(c)=='PUBLISH' and string.sub(ch,1,#p)~=p then ch=p..ch end return g(c,ch,...) end end
    return setmetatable({call=f(r.call),pcall=f(r.pcall)},{__index=r}) end)(redis) `.replaceAll('\n', ' ')
  if (!source.startsWith('#!')) return wrap + source
  const end = source.indexOf('\n') + 1
  return source.slice(0, end) + wrap + source.slice(end)
}

function asReply(value: unknown): Reply {
  if (Array.isArray(value)) return value.map(asReply)
  if (typeof value === 'number' || typeof value === 'string' || value instanceof Buffer) return value
  if (value instanceof Error) return value.message
  return value === null || value === undefined ? null : String(value)
}

function asError(error: unknown) {
  return error instanceof Error && error.name === 'ReplyError' ? new RedisError(error.message) : error
}
