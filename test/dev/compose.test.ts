/**
 * docker-compose.yml against the code, and its processes run by hand: no engine is needed, so none can be missing. What
 * this cannot see is the images of others and the network between them.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { expect, onTestFinished, test } from 'vitest'
import { parse } from 'yaml'
import { createScratchDatabase } from '../../dev/postgres-engine.ts'
import { root } from '../../dev/root.ts'
import { requiredKeys } from '../../dev/vars.ts'
import { envSchema } from '../../src/env.ts'
import { freePort } from '../support/port.ts'
import { realServers } from '../support/servers.ts'

interface Service {
  image: string
  build?: string
  user: string
  command?: string[]
  environment?: Record<string, string | null>
  ports?: string[]
  networks?: string[]
  volumes: string[]
  depends_on?: Record<string, { condition: string }>
  healthcheck?: { test: string[] }
  read_only: boolean
  cap_drop: string[]
  security_opt: string[]
  restart: string
}

const read = (path: string) => readFileSync(join(root, path), 'utf8')
const compose = parse(read('docker-compose.yml'), { merge: true }) as {
  services: Record<string, Service>
  networks: Record<string, { internal?: boolean }>
  volumes: Record<string, unknown>
}
const { keys, postgres, redis, bridge, api } = compose.services as Record<
  'keys' | 'postgres' | 'redis' | 'bridge' | 'api',
  Service
>
const all = Object.entries(compose.services)
const ours = { keys, bridge, api }
const dockerfile = read('Dockerfile')

/** Whether a path of the project is in the image, as .dockerignore says. */
function isCopied(path: string): boolean {
  const rules = read('.dockerignore')
    .split('\n')
    .filter((line) => line && !line.startsWith('#'))
  const last = rules.findLast((rule) => {
    const pattern = rule.replace(/^!/, '')
    return pattern === '*' || path === pattern || path.startsWith(`${pattern}/`)
  })
  return last?.startsWith('!') === true
}

/** The files that a health check or a command of ours runs. */
const scripts = (words: string[] = []) => words.filter((word) => /\.ts$/.test(word))

test('images are exact, and ours is built once, of what it needs', () => {
  expect(postgres.image).toMatch(/^postgres:17\.\d+-alpine$/)
  expect(redis.image).toMatch(/^redis:8\.\d+\.\d+-alpine$/)
  const bases = [...dockerfile.matchAll(/^FROM (\S+)/gm)].map(([, image]) => image)
  expect(new Set(bases)).toHaveLength(1)
  // workerd needs glibc.
  expect(bases[0]).toMatch(/^node:24\.\d+\.\d+-bookworm-slim$/)

  expect(all.filter(([, { build }]) => build).map(([name]) => name)).toEqual(['keys'])
  for (const service of Object.values(ours)) {
    expect(service.image).toBe(keys.image)
    expect(service.command?.[0]).toBe('node')
    for (const path of [...scripts(service.command), ...scripts(service.healthcheck?.test)]) {
      expect(existsSync(join(root, path)), path).toBe(true)
      expect(isCopied(path), path).toBe(true)
    }
  }
  const inputs = ['src/worker.ts', 'wrangler.toml', 'tsconfig.json', 'package-lock.json', 'openapi.json']
  const more = ['console/main.tsx', 'migrations/meta/_journal.json', '.dev.vars.example', 'public/docs.js']
  for (const path of [...inputs, ...more]) expect(isCopied(path), path).toBe(true)
  for (const path of ['.dev.vars', '.production.vars', '.data/secrets.json', 'node_modules/x', '.git/config'])
    expect(isCopied(path), path).toBe(false)
  const copied = [...dockerfile.matchAll(/^COPY (?!--)(.+) \S+$/gm)].flatMap(([, names = '']) =>
    names.split(' '),
  )
  for (const path of copied) expect(path === '.' || isCopied(path), path).toBe(true)
})

test('every part runs as nobody in particular, on a read-only root, without capabilities', () => {
  for (const [name, service] of all) {
    expect(service.user, name).toMatch(/^(node|postgres|redis)$/)
    expect(service.read_only, name).toBe(true)
    expect(service.cap_drop, name).toEqual(['ALL'])
    expect(service.security_opt, name).toEqual(['no-new-privileges:true'])
    expect(service.restart, name).toBe(service === keys ? 'no' : 'unless-stopped')
  }
})

test('what waits, mounts and listens fits together; databases are reached by the bridge alone', () => {
  for (const [name, { depends_on = {}, volumes, networks = [], ports = [] }] of all) {
    for (const [other, { condition }] of Object.entries(depends_on)) {
      const { healthcheck, restart } = compose.services[other]!
      if (condition === 'service_healthy') expect(healthcheck, `${name} → ${other}`).toBeDefined()
      else expect([condition, restart]).toEqual(['service_completed_successfully', 'no'])
    }
    for (const mount of volumes) {
      const [volume = '', path = '', mode] = mount.split(':')
      expect(Object.keys(compose.volumes), mount).toContain(volume)
      if (volume.endsWith('-keys')) {
        // One hand writes a volume of keys, at a place that the image has; the part that it is for reads it.
        expect(volume, mount).toBe(`${name === 'keys' ? path.slice(6) : name}-keys`)
        if (name === 'keys') expect(dockerfile).toMatch(new RegExp(`install -d.* ${path}(\\s|$)`, 'm'))
        else expect([path, mode]).toEqual(['/run/keys', 'ro'])
      }
    }
    for (const network of networks) expect(Object.keys(compose.networks)).toContain(network)
    for (const port of ports) expect(port).toMatch(/^(127\.0\.0\.1|\$\{LISTEN:-127\.0\.0\.1\}):/)
  }
  expect(compose.networks.inside?.internal).toBe(true)
  expect([postgres, redis].map(({ networks, ports }) => [networks, ports])).toEqual([
    [['inside'], undefined],
    [['inside'], undefined],
  ])
  expect(api.networks).toEqual(['outside'])

  const { NEON_HTTP_ENDPOINT = '', UPSTASH_REDIS_REST_URL = '', PORT } = api.environment ?? {}
  const inside = [NEON_HTTP_ENDPOINT, UPSTASH_REDIS_REST_URL].map((url) => new URL(url ?? ''))
  expect(inside.map(({ hostname }) => hostname)).toEqual(['bridge', 'bridge'])
  expect(bridge.ports).toEqual(inside.map(({ port }) => `127.0.0.1:${port}:${port}`))
  expect(api.ports).toEqual([`\${LISTEN:-127.0.0.1}:\${PORT:-8000}:${PORT}`])
  for (const port of [PORT, ...inside.map((url) => url.port)])
    expect(dockerfile).toMatch(new RegExp(`^EXPOSE.* ?${port}\\b`, 'm'))
  // What `wrangler dev` beside it is told.
  const example = read('.dev.vars.example')
  for (const url of inside)
    expect(example).toContain(`"http://127.0.0.1:${url.port}${url.pathname.replace(/^\/$/, '')}"`)
})

test('every variable is one that the code reads, every key can be set, and no secret stands in the file', async () => {
  for (const [name, { command, environment = {} }] of Object.entries(ours)) {
    const code = read(scripts(command)[0] ?? '')
    for (const key of Object.keys(environment))
      if (name !== 'api' || !(key in envSchema.shape))
        expect(code, `${name}: ${key}`).toMatch(new RegExp(`\\b${key}\\b`))
  }
  const folder = await scratch()
  await runKeys(folder)
  const said = Object.keys(api.environment ?? {})
  const made = readdirSync(join(folder, 'api'))
  expect([...said, ...made]).toEqual(expect.arrayContaining(Object.keys(envSchema.shape)))
  const given = said.filter((key) => api.environment?.[key] != null)
  expect([...given, ...made]).toEqual(expect.arrayContaining(requiredKeys()))

  const { POSTGRES_USER, POSTGRES_DB, POSTGRES_PASSWORD_FILE } = postgres.environment ?? {}
  expect(POSTGRES_PASSWORD_FILE).toBe('/run/keys/password')
  expect(bridge.environment?.DATABASE_URL).toBe(`postgres://${POSTGRES_USER}@postgres:5432/${POSTGRES_DB}`)
  const seen = new URL(readFileSync(join(folder, 'api/DATABASE_URL'), 'utf8').trim())
  expect([seen.username, seen.pathname]).toEqual([POSTGRES_USER, `/${POSTGRES_DB}`])
  expect(redis.command?.slice(0, 2)).toEqual(['redis-server', '/run/keys/redis.conf'])

  for (const [name, { environment = {} }] of all)
    for (const [key, value] of Object.entries(environment))
      if (/PASSWORD|SECRET|TOKEN|KEY/.test(key))
        expect(value ?? '', `${name}: ${key}`).toMatch(/^$|^\/keys$|^\/run\/keys(\/password)?$/)
})

async function scratch(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'bothub-compose-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  return folder
}

/** A service's command with its environment over none of ours; `places` says what compose's names are here. */
function run(service: Service, places: [string, string][], more: Record<string, string> = {}) {
  const environment = { ...service.environment, ...more }
  const env = Object.fromEntries(
    Object.entries(environment).flatMap(([key, value]) =>
      value === null || value === undefined
        ? []
        : [[key, places.reduce((text, [there, here]) => text.replaceAll(there, here), value)]],
    ),
  )
  const child = spawn(process.execPath, service.command?.slice(1) ?? [], {
    cwd: root,
    env: { PATH: process.env.PATH, ...env },
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  const said = { text: '' }
  for (const output of [child.stdout, child.stderr])
    output.on('data', (data) => {
      said.text += data
    })
  return { child, said, env, ended: once(child, 'exit') as Promise<[number | null]> }
}

const runKeys = async (folder: string) => {
  const { said, ended } = run(keys, [['/keys', folder]])
  expect([await ended, said.text]).toEqual([[0, null], `The keys are in ${folder}.\n`])
}

/** The health check of a service, until it is well. */
async function healthy(service: Service, env: Record<string, string>, child: ChildProcess): Promise<void> {
  const end = Date.now() + 60_000
  const check = { ...service, command: service.healthcheck?.test.slice(1) ?? [] }
  while (child.exitCode === null && Date.now() < end) {
    const [code] = await run({ ...check, environment: env }, []).ended
    if (code === 0) return
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  throw new Error(`${service.command?.join(' ')} did not become healthy`)
}

test('keys, bridge and API run by their own commands: a paid answer, and an end', async () => {
  const folder = await scratch()
  const { databaseUrl, redisUrl } = realServers()
  const database = databaseUrl ? await createScratchDatabase(databaseUrl) : undefined
  if (database) onTestFinished(() => database.drop())
  // The servers of the tests have passwords of their own, or none.
  const put = (name: string, value: string) => {
    mkdirSync(join(folder, name, '..'), { recursive: true })
    writeFileSync(join(folder, name), value)
  }
  if (database) put('postgres/password', decodeURIComponent(new URL(database.url).password) || 'any')
  if (redisUrl) put('bridge/REDIS_PASSWORD', new URL(redisUrl).password)
  await runKeys(folder)
  const contents = () =>
    readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((name) => [name, text(name)])
  const text = (name: string) => (/\w\/\w/.test(name) ? readFileSync(join(folder, name), 'utf8') : '')
  const before = contents()
  await runKeys(folder)
  expect(contents()).toEqual(before)
  chmodSync(folder, 0o500)

  const [neon, upstash, port] = [await freePort(), await freePort(), await freePort()]
  const places: [string, string][] = [
    ['bridge:54330', `127.0.0.1:${neon}`],
    ['bridge:54331', `127.0.0.1:${upstash}`],
    ['0.0.0.0', '127.0.0.1'],
  ]
  const without = Object.fromEntries(
    Object.entries(bridge.environment ?? {}).filter(([key]) => !/^(DATABASE|REDIS)_URL$/.test(key)),
  )
  const servers = {
    ...(database ? { DATABASE_URL: database.url } : {}),
    // Another database than the other tests have, emptied afterwards.
    ...(redisUrl ? { REDIS_URL: new URL('/15', redisUrl).href } : {}),
  }
  if (redisUrl)
    onTestFinished(async () => {
      const own = new Redis(new URL('/15', redisUrl).href)
      await own.flushdb().finally(() => own.disconnect())
    })
  const ports = { NEON_PORT: String(neon), UPSTASH_PORT: String(upstash) }
  const bridging = run(
    { ...bridge, environment: without },
    [['/run/keys', join(folder, 'bridge')], ...places],
    {
      ...servers,
      ...ports,
    },
  )
  await healthy(bridge, bridging.env, bridging.child)
  if (database) {
    const stranger = await fetch(`http://127.0.0.1:${neon}/sql`, {
      method: 'POST',
      headers: {
        'Neon-Raw-Text-Output': 'true',
        'Neon-Connection-String': 'postgres://bothub:guess@x/bothub',
      },
      body: JSON.stringify({ query: 'SELECT 1', params: [] }),
    })
    expect(stranger.status).toBe(400)
  }

  const serving = run(api, [['/run/keys', join(folder, 'api')], ...places], {
    PORT: String(port),
    DEMO: 'on',
    PUBLIC_URL: 'https://chat.test.example',
  })
  await healthy(api, serving.env, serving.child)
  await expect.poll(() => serving.said.text, { timeout: 30_000 }).toContain('"event":"serving"')
  const url = `http://127.0.0.1:${port}`
  let token = ''
  const call = async (path: string, json?: object) => {
    const answer = await fetch(`${url}/api${path}`, {
      headers: { 'Content-Type': 'application/json', ...(token ? { Authorization: `Bearer ${token}` } : {}) },
      ...(json ? { method: 'POST', body: JSON.stringify(json) } : {}),
    })
    expect(answer.ok, `${path}: ${answer.status}`).toBe(true)
    return (await answer.json()) as Record<string, any>
  }
  const person = {
    firstName: 'Ada',
    lastName: 'Byron',
    mail: 'ada@test.example',
    password: 'a long password',
  }
  token = (await call('/auth/register', person)).accessToken
  // Through a proxy it is plain http that comes here, and https that people see.
  const entered = await fetch(`${url}/api/auth/login`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(person, ['mail', 'password']),
  })
  expect([entered.status, entered.headers.get('set-cookie')]).toEqual([
    200,
    expect.stringContaining('Secure'),
  ])
  await call('/transaction/my/make', { amount: 10, type: 'PURCHASE', description: 'x' })
  const model = (await call('/model/all')).data.find(({ name }: { name: string }) => name === 'demo')
  const { chatUid } = await call('/chat/create', {})
  const message = { role: 'user', message: '[[tokens=3]] Hello?', chatUid, modelUid: model.uid }
  const { cost, newBalance } = await call('/chat/message', message)
  expect(cost).toBeGreaterThan(0)
  expect(newBalance).toBe((10_000_000 - Math.round(cost * 1e6)) / 1e6)
  expect((await fetch(`${url}/docs`)).status).toBe(200)
  // The cron's handler is the ticker's alone.
  expect((await fetch(`${url}/cdn-cgi/handler/scheduled`)).status).toBe(404)

  for (const { child, ended } of [serving, bridging]) {
    child.kill('SIGTERM')
    expect(await ended).toEqual([0, null])
  }
  const words = before
    .map(([, value = '']) => value.trim().replace(/^requirepass /, ''))
    .filter((word) => word.length > 12)
  expect(words.length).toBeGreaterThan(6)
  for (const word of words) expect((serving.said.text + bridging.said.text).includes(word)).toBe(false)
}, 120_000)

test('with a key missing the API says which, and no more', async () => {
  const folder = await scratch()
  writeFileSync(join(folder, 'JWT_ACCESS_SECRET'), 'short-and-secret')
  const { said, ended } = run(api, [['/run/keys', folder]], { PORT: '1' })
  expect(await ended).toEqual([1, null])
  expect(said.text).toMatch(
    /^Configuration: DATABASE_URL is missing.*JWT_ACCESS_SECRET must have at least 32/,
  )
  expect(said.text).not.toContain('short-and-secret')
})
