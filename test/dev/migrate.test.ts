import { afterAll, expect, inject, onTestFinished, test } from 'vitest'
import { migrate } from '../../dev/migrate.ts'
import { startNeonBridge } from '../../dev/neon.ts'
import { createScratchDatabase, pgliteEngine, postgresEngine } from '../../dev/postgres-engine.ts'

const connectionString = 'postgres://local:local@localhost/local'

/** One for all tests, since it takes seconds to start: a scratch one on the real server when the run has one. */
const { databaseUrl } = inject('servers')
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
