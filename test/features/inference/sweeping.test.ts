import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { sql } from 'drizzle-orm'
import { beforeAll, describe, expect, it } from 'vitest'
import { root } from '../../../dev/root.ts'
import { newId } from '../../../src/core/id.ts'
import type { Env } from '../../../src/env.ts'
import { send } from '../../../src/features/chats/sending.ts'
import { noteSwept } from '../../../src/features/inference/mark.ts'
import { createLog } from '../../../src/http/log.ts'
import { connectRedis, type Redis } from '../../../src/ports/redis.ts'
import { serviceState } from '../../../src/ports/redis-keys.ts'
import { sweep, sweepOnSchedule } from '../../../src/sweep.ts'
import { program } from '../../support/door.ts'
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
    await dead.clear()
  })
  const requests = async (when: Date) => {
    at.neon.reset()
    at.upstash.counts.commands = 0
    await sweepOnSchedule({ db: dead.db, redis }, log, when)
    return { postgres: at.neon.counts.requests, redis: at.upstash.counts.commands }
  }

  const state = () => redis.get<string>(serviceState())
  /** As if the last send or booking were so long ago, whatever a Worker remembers. */
  const lastSent = async (minutesAgo: number) => {
    await redis.set(serviceState(), String(Date.now() - minutesAgo * 60_000))
  }
  /** A sweep has found nothing to do, and nothing was sent for long. */
  const falls = async () => {
    await at.worker.crash()
    await dead.clear()
    await lastSent(31)
    await sweepOnSchedule({ db: dead.db, redis }, log, MINUTE_7)
    expect(await state()).toBe('idle')
  }
  const SILENT = '[[fault:slow-first-token=60000]] hm'
  const ask = async (message: string) => {
    const person = await at.richPerson(5)
    const { modelUid } = await at.model({ type: 'demo-instant', token_cost: 1000 })
    return { person, begin: () => dead.begin(person, modelUid, message) }
  }

  it('lets the database of an idle service sleep, but for twice an hour', async () => {
    await lastSent(29)
    expect((await requests(MINUTE_7)).postgres).toBeGreaterThan(0)
    expect((await requests(MINUTE_7)).postgres).toBeGreaterThan(0)
    await falls()
    expect(await requests(MINUTE_7)).toEqual({ postgres: 0, redis: 1 })
    expect((await requests(HALF_PAST)).postgres).toBeGreaterThan(0)
    expect(await requests(MINUTE_7)).toEqual({ postgres: 0, redis: 1 })
  })

  it('looks for half an hour when Redis has lost what it knew', async () => {
    await falls()
    await redis.del(serviceState())
    expect((await requests(MINUTE_7)).postgres).toBeGreaterThan(0)
    expect(Date.now() - Number(await state())).toBeLessThan(10 * 60_000)
    expect((await requests(MINUTE_7)).postgres).toBeGreaterThan(0)
  })

  it('goes on looking while an answer runs, and when one began beside it', async () => {
    const { begin } = await ask(SILENT)
    const { messageUid } = await begin()
    await at.worker.crash()
    await lastSent(31)
    const before = await state()
    await sweepOnSchedule({ db: dead.db, redis }, log, MINUTE_7)
    expect(await state()).toBe(before)
    // What the half-hourly look finds while nobody expected it makes the next ones look, too.
    await redis.set(serviceState(), 'idle')
    await sweepOnSchedule({ db: dead.db, redis }, log, HALF_PAST)
    expect(Number(await state())).toBeGreaterThan(0)
    await dead.expire(messageUid)
    await sweepOnSchedule({ db: dead.db, redis }, log, MINUTE_7)
    // A mark that comes while the sweep looks is not overwritten.
    const seen = Date.now() - 31 * 60_000
    await redis.set(serviceState(), String(seen))
    await noteSwept(redis, seen, async () => (await redis.set(serviceState(), '7')) !== 'OK')
    expect(await state()).toBe('7')
  })

  it.each([
    ['a worker that died before its first flush', false],
    ['one that could not reach Redis at first', true],
  ])('finds the answer of %s', async (_, isAway) => {
    const { person, begin } = await ask(SILENT)
    await falls()
    // The client asks twice by itself.
    let refused = isAway ? 0 : 4
    at.upstash.fault = ([command]) => {
      const name = command?.[0]?.toUpperCase()
      return name === 'EVAL' || (name === 'SET' && refused++ < 4) ? 'before' : undefined
    }
    const { messageUid } = await begin()
    await expect.poll(state).not.toBe('idle')
    await at.worker.crash()
    at.upstash.reset()
    await dead.expire(messageUid)
    await sweepOnSchedule({ db: dead.db, redis }, log, MINUTE_7)
    expect(await dead.generation(messageUid)).toMatchObject({
      status: 'FAILED',
      finish_reason: 'worker_lost',
    })
    expect(await dead.ledger(person)).toMatchObject({ balance: 5_000_000, held: 0 })
  })

  it('finds the call of a program, too, and is told once by many sends', async () => {
    const { key, owner } = await program(at, { credits: 5 })
    const { name: model } = await at.model({ type: 'demo-instant' })
    await falls()
    at.upstash.reset()
    const call = (content: string) =>
      at
        .call('POST', '/v1/chat/completions', {
          token: key,
          json: { model, messages: [{ role: 'user', content }] },
        })
        .catch(() => undefined)
    const marks = () =>
      at.upstash.log.filter(({ commands: [command] }) => command?.[0]?.toUpperCase() === 'SET').length
    expect(await call('[[say:first]]')).toMatchObject({ status: 200 })
    await expect.poll(marks).toBe(1)
    for (let i = 0; i < 3; i++) expect(await call('[[say:next]]')).toMatchObject({ status: 200 })
    expect(marks()).toBe(1)

    await falls()
    let refused: unknown
    void call('[[fault:slow-headers=60000]] hm').then((reply) => {
      refused = reply
    })
    await expect.poll(state).not.toBe('idle')
    const running = sql`SELECT uid FROM generations WHERE user_uid = ${owner.uid}::uuid AND status = 'RUNNING'`
    await expect.poll(async () => refused ?? (await dead.rows(running)).length).toBe(1)
    await at.worker.crash()
    await dead.db.execute(
      sql`UPDATE generations SET lease_until = now() - interval '1 s' WHERE user_uid = ${owner.uid}::uuid AND status = 'RUNNING'`,
    )
    await sweepOnSchedule({ db: dead.db, redis }, log, MINUTE_7)
    expect(await dead.rows(running)).toEqual([])
  })

  it('is marked beside the hold: a Redis that never answers keeps no question waiting', async () => {
    const person = await at.richPerson(5)
    const { modelUid } = await at.model()
    const { chatUid } = (await person.post<{ chatUid: string }>('/api/chat/create', {})).body
    const [{ sessionUid = '' } = {}] = await dead.rows<{ sessionUid?: string }>(
      sql`SELECT uid AS "sessionUid" FROM sessions WHERE user_uid = ${person.uid}::uuid`,
    )
    const never = new Promise<never>(() => {})
    const silent = { set: () => never, eval: () => never } as unknown as Redis
    const sending = await send(
      {
        env: { SENDS_PER_MINUTE: 0, RUNNING_PER_USER: 0 } as Env,
        db: dead.db,
        log,
        redis: silent,
        defer() {},
      },
      { userUid: person.uid, sessionUid, role: 'USER' },
      { kind: 'new', uid: newId(), chatUid, modelUid, message: 'still?', title: '' },
      {},
      undefined,
    )
    await dead.expire(sending.messageUid)
    await sweep({ db: dead.db, redis }, log, false)
    expect(await dead.ledger(person)).toMatchObject({ held: 0 })
  })

  it('looks after a booking and after a send, and while Redis cannot be asked', async () => {
    const { person, begin } = await ask(SILENT)
    await falls()
    await person.post('/api/transaction/my/make', { amount: 5, type: 'PURCHASE', description: 'Test' })
    await expect.poll(state).not.toBe('idle')
    expect((await requests(MINUTE_7)).postgres).toBeGreaterThan(0)

    const begun = await begin()
    await at.worker.crash()
    await dead.expire(begun.messageUid)

    at.upstash.down = true
    await expect(sweepOnSchedule({ db: dead.db, redis }, log, MINUTE_7)).rejects.toThrow()
    at.upstash.down = false
    // The money is right all the same; what the feeds have to hear waits in the outbox.
    expect(await dead.ledger(person)).toMatchObject({ balance: 10_000_000, held: 0 })
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
    await expect(byHand({ ...vars, DATABASE_URL: '' })).rejects.toThrow(/DATABASE_URL/)
  })
})
