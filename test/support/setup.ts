/**
 * Once per run, outside the processes of the tests: with TEST_DATABASE_URL (an administrator's address) and
 * TEST_REDIS_URL set the tests run over real servers, each process in a scratch database and under a prefix of its own.
 */
import { randomUUID } from 'node:crypto'
import type { TestProject } from 'vitest/node'
import { createScratchDatabase } from '../../dev/postgres-engine.ts'
import { realRedis } from '../../dev/redis-engine.ts'

export interface RealServers {
  databaseUrl?: string
  redisUrl?: string
  redisPrefix?: string
}

declare module 'vitest' {
  interface ProvidedContext {
    /** One for each process of the tests; empty where its parts are embedded. */
    servers: RealServers[]
  }
}

export default async function setUp({ config, provide }: TestProject): Promise<() => Promise<void>> {
  const prepared = await Promise.all(Array.from({ length: config.maxWorkers }, prepare))
  provide(
    'servers',
    prepared.map(({ servers }) => servers),
  )
  return async () => {
    await Promise.all(prepared.map(({ cleanUp }) => cleanUp()))
  }
}

async function prepare(): Promise<{ servers: RealServers; cleanUp(): Promise<void> }> {
  const { TEST_DATABASE_URL, TEST_REDIS_URL } = process.env
  const scratch = TEST_DATABASE_URL ? await createScratchDatabase(TEST_DATABASE_URL) : undefined
  const redisPrefix = `test:${randomUUID().slice(0, 8)}:`
  const servers = {
    ...(scratch ? { databaseUrl: scratch.url } : {}),
    ...(TEST_REDIS_URL ? { redisUrl: TEST_REDIS_URL, redisPrefix } : {}),
  }
  const cleanUp = async () => {
    await scratch?.drop()
    if (!TEST_REDIS_URL) return
    const redis = realRedis({ url: TEST_REDIS_URL, keyPrefix: redisPrefix })
    await redis.run(['FLUSHALL']).finally(() => redis.close())
  }
  return { servers, cleanUp }
}
