/** `npm start`: the whole service on embedded parts, with a model to talk to. Needs no account, key or container. */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join, relative } from 'node:path'
import { envSchema, readEnv } from '../src/env.ts'
import { type Demo, demoRules, setUpDemo } from './demo.ts'
import { dataDirOf, isAlive, tellWhere } from './local.ts'
import { makeSecrets } from './secrets.ts'
import { EMBEDDED, type Stack, type StackOptions, startStack } from './stack.ts'

const UPSTREAM_PORT = 8100
const TICK_MS = 60_000

const port = Number(process.env.PORT || 8000)
const dataDir = dataDirOf(process.env)
const url = `http://localhost:${port}`

if (!Number.isInteger(port) || port < 1 || port > 65_535) fail('PORT must be a number from 1 to 65535.')
mkdirSync(dataDir, { recursive: true })
const lockPath = join(dataDir, 'lock')
await clear(lockPath)
if (!(await isFree(port)))
  fail(`Port ${port} is taken. Stop what uses it, or choose another one: PORT=${port + 1} npm start`)
writeFileSync(lockPath, `${process.pid}`)
process.on('exit', () => rmSync(lockPath, { force: true }))

let isOpen = false
let isStopping = false
console.log('Starting…')
const chosen = options()
try {
  const there = { DATABASE_URL: EMBEDDED, UPSTASH_REDIS_REST_URL: url, UPSTASH_REDIS_REST_TOKEN: 'made' }
  readEnv({ ...there, ...chosen.vars, ...(chosen.databaseUrl ? { DATABASE_URL: chosen.databaseUrl } : {}) })
} catch (error) {
  fail((error as Error).message)
}
const stack = await startStack(chosen).catch((error: Error) => fail(error.message))
writeFileSync(lockPath, `${process.pid} ${stack.pid() ?? ''}`)
tellWhere(dataDir, {
  DATABASE_URL: chosen.vars?.DATABASE_URL ?? EMBEDDED,
  NEON_HTTP_ENDPOINT: chosen.vars?.NEON_HTTP_ENDPOINT ?? stack.neon.url,
  UPSTASH_REDIS_REST_URL: chosen.vars?.UPSTASH_REDIS_REST_URL ?? stack.upstash.url,
  UPSTASH_REDIS_REST_TOKEN: stack.secrets.UPSTASH_REDIS_REST_TOKEN,
  MODEL_SECRET_KEYS: stack.secrets.MODEL_SECRET_KEYS,
})
const ticker = stack.crons.length > 0 ? setInterval(() => void tick(stack), TICK_MS) : undefined

// Miniflare's own listeners would end this process before the database is closed.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.removeAllListeners(signal)
  process.on(signal, () => void stop())
}
const demo = await setUpDemo(stack.url, stack.upstream?.url ?? '', dataDir).catch((error: Error) => {
  console.error(`The demo models are not set up: ${error.message}`)
  return undefined
})
welcome(demo)
isOpen = true

/** Everything that a key of the configuration or REDIS_URL in the environment may change. */
function options(): StackOptions {
  const vars: Record<string, string> = {
    ...keptSecrets(join(dataDir, 'secrets.json')),
    ...demoRules,
  }
  for (const key of Object.keys(envSchema.shape)) {
    const value = process.env[key]
    if (value !== undefined) vars[key] = value
  }
  // Without an HTTP endpoint of its own, a given Postgres is reached through the local bridge.
  const databaseUrl = vars.NEON_HTTP_ENDPOINT ? undefined : vars.DATABASE_URL
  if (databaseUrl) delete vars.DATABASE_URL
  const redisUrl = process.env.REDIS_URL
  return {
    vars,
    port,
    dataDir: join(dataDir, 'postgres'),
    upstream: { port: UPSTREAM_PORT },
    ...(databaseUrl ? { databaseUrl } : {}),
    ...(redisUrl ? { redisUrl } : {}),
    onLine: show,
  }
}

/** Sessions and sealed tokens outlive a restart, so their secrets must. */
function keptSecrets(path: string): Record<string, string> {
  if (existsSync(path)) return JSON.parse(readFileSync(path, 'utf8'))
  const made = makeSecrets()
  writeFileSync(path, `${JSON.stringify(made, null, 2)}\n`, { mode: 0o600 })
  return made
}

/**
 * Two processes on one embedded Postgres would destroy it, so the owner of the folder stands in `lock`. One that was
 * killed left its workerd behind, which still holds the port.
 */
async function clear(path: string): Promise<void> {
  if (!existsSync(path)) return
  const [owner = 0, worker = 0] = readFileSync(path, 'utf8').split(' ').map(Number)
  if (owner > 0 && isAlive(owner))
    fail(`The data in ${dataDir} is in use by process ${owner}. Choose another folder: DATA_DIR=… npm start`)
  const name = `/proc/${worker}/comm`
  if (!existsSync(name) || readFileSync(name, 'utf8').trim() !== 'workerd') return
  process.kill(worker, 'SIGKILL')
  while (existsSync(name)) await new Promise((resolve) => setTimeout(resolve, 10))
}

function isFree(wanted: number): Promise<boolean> {
  return new Promise((settle) => {
    const probe = createServer()
    probe.once('error', () => settle(false))
    probe.listen(wanted, '127.0.0.1', () => probe.close(() => settle(true)))
  })
}

async function tick({ scheduled }: Stack): Promise<void> {
  await scheduled().catch((error: Error) => console.error(`The sweep failed: ${error.message}`))
}

async function stop(): Promise<void> {
  if (isStopping) process.exit(1)
  isStopping = true
  clearInterval(ticker)
  setTimeout(() => process.exit(1), 5_000).unref()
  await (stack as Stack).close()
  process.exit(0)
}

/** A request as one short line for a person, once people can come; whatever else the Worker says, as it is. */
function show(line: string): void {
  const { event, status, method, route, ms } = parsed(line)
  if (event !== 'request') console.log(line)
  // A path may hold what a terminal would obey.
  else if (isOpen) console.log(`${status} ${method} ${encodeURI(String(route))} ${ms} ms`)
}

function parsed(line: string): Record<string, unknown> {
  try {
    return JSON.parse(line) ?? {}
  } catch {
    return {}
  }
}

function welcome(made: Demo | undefined): void {
  const path = (file: string) => {
    const short = relative(process.cwd(), file)
    return short.startsWith('..') ? file : short
  }
  const json = `-H 'Content-Type: application/json'`
  const lines = [
    '',
    `  bothub-edge     ${url}`,
    `  API             ${url}/docs`,
    ...(made
      ? [
          `  administrator   ${made.mail}, password in ${path(made.passwordFile)}`,
          `  models          ${made.models.join(', ')}`,
        ]
      : []),
    `  data            ${path(dataDir)}`,
    '',
    '  Try it:',
    made
      ? `  curl -s ${url}/api/auth/register ${json} -d '{"firstName":"Ada","lastName":"Byron","mail":"you@example.com","password":"a long password"}'`
      : `  curl -s ${url}/ready`,
    '',
    '  Ctrl-C ends everything.',
    '',
  ]
  console.log(lines.join('\n'))
}

function fail(message: string): never {
  console.error(message)
  process.exit(1)
}
