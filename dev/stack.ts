/**
 * The whole service on this machine: Postgres and Redis behind bridges that speak Neon's and Upstash's protocols,
 * the Worker's real bundle in workerd, a demo upstream. The same for `npm start` and for the tests.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { Miniflare } from 'miniflare'
import { copyAssets } from './assets.ts'
import { type Bundle, bundle } from './build.ts'
import { migrate } from './migrate.ts'
import { type NeonBridge, startNeonBridge } from './neon.ts'
import { type Engine, pgliteEngine, postgresEngine } from './postgres-engine.ts'
import { embeddedRedis } from './redis-embedded.ts'
import { type RedisEngine, realRedis } from './redis-engine.ts'
import { makeSecrets } from './secrets.ts'
import { startUpstashBridge, type UpstashBridge } from './upstash.ts'
import { type DemoUpstream, startDemoUpstream } from './upstream.ts'

/** A workerd that was killed is there again within this, however busy the machine. */
const COMES_BACK_WITHIN_MS = 60_000

export interface StackOptions {
  /** Where the embedded Postgres keeps its data; in memory when absent. */
  dataDir?: string
  /** The first Worker's port; any free one when absent. */
  port?: number
  /** A real Postgres and a real Redis in place of the embedded ones. */
  databaseUrl?: string
  redisUrl?: string
  /** Put before every key in a real Redis; what carries it is deleted at the end. */
  redisPrefix?: string
  /** Configuration of every Worker; secrets are made when absent. */
  vars?: Record<string, string>
  /** Whether to start the demo upstream, and where; a taken port is replaced by a free one. */
  upstream?: boolean | { port: number }
  /** Gets each line that workerd writes. */
  onLine?: (line: string) => void
}

/** A Worker in a workerd of its own, behind bridges of its own: what it asks is counted apart. */
export interface LocalWorker {
  /** `http://127.0.0.1:port`, no slash at the end. */
  url: string
  neon: NeonBridge
  upstash: UpstashBridge
  /** Calls the cron's handler, as the platform does every minute. @throws when it failed */
  scheduled(): Promise<void>
  /** The process of workerd, where the system tells (Linux). */
  pid(): number | undefined
  /** Kills workerd at once and comes back when a new one serves at the same address. */
  crash(): Promise<void>
  /** The last 20,000 lines that workerd wrote, on both of its outputs. */
  logs(): string[]
  close(): Promise<void>
}

export interface Stack extends LocalWorker {
  upstream: DemoUpstream | undefined
  crons: string[]
  /** The values that no answer and no log may hold. */
  secrets: Record<string, string>
  /** Another Worker on the same data, configured as the stack is but for `vars`. */
  addWorker(vars?: Record<string, string>): Promise<LocalWorker>
}

const MAX_LINES = 20_000
// The embedded engine looks at no name or password, but the driver wants a whole address.
export const EMBEDDED = 'postgres://local:local@localhost/local'

/**
 * Starts everything, migrated: 2–4 s, of which the embedded Postgres takes the most.
 * @throws when `port` is taken (code ERR_ADDRESS_IN_USE) or the Worker does not build; nothing is left running
 */
export async function startStack(options: StackOptions = {}): Promise<Stack> {
  const postgres = options.databaseUrl
    ? postgresEngine({ connectionString: options.databaseUrl })
    : pgliteEngine(options.dataDir === undefined ? {} : { dataDir: options.dataDir })
  const redis = options.redisUrl
    ? realRedis({ url: options.redisUrl, ...(options.redisPrefix ? { keyPrefix: options.redisPrefix } : {}) })
    : embeddedRedis()
  const fresh = makeSecrets()
  const vars: Record<string, string> = { ...fresh, ...options.vars }
  const secrets = Object.fromEntries(Object.keys(fresh).map((key) => [key, vars[key] ?? '']))
  const workers: LocalWorker[] = []
  let upstream: DemoUpstream | undefined

  const close = async () => {
    await Promise.allSettled([...workers.map((worker) => worker.close()), upstream?.close()])
    await Promise.allSettled([postgres.close(), redis.close()])
  }

  try {
    const [made] = await Promise.all([
      bundle(),
      copyAssets(),
      migrated(postgres, vars),
      options.upstream &&
        startUpstream(options.upstream).then((started) => {
          upstream = started
        }),
    ])
    // In turn: a Worker knows its workerd as the process that was not there before.
    let turn: Promise<unknown> = Promise.resolve()
    const add = (more: Record<string, string> = {}, port?: number) => {
      const start = () => startWorker({ ...options, made, postgres, redis, vars: { ...vars, ...more }, port })
      const started = turn.then(start).then((worker) => {
        workers.push(worker)
        return worker
      })
      turn = started.catch(() => undefined)
      return started
    }
    const first = await add({}, options.port ?? 0)
    return { ...first, upstream, crons: made.crons, secrets, addWorker: (more) => add(more, 0), close }
  } catch (error) {
    await close()
    throw error
  }
}

/** Where the Workers will look, or through a bridge that nobody counts. */
async function migrated(engine: Engine, vars: Record<string, string>): Promise<void> {
  const { DATABASE_URL = EMBEDDED, NEON_HTTP_ENDPOINT } = vars
  if (NEON_HTTP_ENDPOINT) {
    await migrate({ connectionString: DATABASE_URL, endpoint: NEON_HTTP_ENDPOINT })
    return
  }
  const bridge = await startNeonBridge({ engine })
  try {
    await migrate({ connectionString: EMBEDDED, endpoint: bridge.url })
  } finally {
    await bridge.close()
  }
}

async function startUpstream(wish: true | { port: number }): Promise<DemoUpstream> {
  if (wish === true) return startDemoUpstream()
  return startDemoUpstream(wish).catch((error: unknown) => {
    if ((error as { code?: string }).code === 'EADDRINUSE') return startDemoUpstream()
    throw error
  })
}

async function startWorker(parts: {
  made: Bundle
  postgres: Engine
  redis: RedisEngine
  vars: Record<string, string>
  port: number | undefined
  onLine?: (line: string) => void
}): Promise<LocalWorker> {
  const { made, vars } = parts
  const lines: string[] = []
  const keep = (line: string) => {
    if (lines.push(line) > MAX_LINES) lines.splice(0, MAX_LINES / 10)
    parts.onLine?.(line)
  }
  const { crons: _, ...worker } = made
  const [neon, upstash] = await Promise.all([
    startNeonBridge({ engine: parts.postgres }),
    startUpstashBridge({ engine: parts.redis, token: vars.UPSTASH_REDIS_REST_TOKEN ?? '' }),
  ])
  const bindings = {
    DATABASE_URL: EMBEDDED,
    NEON_HTTP_ENDPOINT: neon.url,
    UPSTASH_REDIS_REST_URL: upstash.url,
    ...vars,
  }
  const others = new Set(workerds())
  const miniflare = new Miniflare({
    ...worker,
    name: 'bothub-edge',
    host: '127.0.0.1',
    port: parts.port ?? 0,
    bindings,
    // Else it would ask the network what a request from here looks like at Cloudflare.
    cf: false,
    unsafeTriggerHandlers: true,
    handleRuntimeStdio: (stdout: Readable, stderr: Readable) => {
      for (const input of [stdout, stderr]) createInterface({ input }).on('line', keep)
    },
  })
  const close = async () => {
    await Promise.allSettled([miniflare.dispose(), neon.close(), upstash.close()])
  }
  let url: string
  try {
    url = (await miniflare.ready).origin
  } catch (error) {
    await close()
    throw error
  }
  let pid = workerds().find((each) => !others.has(each))

  return {
    url,
    neon,
    upstash,
    async scheduled() {
      const { outcome } = await (await miniflare.getWorker()).scheduled({ cron: '* * * * *' })
      if (outcome !== 'ok') throw new Error(`scheduled ended with ${outcome}`)
    },
    pid: () => pid,
    async crash() {
      if (pid === undefined) throw new Error('workerd was not found among the processes of this machine')
      const before = new Set(workerds())
      process.kill(pid, 'SIGKILL')
      pid = undefined
      const end = Date.now() + COMES_BACK_WITHIN_MS
      while (Date.now() < end) {
        pid ??= workerds().find((each) => !before.has(each))
        const isUp =
          pid !== undefined &&
          (await fetch(`${url}/health`).then(
            (r) => r.ok,
            () => false,
          ))
        if (isUp) return
        await new Promise((resolve) => setTimeout(resolve, 20))
      }
      throw new Error('workerd did not come back')
    },
    logs: () => [...lines],
    close,
  }
}

/** The workerd processes that this process started. Miniflare does not tell; Linux does. */
export function workerds(): number[] {
  try {
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .filter((pid) => {
        try {
          const [, name, parent] =
            /^\d+ \((.*)\) \S (\d+)/.exec(readFileSync(`/proc/${pid}/stat`, 'utf8')) ?? []
          return name === 'workerd' && Number(parent) === process.pid
        } catch {
          return false
        }
      })
      .map(Number)
  } catch {
    return []
  }
}
