// What a database says that is away for a moment, as callers are told: through the real driver and bridge.
import { sql } from 'drizzle-orm'
import { beforeAll, describe, expect, it } from 'vitest'
import { ask, batch, connectPostgres, type Database } from '../../src/ports/postgres.ts'
import { type Person, type World, world } from '../support/world.ts'

/** By their names in the manual of PostgreSQL, appendix A. */
const AWAY = {
  connection_exception: '08000',
  connection_failure: '08006',
  sqlserver_rejected_establishment: '08004',
  read_only_sql_transaction: '25006',
  serialization_failure: '40001',
  deadlock_detected: '40P01',
  too_many_connections: '53300',
  out_of_memory: '53200',
  object_not_in_prerequisite_state: '55000',
  object_in_use: '55006',
  lock_not_available: '55P03',
  query_canceled: '57014',
  admin_shutdown: '57P01',
  crash_shutdown: '57P02',
  cannot_connect_now: '57P03',
  idle_session_timeout: '57P05',
  io_error: '58030',
}

describe('a database that is away for a moment', () => {
  let at: World
  let db: Database
  let person: Person
  beforeAll(async () => {
    at = await world()
    db = connectPostgres('postgres://local:local@localhost/local', at.neon.url)
    person = await at.richPerson(10)
  })

  it.each(Object.entries(AWAY))('that says %s (%s) is unavailable', async (_, state) => {
    const raise = () =>
      db.execute(sql.raw(`DO $$ BEGIN RAISE EXCEPTION 'secret' USING ERRCODE = '${state}'; END $$`))
    for (const asked of [() => ask(raise()), () => batch(db, [raise()])]) {
      const failure: any = await asked().catch((error) => error)
      expect(failure).toMatchObject({ name: 'Failure', code: 'unavailable' })
      expect(failure.details.retryAfterSeconds).toBeGreaterThan(0)
      expect(`${failure.message} ${failure.details.detail} ${failure.cause}`).not.toContain('secret')
    }
  })

  it('that only hangs up is unavailable, whatever the system calls it', async () => {
    for (const code of ['EPIPE', 'ECONNRESET', undefined]) {
      const asked = ask(Promise.reject(Object.assign(new Error('secret'), { code })))
      await expect(asked).rejects.toMatchObject({ name: 'Failure', code: 'unavailable' })
    }
  })

  it('answers 503 and when to come again, to whoever sends, lists or books', async () => {
    const { modelUid } = await at.model()
    const { chatUid } = (await person.post<{ chatUid: string }>('/api/chat/create', {})).body
    // Each statement of this person's ends as the database would end it.
    await db.execute(sql`ALTER FUNCTION assert_standing RENAME TO standing_of_tests`)
    try {
      for (const state of ['55000', '57P01', '57P03', '53300', '08006']) {
        await db.execute(
          sql.raw(`CREATE OR REPLACE FUNCTION assert_standing(actor uuid, session uuid, administrator boolean)
            RETURNS void LANGUAGE plpgsql AS $$
            BEGIN RAISE EXCEPTION 'away' USING ERRCODE = '${state}'; END $$`),
        )
        const send = { role: 'user', message: 'Anybody?', chatUid, modelUid }
        const book = { amount: 1, type: 'PURCHASE', description: 'Test' }
        for (const reply of [
          await person.post('/api/chat/message', send),
          await person.get('/api/chat/all'),
          await person.post('/api/transaction/my/make', book),
        ]) {
          expect(reply, state).toMatchObject({ status: 503, body: { code: 'unavailable' } })
          expect(Number(reply.headers.get('retry-after')), state).toBeGreaterThan(0)
        }
      }
    } finally {
      await db.execute(sql`DROP FUNCTION IF EXISTS assert_standing`)
      await db.execute(sql`ALTER FUNCTION standing_of_tests RENAME TO assert_standing`)
    }
    expect((await person.get('/api/chat/all')).status).toBe(200)
  })
})
