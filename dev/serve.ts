/**
 * The service for a machine of one's own, as docker-compose.yml runs it: the Worker's bundle in workerd on what the
 * environment and the files of KEYS_DIR say, its database migrated, a ticker in place of the cron.
 * PORT (8000) and HOST (127.0.0.1) say where it listens, PUBLIC_URL how a proxy before it is reached from outside.
 * DEMO=on adds a model to talk to and opens what `npm start` opens.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { Miniflare } from 'miniflare'
import { envSchema, readEnv } from '../src/env.ts'
import { copyAssets } from './assets.ts'
import { bundle } from './build.ts'
import { demoRules, setUpDemo } from './demo.ts'
import { keysIn } from './keys.ts'
import { migrate, requireAddresses } from './migrate.ts'
import { root } from './root.ts'
import { startDemoUpstream } from './upstream.ts'

const TICK_MS = 60_000

const { KEYS_DIR, PORT = '8000', HOST = '127.0.0.1', PUBLIC_URL, DEMO } = process.env
const isDemo = DEMO === 'on'
const bindings: Record<string, string> = {
  ...(isDemo ? demoRules : {}),
  ...keysIn(KEYS_DIR),
}
// Compose hands over what is not set as an empty text.
for (const key of Object.keys(envSchema.shape)) if (process.env[key]) bindings[key] = process.env[key]

try {
  await serve()
} catch (error) {
  // Words of ours or of wrangler; those of a database error are its message alone. None holds a value.
  console.error(error instanceof Error ? error.message : error)
  process.exit(1)
}

async function serve(): Promise<void> {
  const { DATABASE_URL, NEON_HTTP_ENDPOINT } = readEnv(bindings)
  const database = {
    connectionString: DATABASE_URL,
    ...(NEON_HTTP_ENDPOINT ? { endpoint: NEON_HTTP_ENDPOINT } : {}),
  }
  requireAddresses(database)
  if (PUBLIC_URL && new URL(PUBLIC_URL).pathname !== '/') throw new Error('PUBLIC_URL must have no path.')
  const [made] = await Promise.all([
    bundle(),
    // The image has made them; a checkout may not have yet.
    existsSync(join(root, 'public/openapi.json')) ? undefined : copyAssets(),
    migrate(database),
  ])
  const { crons, ...worker } = made
  const miniflare = new Miniflare({
    ...worker,
    name: 'bothub-edge',
    host: HOST,
    port: Number(PORT),
    bindings,
    // Else it would ask the network what a request from here looks like at Cloudflare.
    cf: false,
    // What cookies and the check of an Origin go by: behind a proxy the Worker sees plain http and another name.
    ...(PUBLIC_URL ? { upstream: PUBLIC_URL } : {}),
    handleRuntimeStdio: (stdout: Readable, stderr: Readable) => {
      for (const input of [stdout, stderr]) createInterface({ input }).on('line', (line) => console.log(line))
    },
  })
  await miniflare.ready
  const ticker =
    crons.length > 0
      ? setInterval(() => void tick(miniflare).catch((error: Error) => say('tick_failed', error)), TICK_MS)
      : undefined

  // Miniflare's own listeners end this process before workerd has closed.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.removeAllListeners(signal)
    process.on(signal, () => {
      clearInterval(ticker)
      void miniflare.dispose().then(() => process.exit(0))
    })
  }
  if (isDemo) await demo()
  console.log(JSON.stringify({ level: 'info', event: 'serving', port: Number(PORT), demo: isDemo }))
}

async function tick(miniflare: Miniflare): Promise<void> {
  const { outcome } = await (await miniflare.getWorker()).scheduled({ cron: '* * * * *' })
  if (outcome !== 'ok') throw new Error(`scheduled ended with ${outcome}`)
}

function say(event: string, { message }: Error): void {
  console.error(JSON.stringify({ level: 'error', event, message }))
}

/** The administrator's password lies in KEYS_DIR, made with the keys. */
async function demo(): Promise<void> {
  if (!KEYS_DIR) throw new Error('DEMO needs KEYS_DIR: the password of its administrator is there.')
  const upstream = await startDemoUpstream()
  await setUpDemo(`http://127.0.0.1:${PORT}`, upstream.url, KEYS_DIR).catch((error: Error) =>
    say('demo_failed', error),
  )
}
