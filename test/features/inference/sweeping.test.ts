import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { sql } from 'drizzle-orm'
import { beforeAll, describe, expect, it } from 'vitest'
import { root } from '../../../dev/root.ts'
import { newId } from '../../../src/core/id.ts'
import { createLog } from '../../../src/http/log.ts'
import { connectRedis, type Redis } from '../../../src/ports/redis.ts'
import { sweepWanted } from '../../../src/ports/redis-keys.ts'
import { sweep, sweepOnSchedule } from '../../../src/sweep.ts'
import { stack } from '../../support/stack.ts'
import { type World, world } from '../../support/world.ts'
import { mortuary } from './dead.ts'

const log = createLog({ sweep: 'of a test' })
const MINUTE_7 = new Date('2026-01-01T00:07:00Z')
const HALF_PAST = new Date('2026-01-01T00:30:00Z')

describe('when the sweep runs', () => {
  let at: World
  let dead: ReturnType<typeof mortuary>
  let redis: Redis
  let token: string
  beforeAll(async () => {
    at = await world({ CLIENT_GONE_S: '13' })
    dead = mortuary(at)
    token = (await stack()).secrets.UPSTASH_REDIS_REST_TOKEN ?? ''
    redis = connectRedis(at.upstash.url, token)
    // What other tests have left behind, however young, is not of this one.
    await dead.db.execute(sql`UPDATE outbox SET created_at = created_at - interval '1 min'`)
    await sweep({ db: dead.db, redis }, log, true)
  })
  const requests = async (when: Date) => {
    at.neon.reset()
    at.upstash.counts.commands = 0
    await sweepOnSchedule({ db: dead.db, redis }, log, when)
    return { postgres: at.neon.counts.requests, redis: at.upstash.counts.commands }
  }

  it('lets the database of an idle service sleep, but for twice an hour', async () => {
    await redis.del(sweepWanted())
    expect(await requests(MINUTE_7)).toEqual({ postgres: 0, redis: 1 })
    expect((await requests(HALF_PAST)).postgres).toBeGreaterThan(0)
    expect((await requests(MINUTE_7)).postgres).toBe(0)
  })

  it('looks after a booking and after a send, and while Redis cannot be asked', async () => {
    const person = await at.person()
    await redis.del(sweepWanted())
    await person.post('/api/transaction/my/make', { amount: 5, type: 'PURCHASE', description: 'Test' })
    await expect.poll(() => redis.get(sweepWanted())).toBe('1')
    expect((await requests(MINUTE_7)).postgres).toBeGreaterThan(0)

    const { modelUid } = await at.model({ type: 'demo-instant', token_cost: 1000 })
    await redis.del(sweepWanted())
    const begun = await dead.begin(person, modelUid, '[[fault:slow-first-token=60000]] hm')
    await expect.poll(() => redis.get(sweepWanted()), { timeout: 30_000 }).toBe('1')
    const left = await redis.eval("return redis.call('TTL', KEYS[1])", [sweepWanted()], [])
    expect(Number(left)).toBeGreaterThan(1_700)
    await at.worker.crash()
    await dead.expire(begun.messageUid)

    at.upstash.down = true
    await expect(sweepOnSchedule({ db: dead.db, redis }, log, MINUTE_7)).rejects.toThrow()
    at.upstash.down = false
    // The money is right all the same; what the feeds have to hear waits in the outbox.
    expect(await dead.ledger(person)).toMatchObject({ balance: 5_000_000, held: 0 })
    const waiting = sql`SELECT count(*)::int AS n FROM outbox WHERE user_uid = ${person.uid}::uuid AND event = 'chat_settled'`
    expect(await dead.rows(waiting)).toEqual([{ n: 1 }])
    await dead.db.execute(
      sql`UPDATE outbox SET created_at = created_at - interval '1 min' WHERE user_uid = ${person.uid}::uuid`,
    )
    await at.worker.scheduled()
    expect(await dead.rows(waiting)).toEqual([{ n: 0 }])
  })

  it('forgets old keys and sessions, and nothing that is still good', async () => {
    const person = await at.person()
    const key = (name: string, hours: number) =>
      dead.db.execute(sql`
        INSERT INTO idempotency (user_uid, key, fingerprint, status, created_at)
        VALUES (${person.uid}::uuid, ${name}, 'x', 200, now() - make_interval(hours => ${hours}::int))`)
    const session = async (expiresInDays: number, endedDaysAgo?: number) => {
      const uid = newId()
      await dead.db.execute(sql`
        INSERT INTO sessions (uid, user_uid, rotated_at, expires_at, ended_at)
        VALUES (${uid}::uuid, ${person.uid}::uuid, now(), now() + make_interval(days => ${expiresInDays}::int),
          now() - make_interval(days => ${endedDaysAgo ?? null}::int))`)
      return uid
    }
    await key('old', 49)
    await key('good', 47)
    const old = [await session(-31), await session(-40, 50), await session(20, 31)]
    const good = [await session(-29), await session(20, 29), await session(20)]
    await sweepOnSchedule({ db: dead.db, redis }, log, HALF_PAST)
    const keys = sql`SELECT key FROM idempotency WHERE user_uid = ${person.uid}::uuid`
    expect(await dead.rows(keys)).toEqual([{ key: 'good' }])
    const left = (
      await dead.rows<{ uid: string }>(sql`SELECT uid FROM sessions WHERE user_uid = ${person.uid}::uuid`)
    ).map(({ uid }) => uid)
    expect(left).toEqual(expect.arrayContaining(good))
    for (const uid of old) expect(left).not.toContain(uid)
    expect((await person.get('/api/user/profile')).status).toBe(200)
  })

  it('runs by hand, too', async () => {
    const person = await at.richPerson(10)
    const { modelUid } = await at.model({ type: 'demo-instant', token_cost: 1000 })
    const { messageUid } = await dead.begin(person, modelUid, '[[tokens=2000]] [[delay=50]] a story')
    await at.worker.crash()
    await dead.expire(messageUid, 'some words')
    const byHand = (vars: Record<string, string>) =>
      promisify(execFile)(process.execPath, [join(root, 'dev/sweep.ts')], { env: { PATH: '', ...vars } })
    const vars = {
      DATABASE_URL: 'postgres://local:local@localhost/local',
      NEON_HTTP_ENDPOINT: at.neon.url,
      UPSTASH_REDIS_REST_URL: at.upstash.url,
      UPSTASH_REDIS_REST_TOKEN: token,
    }
    expect((await byHand(vars)).stdout).toMatch(/Settled 1, published [1-9]/)
    expect((await byHand(vars)).stdout).toMatch(/Settled 0, published 0/)
    expect(await dead.ledger(person)).toMatchObject({ held: 0, charges: 1 })
    await expect(byHand({ ...vars, DATABASE_URL: '' })).rejects.toThrow(/DATABASE_URL missing/)
  })
})
