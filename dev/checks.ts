/** What `npm run doctor` looks at: a configuration by itself, then the servers that it names. Nothing is changed. */
import { randomUUID } from 'node:crypto'
import { neon, neonConfig } from '@neondatabase/serverless'
import { fromBase64 } from '../src/core/bytes.ts'
import { envSchema } from '../src/env.ts'
import { connectRedis } from '../src/ports/redis.ts'
import { faultOfDatabase, faultOfHttp } from './addresses.ts'
import { demoRules } from './demo.ts'
import { migrationsOf } from './migrate.ts'
import { refusal } from './refusal.ts'
import { weaknessOf, weaknessOfBytes } from './strength.ts'

export type Vars = Record<string, string | undefined>

/** `wrong` is to be put right before people come; `note` is for somebody to decide. No text holds a secret. */
export interface Finding {
  level: 'ok' | 'note' | 'wrong'
  about: string
  says: string
}

const finding =
  (level: Finding['level']) =>
  (about: string, says: string): Finding => ({ level, about, says })
const ok = finding('ok')
const note = finding('note')
const wrong = finding('wrong')

/** A configuration for this machine: what is open to everybody is open to one. */
export const isLocal = ({ UPSTASH_REDIS_REST_URL: url = '' }: Vars): boolean =>
  URL.canParse(url) && /^(localhost|127\.[\d.]+|\[::1\])$/.test(new URL(url).hostname)

/** Everything that can be seen without asking anybody. */
export const lookedAt = (vars: Vars): Finding[] => [
  ...forms(vars),
  ...keys(vars),
  ...addresses(vars),
  ...rules(vars),
]

function forms(vars: Vars): Finding[] {
  const { error } = envSchema.safeParse(vars)
  if (!error) return [ok('configuration', 'every key is there and of its form')]
  const keys = new Map(error.issues.map(({ path: [key], message }) => [String(key), message]))
  return [...keys].map(([key, message]) =>
    wrong(key, vars[key] ? `is not valid: ${message}` : 'is missing. .dev.vars.example says what it is'),
  )
}

const RANDOM = 'Make another: openssl rand -base64 48'

function keys(vars: Vars): Finding[] {
  const found: Finding[] = []
  const listed = (key: string) => (vars[key] ?? '').split(',').map((text) => text.trim())
  for (const key of ['JWT_ACCESS_SECRET', 'JWT_REFRESH_SECRET']) {
    if (!vars[key]) continue
    const weakness = listed(key)
      .map(weaknessOf)
      .find((each) => each !== undefined)
    found.push(weakness ? wrong(key, `${weakness}. ${RANDOM}`) : ok(key, 'strong'))
  }
  if (vars.JWT_ACCESS_SECRET && listed('JWT_ACCESS_SECRET')[0] === listed('JWT_REFRESH_SECRET')[0])
    found.push(wrong('JWT_REFRESH_SECRET', `is the same as JWT_ACCESS_SECRET. ${RANDOM}`))

  const seals = envSchema.shape.MODEL_SECRET_KEYS.safeParse(vars.MODEL_SECRET_KEYS ?? '')
  if (seals.success) {
    const weakness = seals.data
      .map(({ key }) => weaknessOfBytes(fromBase64(key)))
      .find((each) => each !== undefined)
    found.push(
      weakness
        ? wrong('MODEL_SECRET_KEYS', `${weakness}. Make another: openssl rand -base64 32`)
        : ok('MODEL_SECRET_KEYS', `strong, ${seals.data.length} in use`),
    )
  }
  return found
}

function addresses(vars: Vars): Finding[] {
  const found: Finding[] = []
  // What is missing or not of its form has been said.
  const given = (key: 'DATABASE_URL' | 'NEON_HTTP_ENDPOINT' | 'UPSTASH_REDIS_REST_URL') =>
    (envSchema.shape[key].safeParse(vars[key]).success && vars[key]) || ''
  for (const key of ['NEON_HTTP_ENDPOINT', 'UPSTASH_REDIS_REST_URL'] as const) {
    const url = given(key)
    if (!url) continue
    const fault = /^rediss?:/.test(url)
      ? 'is the address for TCP. The REST address begins with https://'
      : faultOfHttp(url)
    if (fault) found.push(wrong(key, fault))
    else if (
      /^http:/i.test(url) &&
      new URL(url).hostname.includes('.') &&
      !isLocal({ UPSTASH_REDIS_REST_URL: url })
    )
      found.push(wrong(key, 'is http to another machine: whoever is on the way reads secrets. Use https'))
  }
  const { NEON_HTTP_ENDPOINT } = vars
  if (NEON_HTTP_ENDPOINT && !isLocal(vars) && isLocal({ UPSTASH_REDIS_REST_URL: NEON_HTTP_ENDPOINT }))
    found.push(wrong('NEON_HTTP_ENDPOINT', 'is this machine, and Redis is not. For Neon it stays empty'))
  const database = given('DATABASE_URL')
  if (!database) return found
  const fault = faultOfDatabase(database)
  if (fault) found.push(wrong('DATABASE_URL', fault))
  else if (new URL(database).password === '')
    found.push(wrong('DATABASE_URL', 'has no password. Copy the whole connection string'))
  return found
}

function rules(vars: Vars): Finding[] {
  const found: Finding[] = []
  const here = isLocal(vars)
  const grave = here ? note : wrong
  const mine = here ? '. Fine on this machine, and nowhere else' : ''
  if (vars.ADMIN_REGISTRATION === 'open')
    found.push(
      grave(
        'ADMIN_REGISTRATION',
        `is open: anybody becomes an administrator${mine || '. Use first or closed'}`,
      ),
    )
  if (vars.SELF_TOP_UP === 'on')
    found.push(note('SELF_TOP_UP', `is on: people give themselves credits${mine}`))
  if (vars.PRIVATE_UPSTREAMS === 'on')
    found.push(note('PRIVATE_UPSTREAMS', `is on: administrators reach your own network${mine}`))
  if (vars.DEMO === 'on') {
    const opened = Object.keys(demoRules).filter((key) => !vars[key])
    const how = opened.includes('ADMIN_REGISTRATION') ? grave : note
    const what = opened.length > 0 ? `opens ${opened.join(', ')}` : 'adds a model to talk to'
    found.push(how('DEMO', `is on: dev/serve.ts ${what}${mine}`))
  }
  return [...found, ...origins(vars)]
}

function origins(vars: Vars): Finding[] {
  const listed = (vars.CORS_ORIGINS ?? '')
    .split(',')
    .map((text) => text.trim())
    .filter(Boolean)
  return listed.flatMap((text, index) => {
    const origin = URL.canParse(text) ? new URL(text).origin : 'null'
    if (origin !== text) {
      // Never as it stands: somebody may have written a password into it.
      const looks = origin === 'null' || text.includes('@') ? 'One looks like https://app.example.com' : ''
      return [wrong('CORS_ORIGINS', `entry ${index + 1} is no origin. ${looks || `Write ${origin}`}`)]
    }
    return /^http:/.test(text) && !isLocal(vars)
      ? [wrong('CORS_ORIGINS', `${text} is http: a page that anybody on the way can write`)]
      : []
  })
}

// A token's time is checked by the Worker's clock, a lease by the database's.
const SKEW_MS = { note: 2_000, wrong: 30_000 }

/** Postgres: reachable, ours to write, with a clock that agrees, migrated, and who administers. */
export async function postgresAnswers(vars: Vars): Promise<Finding[]> {
  const { DATABASE_URL: connectionString = '', NEON_HTTP_ENDPOINT: endpoint } = vars
  if (faultOfDatabase(connectionString) || (endpoint && faultOfHttp(endpoint))) return []
  if (endpoint) neonConfig.fetchEndpoint = endpoint
  const sql = neon(connectionString)
  const found: Finding[] = []
  try {
    // The first request may have to wake it.
    await sql.query('SELECT 1')
    const begin = Date.now()
    const [row] = await sql.query(
      `SELECT extract(epoch FROM clock_timestamp()) * 1000 AS now, current_setting('server_version') AS version,
        current_setting('transaction_read_only') AS read_only`,
    )
    const ms = Date.now() - begin
    if (row?.read_only === 'on')
      found.push(wrong('Postgres', 'takes no writes. Use the address of the primary, not of a replica'))
    else found.push(ok('Postgres', `answers in ${ms} ms, version ${row?.version}`))
    const skewMs = Math.max(0, Math.abs(Number(row?.now) - begin - ms / 2) - ms / 2)
    const apart = `${(skewMs / 1000).toFixed(1)} s apart from this machine's`
    if (skewMs < SKEW_MS.note) found.push(ok('clock', apart))
    else found.push((skewMs < SKEW_MS.wrong ? note : wrong)('clock', `${apart}: set one of them right`))
  } catch (error) {
    return [wrong('Postgres', refusal(error, endpoint || connectionString, vars))]
  }
  try {
    return [...found, ...(await migrated(connectionString, endpoint, vars))]
  } catch (error) {
    // Its role may ask for the time and read none of these tables.
    return [...found, wrong('migrations', refusal(error, endpoint || connectionString, vars))]
  }
}

async function migrated(connectionString: string, endpoint: string | undefined, vars: Vars) {
  const { applied, missing, edited, unknown } = await migrationsOf({
    connectionString,
    ...(endpoint ? { endpoint } : {}),
  })
  if (edited.length > 0)
    return [
      wrong(
        'migrations',
        `${edited.join(', ')} changed after this database took it. Check out what was deployed`,
      ),
    ]
  if (missing.length > 0)
    return [wrong('migrations', `${missing.length} to come, ${applied.length} applied: npm run migrate`)]
  const state =
    unknown > 0
      ? note('migrations', `${unknown} that this checkout does not know: the database is ahead of it`)
      : ok('migrations', `all ${applied.length}, the last is ${applied.at(-1)}`)
  const [row] = await neon(connectionString).query(
    `SELECT count(*) AS count FROM users WHERE role = 'ADMIN' AND status = 'ACTIVE'`,
  )
  const count = Number(row?.count)
  if (count > 0) return [state, ok('administrators', `${count}`)]
  return vars.ADMIN_REGISTRATION === 'closed'
    ? [state, wrong('administrators', 'none, and ADMIN_REGISTRATION is closed. Set it to first and register')]
    : [state, note('administrators', 'none yet: the first who registers as one is it. Be the first')]
}

/** Redis: reachable, able to run a script that publishes, and to tell who listens over HTTP. */
export async function redisAnswers(vars: Vars) {
  const { UPSTASH_REDIS_REST_URL = '', UPSTASH_REDIS_REST_TOKEN = '' } = vars
  if (faultOfHttp(UPSTASH_REDIS_REST_URL)) return []
  const redis = connectRedis(UPSTASH_REDIS_REST_URL, UPSTASH_REDIS_REST_TOKEN)
  const begin = Date.now()
  try {
    await redis.ping()
  } catch (error) {
    return [wrong('Redis', refusal(error, UPSTASH_REDIS_REST_URL, vars))]
  }
  const found = [ok('Redis', `answers in ${Date.now() - begin} ms`)]
  const over = new AbortController()
  const channel = `doctor:${randomUUID()}`
  try {
    const subscription = await redis.listen(channel, over.signal)
    await redis
      .eval(`return redis.call('PUBLISH', KEYS[1], ARGV[1])`, [channel], ['well?'])
      .catch((error: Error) => {
        const why = /NOPERM/.test(error.message)
          ? 'This is the read-only token. Use the other one'
          : 'Live feeds need it'
        found.push(wrong('Redis', `runs no script that publishes. ${why}`))
        over.abort()
      })
    const timer = setTimeout(() => over.abort(), 5_000)
    const heard = await subscription.next()
    clearTimeout(timer)
    if (heard?.includes('well?'))
      found.push(ok('Redis', 'a script publishes, and who listens over HTTP hears it'))
    else if (found.length === 1)
      found.push(
        wrong('Redis', 'acknowledges a subscription and delivers nothing: is it on the way buffered?'),
      )
  } catch {
    found.push(wrong('Redis', 'opens no subscription over HTTP (POST /subscribe). Live feeds need it'))
  } finally {
    over.abort()
  }
  return found
}
