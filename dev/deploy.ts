/**
 * `npm run deploy -- ENVIRONMENT [--dry-run]`: checks that everything is set, migrates the database, uploads the Worker
 * to that environment of wrangler.toml, and asks it whether it is ready. Secrets are taken from `.ENVIRONMENT.vars`
 * when that file is there, else they must have been set before. Nothing is changed before all of it is there.
 */
import { type SpawnOptions, spawn } from 'node:child_process'
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { isLocal, lookedAt, type Vars } from './checks.ts'
import { shown } from './doctor.ts'
import { migrate, whyNot } from './migrate.ts'
import { root } from './root.ts'
import { requiredKeys, varsIn } from './vars.ts'

const READY_WITHIN_MS = 30_000

const [environment = '', ...words] = process.argv.slice(2)
const isDry = words.includes('--dry-run')
const file = `.${environment}.vars`
const path = join(process.cwd(), file)

const known = [...readFileSync(join(root, 'wrangler.toml'), 'utf8').matchAll(/^\[env\.(\w+)\]/gm)].map(
  ([, name = '']) => name,
)
if (!known.includes(environment)) fail(`Where to? npm run deploy -- ${known.join(' | ')}`)
const vars: Vars = existsSync(path) ? varsIn(path) : {}
await requireSecrets()
const database = databaseOf()

if (!isDry) {
  const count = await migrate(database).catch((error: Error) =>
    fail(`The database could not be migrated, nothing was deployed: ${whyNot(error, database)}`),
  )
  console.log(`Migrations applied: ${count}.`)
}
await upload()

/** What a Worker cannot start without, from the file or set before; and what is set must be good. */
async function requireSecrets(): Promise<void> {
  const here = requiredKeys().filter((key) => vars[key])
  const wanting = requiredKeys().filter((key) => !vars[key])
  const there = wanting.length === 0 ? [] : await secretsThere()
  const missing = wanting.filter((key) => !there.includes(key))
  if (missing.length > 0)
    fail(
      [
        `Not set for ${environment}, so nothing was done: ${missing.join(', ')}.`,
        existsSync(path)
          ? `Fill them in in ${file}.`
          : `Make ${file} and fill it in: npm run vars -- ${file}`,
      ].join('\n'),
    )
  if (isLocal(vars)) fail(`Nothing was done: UPSTASH_REDIS_REST_URL in ${file} is this machine.`)
  // A file may hold some alone: what was set before cannot be read, and is not looked at.
  const findings = lookedAt(vars).filter(({ about, level }) => level !== 'ok' && !there.includes(about))
  if (findings.length > 0) console.log(`${shown(findings)}\n`)
  if (findings.some(({ level }) => level === 'wrong'))
    fail(`Nothing was done: put ${file} right first. With its servers: npm run doctor -- ${file}`)
  console.log(`Secrets: ${here.length} from ${file}, ${there.length} set before.`)
}

/** The names of the secrets that the Worker has. None when it is not there yet. */
async function secretsThere(): Promise<string[]> {
  const { code, said } = await wrangler(['secret', 'list', '--env', environment, '--format', 'json'])
  const list = /\[[\s\S]*\]/.exec(said)?.[0]
  if (code === 0 && list) return (JSON.parse(list) as { name: string }[]).map(({ name }) => name)
  if (/Worker ".*not found/.test(said)) return []
  fail(
    `wrangler could not list the secrets of ${environment} (npx wrangler login?):\n${said.trim().slice(0, 2_000)}`,
  )
}

/**
 * Secrets cannot be read back, so the address to migrate comes from the file or from whoever calls. One of the file is
 * not asked for where the caller's endpoint leads: that may be another database.
 */
function databaseOf(): { connectionString: string; endpoint?: string } {
  const connectionString = vars.DATABASE_URL || process.env.DATABASE_URL
  const endpoint = vars.NEON_HTTP_ENDPOINT || (vars.DATABASE_URL ? undefined : process.env.NEON_HTTP_ENDPOINT)
  if (!connectionString)
    fail(
      `DATABASE_URL is missing: the database of ${environment} is migrated first. Set it in ${file} or the environment.`,
    )
  return { connectionString, ...(endpoint ? { endpoint } : {}) }
}

async function upload(): Promise<void> {
  const report = join(tmpdir(), `bothub-deploy-${process.pid}.ndjson`)
  const flags = [
    ...(existsSync(path) ? ['--secrets-file', path] : []),
    ...(isDry ? ['--dry-run', '--outdir', join(root, '.wrangler/dry')] : []),
  ]
  const { code } = await wrangler(['deploy', '--env', environment, ...flags], {
    stdio: 'inherit',
    env: { ...process.env, WRANGLER_OUTPUT_FILE_PATH: report },
  })
  const lines = existsSync(report) ? readFileSync(report, 'utf8').trim().split('\n') : []
  rmSync(report, { force: true })
  if (code !== 0)
    fail('wrangler did not deploy. What runs is what ran before; a migration that was applied stays.')
  if (isDry) return
  const targets = lines.flatMap((line) => (JSON.parse(line) as { targets?: string[] }).targets ?? [])
  const urls = targets.filter((target) => /^https?:\/\//.test(target))
  for (const url of urls) await requireReady(url)
}

/** A new Worker takes some seconds to be everywhere. */
async function requireReady(url: string): Promise<void> {
  const end = Date.now() + READY_WITHIN_MS
  let said = ''
  for (;;) {
    const answer = await fetch(`${url}/ready`, { signal: AbortSignal.timeout(10_000) }).catch(() => undefined)
    said = answer ? `${answer.status} ${await answer.text().catch(() => '')}` : 'nothing'
    if (answer?.ok) break
    if (Date.now() > end)
      fail(`${url}/ready says ${said}. To what ran before: npx wrangler rollback --env ${environment}`)
    await sleep(1_000)
  }
  console.log(`${url}/ready says ${said}`)
  if (said.includes('degraded'))
    console.log('Redis is away: sending and charging work, live feeds do not. npm run doctor says more.')
}

/** wrangler, as npm run puts it on the PATH. Says what it said unless that goes to the terminal. */
function wrangler(
  args: string[],
  options: SpawnOptions = {},
): Promise<{ code: number | null; said: string }> {
  return new Promise((resolve) => {
    let said = ''
    const child = spawn('wrangler', args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'], ...options })
    for (const output of [child.stdout, child.stderr])
      output?.on('data', (data) => {
        said += data
      })
    child.on('error', (error) => resolve({ code: 1, said: error.message }))
    child.on('close', (code) => resolve({ code, said }))
  })
}

function fail(message: string): never {
  console.error(message)
  process.exit(1)
}
