/** `npm run audit:money` and `npm run sweep` beside `npm start`, and with nobody there. */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { neon, neonConfig } from '@neondatabase/serverless'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { root } from '../../dev/root.ts'
import { freePort } from '../support/port.ts'

/** Nothing that this shell or a checkout's .dev.vars may name. */
const bare = { DATABASE_URL: '', NEON_HTTP_ENDPOINT: '', UPSTASH_REDIS_REST_URL: '' }

const before = neonConfig.fetchEndpoint
let dataDir: string
beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'bothub-commands-'))
})
afterAll(() => {
  neonConfig.fetchEndpoint = before
  return rm(dataDir, { recursive: true, force: true })
})

interface Ended {
  code: number
  stdout: string
  stderr: string
}

const run = (command: 'audit' | 'sweep', environment: Record<string, string> = {}): Promise<Ended> =>
  new Promise((resolve) => {
    const env = { ...process.env, ...bare, DATA_DIR: dataDir, ...environment }
    execFile(process.execPath, [join(root, `dev/${command}.ts`)], { env }, (error, stdout, stderr) =>
      resolve({ code: Number(error?.code ?? 0), stdout, stderr }),
    )
  })

async function start(): Promise<{ url: string; child: ChildProcess }> {
  const port = await freePort()
  const env: NodeJS.ProcessEnv = { ...process.env, PORT: String(port), DATA_DIR: dataDir }
  for (const name of Object.keys(bare)) delete env[name]
  const child = spawn(process.execPath, [join(root, 'dev/main.ts')], { env })
  let said = ''
  for (const output of [child.stdout, child.stderr])
    output.on('data', (data) => {
      said += data
    })
  await vi.waitUntil(() => said.includes('Ctrl-C') || child.exitCode !== null, { timeout: 60_000 })
  expect(said).toContain('Ctrl-C')
  return { url: `http://localhost:${port}`, child }
}

test('the commands find what npm start runs, and do their work on it', async () => {
  const { url, child } = await start()
  try {
    const path = join(dataDir, 'stack.json')
    expect((await stat(path)).mode & 0o777).toBe(0o600)
    const { reach } = JSON.parse(await readFile(path, 'utf8'))
    neonConfig.fetchEndpoint = reach.NEON_HTTP_ENDPOINT
    const sql = neon(reach.DATABASE_URL)

    const call = async (method: string, route: string, token: string | undefined, json: object) => {
      const answer = await fetch(url + route, {
        method,
        headers: {
          'content-type': 'application/json',
          ...(token ? { authorization: `Bearer ${token}` } : {}),
        },
        body: JSON.stringify(json),
      })
      return answer.json() as Promise<any>
    }
    const person = { firstName: 'Test', lastName: 'Person', mail: 'of@commands.example' }
    const { user, accessToken } = await call('POST', '/api/auth/register', undefined, {
      ...person,
      password: 'a long password',
    })
    await call('POST', '/api/transaction/my/make', accessToken, { amount: 100, type: 'PURCHASE' })
    const { chatUid } = await call('POST', '/api/chat/create', accessToken, {})
    const models = await fetch(`${url}/api/model/all`, {
      headers: { authorization: `Bearer ${accessToken}` },
    })
    const [model] = ((await models.json()) as { data: { uid: string }[] }).data
    const message = '[[tokens=4000,delay=50]] at length'
    const asked = { role: 'user', message, chatUid, modelUid: model!.uid }
    const answer = call('POST', '/api/chat/message', accessToken, asked)
    const running = async () => (await sql`SELECT uid FROM generations WHERE status = 'RUNNING'`).length
    await expect.poll(running, { timeout: 30_000 }).toBe(1)

    const fine = await run('audit')
    expect(fine).toMatchObject({ code: 0, stderr: '' })
    expect(fine.stdout).toMatch(
      /^On the local stack on .* \(npm start\)\.\n\d+ accounts at .*: no differences\.\n$/,
    )

    await sql`UPDATE generations SET lease_until = now() - interval '1 s', text_so_far = 'saved' WHERE status = 'RUNNING'`
    const swept = await run('sweep')
    expect(swept.code).toBe(0)
    expect(swept.stdout).toMatch(/^On the local stack on .*\n(?:\{.*\n)*Settled 1, published \d+, forgot 0/)
    expect(await running()).toBe(0)
    expect((await answer).assistantMessage).toMatchObject({ status: 'FAILED', message: 'saved' })

    await sql`UPDATE accounts SET held = 1 WHERE user_uid = ${user.uid}::uuid`
    const broken = await run('audit')
    expect(broken.code).toBe(1)
    expect(broken.stdout).toContain(`held ${user.uid}: `)
    await sql`UPDATE accounts SET held = 0 WHERE user_uid = ${user.uid}::uuid`

    child.kill('SIGINT')
    await once(child, 'exit')
    expect(await readdir(dataDir)).not.toContain('stack.json')
  } finally {
    child.kill('SIGKILL')
  }
}, 180_000)

test('where nothing runs they say so in one line', async () => {
  for (const left of [false, true]) {
    // What a process left behind that was killed.
    const reach = { DATABASE_URL: 'postgres://local:local@localhost/local' }
    if (left) await writeFile(join(dataDir, 'stack.json'), JSON.stringify({ pid: 2 ** 22 + 1, reach }))
    for (const command of ['audit', 'sweep'] as const) {
      const { code, stdout, stderr } = await run(command)
      expect([code, stdout]).toEqual([1, ''])
      expect(stderr).toMatch(/^DATABASE_URL is not set, .* and no `npm start` runs on .*\.\n$/)
    }
  }
})

test('with the database away the audit says so in one line, and no address with a password', async () => {
  const away = {
    DATABASE_URL: 'postgres://someone:a-secret-word@db.example/books',
    NEON_HTTP_ENDPOINT: `http://127.0.0.1:${await freePort()}/sql`,
  }
  const { code, stdout, stderr } = await run('audit', away)
  expect(code).toBe(1)
  expect(stdout).toMatch(/^On the database db\.example\/books over 127\.0\.0\.1:\d+\/sql\.\n$/)
  expect(stderr).toBe('The books could not be read: Postgres could not be asked.\n')
  expect(stdout + stderr).not.toContain('a-secret-word')
})
