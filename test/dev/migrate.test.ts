import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { afterAll, expect, onTestFinished, test } from 'vitest'
import { migrate } from '../../dev/migrate.ts'
import { startNeonBridge } from '../../dev/neon.ts'
import { createScratchDatabase, pgliteEngine, postgresEngine } from '../../dev/postgres-engine.ts'
import { root } from '../../dev/root.ts'
import { makeSecrets } from '../../dev/secrets.ts'
import { realServers } from '../support/servers.ts'

const connectionString = 'postgres://local:local@localhost/local'

/** One for all tests, since it takes seconds to start: a scratch one on the real server when the run has one. */
const { databaseUrl } = realServers()
const scratch = databaseUrl ? await createScratchDatabase(databaseUrl) : undefined
const engine = scratch ? postgresEngine({ connectionString: scratch.url }) : pgliteEngine()
afterAll(async () => {
  await engine.close()
  await scratch?.drop()
})

/** Empty, behind a bridge. */
async function emptyDatabase() {
  const bridge = await startNeonBridge({ engine })
  onTestFinished(bridge.close)
  const ask = async (text: string) => (await engine.run({ statements: [{ text, params: [] }] }))[0]?.rows
  await ask('DROP SCHEMA public CASCADE')
  await ask('CREATE SCHEMA public')
  await ask('DROP SCHEMA IF EXISTS drizzle CASCADE')
  return { bridge, ask, database: { connectionString, endpoint: bridge.url } }
}

test('several at once apply every migration once, and a later one finds nothing to do', async () => {
  const { bridge, ask, database } = await emptyDatabase()
  const counts = await Promise.all([migrate(database), migrate(database), migrate(database)])
  const [[applied] = []] = (await ask('SELECT count(*) FROM drizzle.__drizzle_migrations')) ?? []
  expect(Number(applied)).toBeGreaterThanOrEqual(2)
  expect(counts.reduce((sum, count) => sum + count)).toBe(Number(applied))
  bridge.reset()
  expect(await migrate(database)).toBe(0)
  expect(bridge.counts.requests).toBe(1)
})

test('what was edited after it was applied is refused', async () => {
  const { ask, database } = await emptyDatabase()
  await migrate(database)
  await ask(`UPDATE drizzle.__drizzle_migrations SET hash = 'another' WHERE id = 1`)
  await expect(migrate(database)).rejects.toThrow(/was edited/)
})

test('a lost answer leaves a migration applied or not, never half', async () => {
  const { bridge, ask, database } = await emptyDatabase()
  bridge.fault = ({ statements }) =>
    statements.some((text) => /CREATE TABLE "users"/.test(text)) ? 'after' : undefined
  await expect(migrate(database)).rejects.toThrow()
  bridge.fault = undefined
  await migrate(database)
  expect(await ask(`SELECT count(*) FROM pg_tables WHERE tablename = 'users'`)).toEqual([['1']])
})

/** A command with these keys and no others, and its exit code. */
const command = (file: string, keys: Record<string, string>) =>
  new Promise<{ code: number; said: string }>((resolve) => {
    const env = { PATH: process.env.PATH, NEON_HTTP_ENDPOINT: '', ...keys }
    execFile(process.execPath, [join(root, file)], { env }, (error, stdout, stderr) =>
      resolve({ code: error ? Number(error.code) : 0, said: stdout + stderr }),
    )
  })

test.each(['dev/migrate.ts', 'dev/serve.ts'])(
  '%s says what is wrong in a line, and no password',
  async (file) => {
    const keys = { ...makeSecrets(), UPSTASH_REDIS_REST_URL: 'https://redis.invalid', PORT: '0' }
    for (const DATABASE_URL of [
      'postgres://bothub:hunter22/pa#ss@ep-x.example.net/bothub',
      'postgres://bothub:hunter22\\pass@ep-x.example.net/bothub',
    ]) {
      const { code, said } = await command(file, { ...keys, DATABASE_URL })
      expect([code, said]).toEqual([1, expect.stringMatching(/^.*DATABASE_URL is not an address.*\n$/)])
      expect(said).toContain('ercent-encode')
      expect(said).not.toContain('hunter22')
    }
    const inside = { ...keys, DATABASE_URL: connectionString }
    const named = await command(file, {
      ...inside,
      NEON_HTTP_ENDPOINT: 'http://user:hunter22@127.0.0.1:9/sql',
    })
    expect([named.code, named.said]).toEqual([1, expect.stringMatching(/^.*NEON_HTTP_ENDPOINT holds.*\n$/)])
    expect(named.said).not.toContain('hunter22')
  },
)

test('a database that is away or refuses: the command says so in a line', async () => {
  const { bridge } = await emptyDatabase()
  const keys = { DATABASE_URL: connectionString, NEON_HTTP_ENDPOINT: bridge.url }
  bridge.fault = () => 'before'
  const cut = await command('dev/migrate.ts', keys)
  expect([cut.code, cut.said]).toEqual([
    1,
    'The database could not be migrated: 127.0.0.1 cannot be reached. Does it run, and may this machine go there?\n',
  ])
  bridge.fault = undefined
  expect(await command('dev/migrate.ts', keys)).toEqual({
    code: 0,
    said: expect.stringMatching(/^Applied \d+ migrations\.\n$/),
  })
})
