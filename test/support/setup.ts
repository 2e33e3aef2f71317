/**
 * Once per run, outside the process of the tests: with TEST_DATABASE_URL (an administrator's address) and
 * TEST_REDIS_URL set the tests run over real servers, in a scratch database and under a prefix of their own.
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
    servers: RealServers
  }
}

export default async function setUp({ provide }: TestProject): Promise<() => Promise<void>> {
  const { TEST_DATABASE_URL, TEST_REDIS_URL } = process.env
  const scratch = TEST_DATABASE_URL ? await createScratchDatabase(TEST_DATABASE_URL) : undefined
  const redisPrefix = `test:${randomUUID().slice(0, 8)}:`
  provide('servers', {
    ...(scratch ? { databaseUrl: scratch.url } : {}),
    ...(TEST_REDIS_URL ? { redisUrl: TEST_REDIS_URL, redisPrefix } : {}),
  })
  return async () => {
    await scratch?.drop()
    if (!TEST_REDIS_URL) return
    const redis = realRedis({ url: TEST_REDIS_URL, keyPrefix: redisPrefix })
    await redis.run(['FLUSHALL']).finally(() => redis.close())
  }
}
