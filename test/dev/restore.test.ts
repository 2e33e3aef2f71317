/** What docs/operations.md says of a backup: a copy of the database, and the secrets, are the whole service. */
import { execFile } from 'node:child_process'
import { cp, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { sql } from 'drizzle-orm'
import { expect, onTestFinished, test } from 'vitest'
import { createScratchDatabase } from '../../dev/postgres-engine.ts'
import { type Stack, type StackOptions, startStack } from '../../dev/stack.ts'
import { startDemoUpstream } from '../../dev/upstream.ts'
import { audit } from '../../src/features/transactions/audit.ts'
import { connectPostgres } from '../../src/ports/postgres.ts'
import { realServers } from '../support/servers.ts'
import { testVars } from '../support/stack.ts'

const run = promisify(execFile)
const { databaseUrl } = realServers()

async function scratch(adminUrl: string): Promise<string> {
  const { url, drop } = await createScratchDatabase(adminUrl)
  onTestFinished(drop)
  return url
}

/** Where the first service keeps its data, and a copy of that: by Postgres's own tools, or of the stopped folder. */
async function places(): Promise<{
  first: StackOptions
  copy(stop: () => Promise<void>): Promise<StackOptions>
}> {
  const folder = await mkdtemp(join(tmpdir(), 'restore-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  if (databaseUrl === undefined) {
    const [dataDir, copied] = [join(folder, 'data'), join(folder, 'copy')]
    const copy = async (stop: () => Promise<void>) => {
      await stop()
      await cp(dataDir, copied, { recursive: true })
      return { dataDir: copied }
    }
    return { first: { dataDir }, copy }
  }
  const [from, to] = [await scratch(databaseUrl), await scratch(databaseUrl)]
  const copy = async (stop: () => Promise<void>) => {
    const file = join(folder, 'bothub.dump')
    await run('pg_dump', ['--format=custom', '--no-owner', `--file=${file}`, from])
    await stop()
    await run('pg_restore', ['--exit-on-error', '--no-owner', `--dbname=${to}`, file])
    return { databaseUrl: to }
  }
  return { first: { databaseUrl: from }, copy }
}

const caller = (at: Stack) => async (method: string, path: string, token?: string, json?: unknown) => {
  const answer = await fetch(at.url + path, {
    method,
    headers: { 'Content-Type': 'application/json', ...(token ? { Authorization: `Bearer ${token}` } : {}) },
    ...(json === undefined ? {} : { body: JSON.stringify(json) }),
  })
  return { status: answer.status, body: (await answer.json()) as any }
}

const booksOf = (at: Stack) => connectPostgres('postgres://local:local@localhost/local', at.neon.url)

test('a copy taken while an answer runs is a service again whose books agree', async () => {
  const { first, copy } = await places()
  const upstream = await startDemoUpstream()
  onTestFinished(upstream.close)
  const old = await startStack({ ...first, vars: testVars })
  onTestFinished(old.close)
  const ask = caller(old)
  const form = { firstName: 'Ada', lastName: 'L', password: 'a long password' }
  const mail = 'ada@test.example'
  const { accessToken: admin } = (
    await ask('POST', '/api/auth/register', undefined, { ...form, mail: 'root@test.example', role: 'ADMIN' })
  ).body
  const { accessToken: token } = (await ask('POST', '/api/auth/register', undefined, { ...form, mail })).body
  await ask('POST', '/api/transaction/my/make', token, {
    amount: 10,
    type: 'PURCHASE',
    description: 'all I have',
  })
  const { modelUid } = (
    await ask('POST', '/api/model/create', admin, {
      ...{ name: 'demo', description: 'For a test.', type: 'demo-instant', token_cost: 1000 },
      ...{ api_link: upstream.url, auth_token: 'sk-of-the-upstream' },
    })
  ).body
  const chatUid = async () => (await ask('POST', '/api/chat/create', token, {})).body.chatUid as string
  const said = await chatUid()
  const send = { role: 'user', modelUid }
  const paid = await ask('POST', '/api/chat/message', token, {
    ...send,
    chatUid: said,
    message: '[[say:kept]]',
  })
  expect(paid.body.assistantMessage.message).toBe('kept')
  const running = await chatUid()
  const cutOff = ask('POST', '/api/chat/message', token, {
    ...send,
    chatUid: running,
    message: '[[tokens=3000]] [[delay=20]] a story that the copy cuts off',
  }).catch(() => undefined)
  const holds = sql`SELECT count(*)::int AS count FROM generations WHERE status = 'RUNNING'`
  await expect.poll(async () => (await booksOf(old).execute<any>(holds)).rows[0].count).toBe(1)
  const options = await copy(old.close)
  await cutOff

  // The same secrets, and a Redis that knows nothing.
  const anew = await startStack({ ...options, vars: { ...testVars, ...old.secrets } })
  onTestFinished(anew.close)
  const again = caller(anew)
  const signedIn = await again('POST', '/api/auth/login', undefined, { mail, password: form.password })
  expect(signedIn.status).toBe(200)
  expect((await again('GET', '/api/user/profile', token)).status).toBe(200)
  expect(await audit(booksOf(anew))).toMatchObject({ ok: true, accounts: 2, differences: [] })

  // Nobody renews that lease any more: the sweep settles what ran, as after any crash.
  await booksOf(anew).execute(
    sql`UPDATE generations SET lease_until = clock_timestamp() WHERE status = 'RUNNING'`,
  )
  await anew.scheduled()
  expect(await audit(booksOf(anew))).toMatchObject({ ok: true, differences: [] })
  const { balance, available } = (await again('GET', '/api/user/profile', token)).body
  expect(available).toBe(balance)
  const rows = (await again('GET', `/api/chat/${running}/messages`, token)).body.data
  expect(rows.map(({ status }: any) => status)).not.toContain('STREAMING')

  // The upstream's key is opened by the same MODEL_SECRET_KEYS.
  const next = await again('POST', '/api/chat/message', token, {
    ...send,
    chatUid: said,
    message: '[[say:on]]',
  })
  expect(next.body.assistantMessage.message).toBe('on')
  expect(upstream.requests.at(-1)!.headers.authorization).toBe('Bearer sk-of-the-upstream')
  expect(JSON.stringify(upstream.requests.at(-1)!.body)).toContain('kept')
})
