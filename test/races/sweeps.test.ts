/**
 * The sweep beside whoever else wants the same answer: the worker that renews its lease, the worker that settles,
 * another sweep, and itself when it comes again. Needs a real Postgres; PGlite has no second connection.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { realServers } from '../support/servers.ts'
import { type Meeting, openMeeting } from './meeting.ts'

const { databaseUrl } = realServers()

if (databaseUrl) sweeps(databaseUrl)
else test('sweeps meet on a real Postgres only: TEST_DATABASE_URL', () => {})

function sweeps(url: string): void {
  let at: Meeting
  beforeAll(async () => {
    at = await openMeeting(url)
    // What other tests left would be settled first, for seconds.
    await sweep()
  })
  afterAll(() => at?.close())

  const sweep = () => at.at.worker.scheduled()
  /** What the statement of a renewal does. */
  const renewal = (uid: string) =>
    `UPDATE generations SET lease_until = clock_timestamp() + interval '60 s' WHERE uid = '${uid}' AND status = 'RUNNING'`

  describe('a sweep that found a lease over', () => {
    test('leaves the answer to its worker when that renewed while the sweep waited for the account', async () => {
      const person = await at.at.richPerson(5)
      const run = await at.running(person)
      await at.expire(run.uid)
      await at.meet(person.uid, [sweep], [renewal(run.uid)])
      expect(await at.generation(run.uid)).toMatchObject({ status: 'RUNNING', charges: 0 })
      expect((await run.end()).body.assistantMessage.status).toBe('STOPPED')
      expect(await at.generation(run.uid)).toMatchObject({ status: 'STOPPED', charges: 1 })
      expect((await at.accountOf(person.uid)).held).toBe(0)
    })

    test('leaves it also when it meets the renewal at the answer’s own row', async () => {
      const person = await at.at.richPerson(5)
      const run = await at.running(person)
      await at.expire(run.uid)
      await at.meetAt(renewal(run.uid), [sweep])
      expect(await at.generation(run.uid)).toMatchObject({ status: 'RUNNING', charges: 0 })
      await run.end()
      expect((await at.accountOf(person.uid)).held).toBe(0)
    })

    test('does nothing when its worker settles first', async () => {
      const person = await at.at.richPerson(5)
      const run = await at.running(person, 160)
      await at.expire(run.uid)
      const [answer] = await at.meet<any>(person.uid, [() => run.answer, sweep])
      const { status, charges, cost } = await at.generation(run.uid)
      expect([status, charges]).toEqual(['COMPLETED', 1])
      expect(answer).toMatchObject({ status: 200, body: { cost: Number(cost) / 1e6 } })
      expect(await at.accountOf(person.uid)).toMatchObject({ balance: 5_000_000 - Number(cost), held: 0 })
    })

    test('is the outcome when it settles first, also for the worker', async () => {
      const person = await at.at.richPerson(5)
      const run = await at.running(person)
      await at.expire(run.uid)
      const [, answer] = await at.meet<any>(person.uid, [sweep, run.end])
      const { status, charges, cost } = await at.generation(run.uid)
      expect([status, charges]).toEqual(['FAILED', 1])
      expect(answer).toMatchObject({
        status: 200,
        body: {
          cost: Number(cost) / 1e6,
          assistantMessage: { status: 'FAILED', message: 'as far as this' },
        },
      })
      expect(await at.accountOf(person.uid)).toMatchObject({ balance: 5_000_000 - Number(cost), held: 0 })
    })

    test('settles it once, of two that found it', async () => {
      const person = await at.at.richPerson(5)
      const run = await at.running(person)
      await at.expire(run.uid)
      await at.meet(person.uid, [sweep, sweep])
      const { status, charges, cost } = await at.generation(run.uid)
      expect([status, charges]).toEqual(['FAILED', 1])
      expect(await at.accountOf(person.uid)).toMatchObject({ balance: 5_000_000 - Number(cost), held: 0 })
      await run.answer
      expect((await at.generation(run.uid)).charges).toBe(1)
    })

    test('goes on to the next when one cannot be settled, and the next sweep returns to it', async () => {
      const [one, two] = [await at.at.richPerson(5), await at.at.richPerson(5)]
      const [hard, easy] = [await at.running(one), await at.running(two)]
      await at.expire(hard.uid, 'the hard one')
      await at.expire(easy.uid, 'the easy one')
      const cut = async () => {
        const [pid] = await at.waiting()
        await at.rows('SELECT pg_terminate_backend($1)', pid)
        await at.until(
          async () => (await at.generation(easy.uid)).status !== 'RUNNING',
          async () => 'the one that could not be settled keeps the other waiting',
        )
      }
      await at.meet(one.uid, [sweep], [cut])
      expect(await at.generation(hard.uid)).toMatchObject({ status: 'RUNNING', charges: 0 })
      expect(await at.generation(easy.uid)).toMatchObject({ status: 'FAILED', charges: 1 })
      await sweep()
      expect(await at.generation(hard.uid)).toMatchObject({ status: 'FAILED', charges: 1 })
      for (const person of [one, two]) expect((await at.accountOf(person.uid)).held).toBe(0)
      for (const { answer, uid } of [hard, easy]) {
        await answer
        expect((await at.generation(uid)).charges).toBe(1)
      }
    })
  })
}
