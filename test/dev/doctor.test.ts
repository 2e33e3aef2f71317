/** `npm run doctor` as it is called, against the bridges: one thing is broken at a time. */
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { migrate } from '../../dev/migrate.ts'
import { type NeonBridge, startNeonBridge } from '../../dev/neon.ts'
import {
  createScratchDatabase,
  type Engine,
  pgliteEngine,
  postgresEngine,
} from '../../dev/postgres-engine.ts'
import { embeddedRedis } from '../../dev/redis-embedded.ts'
import { type RedisEngine, realRedis } from '../../dev/redis-engine.ts'
import { root } from '../../dev/root.ts'
import { makeSecrets } from '../../dev/secrets.ts'
import { weaknessOf } from '../../dev/strength.ts'
import { startUpstashBridge, type UpstashBridge } from '../../dev/upstash.ts'
import { realServers } from '../support/servers.ts'

const password = 'p%w0rd-of-the-database'
const secrets = makeSecrets()
let postgres: Engine
let redis: RedisEngine
let neon: NeonBridge
let upstash: UpstashBridge
let drop: (() => Promise<void>) | undefined

beforeAll(async () => {
  const { databaseUrl, ...real } = realServers()
  const scratch = databaseUrl ? await createScratchDatabase(databaseUrl) : undefined
  drop = scratch?.drop
  postgres = scratch ? postgresEngine({ connectionString: scratch.url }) : pgliteEngine()
  redis = real.redisUrl
    ? realRedis({ url: real.redisUrl, ...(real.redisPrefix ? { keyPrefix: real.redisPrefix } : {}) })
    : embeddedRedis()
  neon = await startNeonBridge({ engine: postgres, password })
  upstash = await startUpstashBridge({ engine: redis, token: secrets.UPSTASH_REDIS_REST_TOKEN })
  // An embedded Postgres that starts holds up this process, and with it the bridge to Redis.
  await postgres.run({ statements: [{ text: 'SELECT 1', params: [] }] })
})

afterAll(async () => {
  await Promise.all([neon.close(), upstash.close()])
  await Promise.all([postgres.close(), redis.close()])
  await drop?.()
})

const healthy = () => ({
  ...secrets,
  DATABASE_URL: `postgres://local:${encodeURIComponent(password)}@ep-quiet-1.example.net/local`,
  NEON_HTTP_ENDPOINT: neon.url,
  UPSTASH_REDIS_REST_URL: upstash.url,
})

/** What it says about a configuration, and its exit code. Whatever it says, no secret is in it. */
async function doctor(changes: Record<string, string> = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'bothub-doctor-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  const file = join(folder, '.production.vars')
  const vars: Record<string, string> = { ...healthy(), ...changes }
  const lines = Object.entries(vars).map(([key, value]) => `${key}="${value}"`)
  await writeFile(file, lines.join('\n'))
  const { code, said } = await run(file)
  const words = Object.entries(vars)
    .filter(([key, value]) => /SECRET|TOKEN/.test(key) && value.length > 8)
    .map(([, value]) => value)
  for (const word of [...words, password, encodeURIComponent(password), 'another-password'])
    expect(said).not.toContain(word)
  return { code, said }
}

const run = (file: string) =>
  new Promise<{ code: number; said: string }>((resolve) => {
    const env = { PATH: process.env.PATH }
    execFile(process.execPath, [join(root, 'dev/doctor.ts'), file], { env }, (error, stdout, stderr) =>
      resolve({ code: error ? Number(error.code) : 0, said: stdout + stderr }),
    )
  })

test('a database that nobody has migrated: says what to do, and nothing is wrong after that', async () => {
  const before = await doctor()
  expect(before.code).toBe(1)
  expect(before.said).toMatch(/wrong +migrations +\d+ to come, 0 applied: npm run migrate/)
  expect(before.said).toContain('1 thing is wrong.')

  const { DATABASE_URL, NEON_HTTP_ENDPOINT } = healthy()
  await migrate({ connectionString: DATABASE_URL, endpoint: NEON_HTTP_ENDPOINT })
  const after = await doctor()
  expect([after.code, after.said]).toEqual([0, expect.stringContaining('Nothing is wrong.')])
  expect(after.said).toMatch(/ok +Postgres +answers in \d+ ms, version 1\d/)
  expect(after.said).toMatch(/ok +clock +0\.\d s apart/)
  expect(after.said).toMatch(/ok +migrations +all \d+, the last is \d{4}_\w+/)
  expect(after.said).toMatch(/ok +Redis +a script publishes, and who listens over HTTP hears it/)
  expect(after.said).toMatch(/note +administrators +none yet/)
  expect(after.said).toMatch(/ok +JWT_ACCESS_SECRET +strong/)

  // Without a way to become one, none is too few.
  const closed = await doctor({ ADMIN_REGISTRATION: 'closed' })
  expect([closed.code, closed.said]).toEqual([1, expect.stringMatching(/wrong +administrators +none/)])
})

test('a database whose migrations are others than here', async () => {
  const set = (hash: string) =>
    postgres.run({
      statements: [
        { text: `UPDATE drizzle.__drizzle_migrations SET hash = ${hash} WHERE id = 1`, params: [] },
      ],
    })
  const [row] = await postgres.run({
    statements: [{ text: 'SELECT hash FROM drizzle.__drizzle_migrations WHERE id = 1', params: [] }],
  })
  await set(`'edited'`)
  const { code, said } = await doctor()
  await set(`'${row?.rows[0]?.[0]}'`)
  expect([code, said]).toEqual([1, expect.stringMatching(/wrong +migrations +0000_\w+ changed after/)])
})

test('a role that may not read which migrations the database took', async () => {
  const role = `narrow_${Date.now()}`
  const table = 'drizzle.__drizzle_migrations'
  const run = (...texts: string[]) =>
    postgres.run({ statements: texts.map((text) => ({ text, params: [] })) })
  // A view is read with the rights of its owner.
  await run(
    `CREATE ROLE ${role}`,
    `ALTER TABLE ${table} RENAME TO kept`,
    `CREATE VIEW ${table} AS SELECT * FROM drizzle.kept`,
    `ALTER VIEW ${table} OWNER TO ${role}`,
  )
  const { code, said } = await doctor()
  await run(
    `DROP VIEW ${table}`,
    `ALTER TABLE drizzle.kept RENAME TO __drizzle_migrations`,
    `DROP ROLE ${role}`,
  )
  expect(code).toBe(1)
  expect(said).toMatch(/ok +Postgres/)
  expect(said).toMatch(/wrong +migrations +127\.0\.0\.1 refuses: .*permission denied for table kept/)
  expect(said).toMatch(/ok +Redis/)
})

test('servers that refuse or are not there', async () => {
  const refused = await doctor({
    DATABASE_URL: 'postgres://local:another-password@ep-quiet-1.example.net/local',
  })
  expect(refused.code).toBe(1)
  expect(refused.said).toMatch(/wrong +Postgres +127\.0\.0\.1 refuses the password/)
  expect(refused.said).toMatch(/ok +Redis/)

  const token = await doctor({ UPSTASH_REDIS_REST_TOKEN: 'of-some-other-database-here' })
  expect([token.code, token.said]).toEqual([
    1,
    expect.stringMatching(/wrong +Redis +127\.0\.0\.1 refuses the token/),
  ])

  // A server that repeats what it was sent, so far along that only a part of the token would be shown.
  const echo = createServer(({ headers }, response) => {
    response.writeHead(400, { 'Content-Type': 'application/json' })
    response.end(JSON.stringify({ error: `${'x'.repeat(180)} ${headers.authorization}` }))
  }).listen(0, '127.0.0.1')
  onTestFinished(() => void echo.close())
  await once(echo, 'listening')
  const { port } = echo.address() as AddressInfo
  const told = await doctor({ UPSTASH_REDIS_REST_URL: `http://127.0.0.1:${port}` })
  expect([told.code, told.said]).toEqual([1, expect.stringMatching(/wrong +Redis .* refuses: x+ Bearer …/)])

  upstash.down = true
  const down = await doctor()
  upstash.down = false
  expect(down.code).toBe(1)
  expect(down.said).toMatch(/wrong +Redis +127\.0\.0\.1 cannot be reached/)
  expect(down.said).toMatch(/ok +Postgres/)

  // A proxy that knows commands and no subscriptions, as the usual ones for a local Redis are.
  upstash.fault = ([first]) => (first?.[0] === 'SUBSCRIBE' ? 'before' : undefined)
  const deaf = await doctor()
  upstash.fault = undefined
  expect([deaf.code, deaf.said]).toEqual([1, expect.stringMatching(/wrong +Redis +opens no subscription/)])

  const [gone] = [await startUpstashBridge({ engine: redis, token: 'x' })]
  await gone.close()
  const nobody = await doctor({ UPSTASH_REDIS_REST_URL: gone.url, NEON_HTTP_ENDPOINT: gone.url })
  expect(nobody.said.match(/wrong +(Postgres|Redis) +127\.0\.0\.1 cannot be reached/g)).toHaveLength(2)
})

test('keys that are weak, missing or of the wrong kind', async () => {
  const { code, said } = await doctor({
    JWT_ACCESS_SECRET: 'change-me-change-me-change-me-change-me',
    JWT_REFRESH_SECRET: 'ab12'.repeat(16),
    MODEL_SECRET_KEYS: `k1:${Buffer.alloc(32, 7).toString('base64')}`,
    UPSTASH_REDIS_REST_TOKEN: '',
    CLIENT_GONE_S: '60',
  })
  expect(code).toBe(1)
  const short = await doctor({ JWT_ACCESS_SECRET: 'short' })
  expect(short.said).toMatch(/wrong +JWT_ACCESS_SECRET +is shorter than 32 characters/)
  expect(said).toMatch(/wrong +JWT_ACCESS_SECRET +looks made up/)
  expect(said).toMatch(/wrong +JWT_REFRESH_SECRET +is easy to guess/)
  expect(said).toMatch(/wrong +MODEL_SECRET_KEYS +is easy to guess/)
  expect(said).toMatch(/wrong +UPSTASH_REDIS_REST_TOKEN +is missing/)
  expect(said).toMatch(/wrong +CLIENT_GONE_S +is not valid/)

  const { JWT_ACCESS_SECRET: one } = secrets
  const twice = await doctor({
    JWT_REFRESH_SECRET: one,
    UPSTASH_REDIS_REST_URL: 'rediss://eu1.example.io:6379',
  })
  expect(twice.said).toMatch(/wrong +JWT_REFRESH_SECRET +is the same as JWT_ACCESS_SECRET/)
  expect(twice.said).toMatch(/wrong +UPSTASH_REDIS_REST_URL +is the address for TCP/)
})

test.each([
  ['DATABASE_URL', 'postgres://bothub:hunter22/pa#ss@ep-x.example.net/bothub'],
  ['DATABASE_URL', 'postgres://bothub:hunter22\\pass@ep-x.example.net/bothub'],
  ['DATABASE_URL', 'postgres://ep-x.example.net'],
  ['UPSTASH_REDIS_REST_URL', 'http://user:hunter22pass@[bad'],
  ['UPSTASH_REDIS_REST_URL', 'localhost:8079'],
  ['NEON_HTTP_ENDPOINT', 'http://user:hunter22pass@h:99999999/x'],
  ['NEON_HTTP_ENDPOINT', 'http://user:hunter22pass@127.0.0.1:9/sql'],
  ['NEON_HTTP_ENDPOINT', 'foo'],
  ['CORS_ORIGINS', 'https://app.example.com,https://someone:hunter22@b.example.com'],
])('%s that is none is wrong, and not shown: %s', async (key, value) => {
  const { code, said } = await doctor({ [key]: value })
  expect(said).toMatch(new RegExp(`wrong +${key} `))
  expect(said).not.toContain('hunter22')
  // No stack either, and what else there is was looked at.
  expect([code, said]).toEqual([1, expect.stringMatching(/things? (is|are) wrong\.\n$/)])
  expect(said).toMatch(/ok +JWT_REFRESH_SECRET/)
})

test('the file that `npm run vars -- FILE` makes wants three addresses and nothing else', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'bothub-vars-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  const file = join(folder, '.production.vars')
  const make = () => promisify(execFile)(process.execPath, [join(root, 'dev/vars.ts'), file])
  expect((await make()).stdout).toContain('with fresh secrets')
  expect((await stat(file)).mode & 0o777).toBe(0o600)
  const { code, said } = await run(file)
  const wanting = [...said.matchAll(/wrong +(\w+) +is missing/g)].map(([, key]) => key)
  expect(wanting.toSorted()).toEqual(['DATABASE_URL', 'UPSTASH_REDIS_REST_TOKEN', 'UPSTASH_REDIS_REST_URL'])
  expect([code, said]).toEqual([1, expect.stringContaining('3 things are wrong.')])
  expect(said).not.toMatch(/note/)

  const before = await readFile(file, 'utf8')
  expect((await make()).stdout).toContain('nothing was changed')
  expect(await readFile(file, 'utf8')).toBe(before)
})

test('rules are looked at for where the service is to run', async () => {
  const open = { ADMIN_REGISTRATION: 'open', SELF_TOP_UP: 'on', PRIVATE_UPSTREAMS: 'on' }
  const here = await doctor({ ...open, CORS_ORIGINS: 'https://app.example.com/' })
  expect(here.said).toContain('for this machine')
  expect(here.said).toMatch(/note +ADMIN_REGISTRATION +is open/)
  expect(here.said).toMatch(/wrong +CORS_ORIGINS +entry 1 .*https:\/\/app\.example\.com$/m)

  const there = await doctor({ ...open, UPSTASH_REDIS_REST_URL: 'https://redis.invalid' })
  expect(there.said).toContain('for a deployment')
  expect(there.said).toMatch(/wrong +ADMIN_REGISTRATION +is open: anybody becomes an administrator/)
  expect(there.said).toMatch(/note +SELF_TOP_UP +is on/)
  expect(there.said).toMatch(/wrong +NEON_HTTP_ENDPOINT +is this machine/)
  expect(there.said).toMatch(/wrong +Redis +/)

  // What opens the same without naming it.
  const demo = { DEMO: 'on', PRIVATE_UPSTREAMS: 'off' }
  expect((await doctor(demo)).said).toMatch(/note +DEMO +.*opens ADMIN_REGISTRATION, SELF_TOP_UP\b/)
  const shown = await doctor({ ...demo, UPSTASH_REDIS_REST_URL: 'https://redis.invalid' })
  expect(shown.said).toMatch(/wrong +DEMO +.*opens ADMIN_REGISTRATION, SELF_TOP_UP\b/)
  expect(shown.said).not.toMatch(/DEMO.*PRIVATE_UPSTREAMS/)
})

test('random secrets of every usual make are strong, always', () => {
  for (let n = 0; n < 500; n++)
    for (const kind of ['base64', 'base64url', 'hex'] as const) {
      const bytes = crypto.getRandomValues(Buffer.alloc(32))
      expect(weaknessOf(bytes.toString(kind)), bytes.toString(kind)).toBeUndefined()
    }
})
