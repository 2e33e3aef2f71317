/**
 * A million transactions of 100,000 people: what people, programs and the cron ask of the database goes by an index, and
 * touches at most twice the pages that it touches among a thousand people. (Not here: an administrator's search in names
 * and sums over everybody, which read what they are about.) Needs a real Postgres.
 */
import { neonConfig } from '@neondatabase/serverless'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { embeddedRedis } from '../../dev/redis-embedded.ts'
import { startUpstashBridge } from '../../dev/upstash.ts'
import { audit } from '../../src/features/transactions/audit.ts'
import type { Audit } from '../../src/features/transactions/schema.ts'
import { connectRedis } from '../../src/ports/redis.ts'
import { type Cost, type Explained, explained } from './explained.ts'
import { type Walk, walksWith } from './walks.ts'

const { TEST_DATABASE_URL } = process.env

const FEW = 1_000
const MANY = 100_000

if (TEST_DATABASE_URL) plans(TEST_DATABASE_URL)
else test('plans are made by a real Postgres only: TEST_DATABASE_URL', () => {})

function plans(adminUrl: string): void {
  const before = neonConfig.fetchEndpoint
  const closing: (() => Promise<unknown>)[] = []
  afterAll(async () => {
    for (const close of closing.reverse()) await close()
    neonConfig.fetchEndpoint = before
  })

  let report: Audit | undefined
  let audited: Cost
  let pages = 0
  const costs = new Map<string, { few: Cost; many: Cost }>()
  const names = Object.keys(walksWith(undefined as never))

  /** In turn: a settle settles what the hold before it held. */
  async function measured(at: Explained): Promise<Map<string, Cost>> {
    const bridge = await startUpstashBridge({ engine: embeddedRedis(), token: 'any' })
    closing.push(bridge.close)
    const found = new Map<string, Cost>()
    const walks: [string, Walk][] = Object.entries(walksWith(connectRedis(bridge.url, 'any')))
    for (const [name, { prepared, walk }] of walks) {
      for (const statement of prepared?.() ?? []) await at.client.query(statement)
      found.set(name, await at.costOf(walk))
    }
    return found
  }

  describe('among a million transactions of 100,000 people', () => {
    beforeAll(async () => {
      const few = await explained(adminUrl, FEW, true)
      closing.push(few.close)
      const many = await explained(adminUrl, MANY, false)
      closing.push(many.close)
      const [small, large] = [await measured(few), await measured(many)]
      for (const name of names) costs.set(name, { few: small.get(name)!, many: large.get(name)! })
      audited = await many.costOf(async (db) => {
        report = await audit(db)
      })
      const size =
        "SELECT sum(relpages)::int AS pages FROM pg_class WHERE relnamespace = 'public'::regnamespace"
      pages = (await many.client.query(size)).rows[0].pages
    }, 900_000)

    test.each(names)('%s', (name) => {
      const { few, many } = costs.get(name)!
      // One page of models is no big table.
      expect(many.scanned.filter((table) => table !== 'models')).toEqual([])
      expect(many.buffers).toBeGreaterThan(0)
      expect(many.buffers).toBeLessThanOrEqual(2 * few.buffers)
    })

    test('the audit finds all in order after that, and reads the whole of it about once', () => {
      expect(report).toMatchObject({ ok: true, differences: [] })
      expect(audited.buffers).toBeLessThanOrEqual(2 * pages)
    })
  })
}
