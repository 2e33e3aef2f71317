/**
 * Every conditional write beside another of its account: one connection holds the account's lock and changes
 * something, the write comes, waits, and must then see what was changed. Needs a real Postgres; PGlite has no second
 * connection.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { realServers } from '../support/servers.ts'
import { type Meeting, openMeeting, told } from './meeting.ts'

const { databaseUrl } = realServers()

if (databaseUrl) races(databaseUrl)
// A file must have a test. PGlite has one connection, which waits for nobody.
else test('locks are met over a real Postgres only: TEST_DATABASE_URL', () => {})

function races(url: string): void {
  let at: Meeting
  beforeAll(async () => {
    at = await openMeeting(url)
  })
  afterAll(() => at?.close())

  const settled = async (uid: string) => {
    await at.until(
      async () => (await at.generation(uid)).status !== 'RUNNING',
      async () => 'it is not settled',
    )
    return at.generation(uid)
  }

  describe('a hold that waits for the account', () => {
    test('sees a balance that was taken meanwhile: 402, nothing written', async () => {
      const person = await at.at.richPerson(1)
      const { modelUid } = await at.at.model()
      const chatUid = await at.chatOf(person)
      const [answer] = await at.meet(
        person.uid,
        [() => at.send(person, chatUid, modelUid)],
        [
          `INSERT INTO transactions VALUES (gen_random_uuid(), '${person.uid}', -1000000, 'ADJUSTMENT', '', 0, 2, NULL, NULL, now())`,
          `UPDATE accounts SET balance = 0, seq = 2 WHERE user_uid = '${person.uid}'`,
        ],
      )
      expect(told(answer!)).toBe('insufficient_credits')
      expect(await at.accountOf(person.uid)).toMatchObject({ balance: 0, held: 0, generations: 0 })
    })

    test('of two in one chat one runs', async () => {
      const person = await at.at.richPerson(5)
      const { modelUid } = await at.at.model({ type: 'demo' })
      const chatUid = await at.chatOf(person)
      const ask = () => at.send(person, chatUid, modelUid, '[[tokens=60,delay=50]]')
      const answers = await at.meet(person.uid, [ask, ask])
      expect(answers.map(told).sort()).toEqual(['200', 'generation_in_progress'])
    })

    test('of two that the balance pays one of, one runs', async () => {
      const person = await at.at.richPerson(0.1)
      const { modelUid } = await at.at.model({ type: 'demo' })
      const chats = [await at.chatOf(person), await at.chatOf(person)]
      const answers = await at.meet(
        person.uid,
        chats.map((chatUid) => () => at.send(person, chatUid, modelUid, '[[tokens=60,delay=50]]')),
      )
      expect(answers.map(told).sort()).toEqual(['200', 'insufficient_credits'])
      expect((await at.accountOf(person.uid)).held).toBe(0)
    })

    test('with one key twice runs once', async () => {
      const person = await at.at.richPerson(5)
      const { modelUid } = await at.at.model()
      const chatUid = await at.chatOf(person)
      const ask = () => at.send(person, chatUid, modelUid, 'hi', { 'Idempotency-Key': 'the-same' })
      const answers = await at.meet(person.uid, [ask, ask])
      for (const answer of answers) expect(['200', 'idempotency_in_progress']).toContain(told(answer))
      expect((await at.accountOf(person.uid)).generations).toBe(1)
    })

    test('does not start after a block, nor in a chat that was deleted', async () => {
      const person = await at.at.richPerson(5)
      const { modelUid } = await at.at.model()
      const [one, two] = [await at.chatOf(person), await at.chatOf(person)]
      const [late] = await at.meet(
        person.uid,
        [() => at.send(person, one!, modelUid)],
        [`UPDATE chats SET deleted_at = now() WHERE uid = '${one}'`],
      )
      expect(told(late!)).toBe('chat_not_found')
      const [blocked] = await at.meet(
        person.uid,
        [() => at.send(person, two!, modelUid)],
        [`UPDATE users SET status = 'BLOCKED' WHERE uid = '${person.uid}'`],
      )
      expect(told(blocked!)).toBe('account_blocked')
      expect((await at.accountOf(person.uid)).generations).toBe(0)
    })
  })

  describe('a booking that waits for the account', () => {
    test('sees what was taken meanwhile, and what is held', async () => {
      const [admin, person] = [await at.at.administrator(), await at.at.richPerson(1)]
      const debit = () =>
        admin.post<any>('/api/transaction/make', {
          ...{ userUid: person.uid, amount: 0.6, type: 'GENERATION_COST', description: 'Race' },
        })
      const answers = await at.meet(person.uid, [debit, debit])
      expect(answers.map(told).sort()).toEqual(['201', 'balance_would_be_negative'])
      expect((await at.accountOf(person.uid)).balance).toBe(400_000)
      const held = (micros: number) => `UPDATE accounts SET held = ${micros} WHERE user_uid = '${person.uid}'`
      const [late] = await at.meet(person.uid, [debit], [held(400_000)])
      expect(told(late!)).toBe('balance_would_be_negative')
      await at.first.query(held(0))
    })

    test('with one key twice is booked once', async () => {
      const person = await at.at.person()
      const key = { 'Idempotency-Key': 'the-same' }
      const buy = () => person.post<any>('/api/transaction/my/make', { amount: 2, type: 'PURCHASE' }, key)
      const answers = await at.meet(person.uid, [buy, buy, buy])
      expect(new Set(answers.map(({ body }) => body.transactionUid)).size).toBe(1)
      expect((await at.accountOf(person.uid)).balance).toBe(2_000_000)
    })
  })

  describe('a settle that waits for the account', () => {
    test('does nothing when another settled meanwhile, and tells what that one recorded', async () => {
      const person = await at.at.richPerson(5)
      const run = await at.running(person)
      const [answer] = await at.meet(
        person.uid,
        [run.end],
        [
          `UPDATE generations SET status = 'FAILED', cost = 0, shortfall = 0, settled_at = now() WHERE uid = '${run.uid}'`,
          `UPDATE messages SET status = 'FAILED' WHERE uid = '${run.messageUid}'`,
          `UPDATE accounts SET held = 0, seq = seq + 1 WHERE user_uid = '${person.uid}'`,
        ],
      )
      expect(answer).toMatchObject({
        status: 200,
        body: { cost: 0, assistantMessage: { status: 'FAILED' } },
      })
      expect(await at.accountOf(person.uid)).toMatchObject({ balance: 5_000_000, held: 0 })
    })

    test('leaves no text in a chat that was deleted meanwhile, and still charges', async () => {
      const person = await at.at.richPerson(5)
      const run = await at.running(person)
      const remove = () => person.delete(`/api/chat/${run.chatUid}`)
      await at.meet(person.uid, [() => run.end().then(() => 0), () => remove().then(() => 0)])
      expect(Number((await settled(run.uid)).cost)).toBeGreaterThan(0)
      const [row] = await at.rows('SELECT message, status FROM messages WHERE uid = $1', run.messageUid)
      expect(row).toMatchObject({ message: '' })
      expect(row.status).not.toBe('STREAMING')
      expect((await at.accountOf(person.uid)).held).toBe(0)
    })

    test('adds up with bookings and holds that meet it there', async () => {
      const [admin, person] = [await at.at.administrator(), await at.at.richPerson(5)]
      const run = await at.running(person)
      const { modelUid } = await at.at.model()
      const chatUid = await at.chatOf(person)
      const book = (amount: number, type: string) =>
        admin.post<any>('/api/transaction/make', { userUid: person.uid, amount, type, description: 'Race' })
      const answers = await at.meet<any>(person.uid, [
        run.end,
        () => at.send(person, chatUid, modelUid),
        () => book(1, 'REFUND'),
        () => book(0.5, 'GENERATION_COST'),
      ])
      expect(answers.map(told)).toEqual(['200', '200', '201', '201'])
      const spent = answers[0].body.cost + answers[1].body.cost
      const { balance, held } = await at.accountOf(person.uid)
      expect(balance).toBe(Math.round((5 + 1 - 0.5 - spent) * 1e6))
      expect(held).toBe(0)
    })
  })

  test('a stop does not wait for the account, and stops what then settles once', async () => {
    const person = await at.at.richPerson(5)
    const run = await at.running(person)
    let stopped: { status: number } | undefined
    const end = async () => {
      stopped = await person.post('/api/chat/stop', { messageUid: run.messageUid })
      return run.answer
    }
    // The account is still locked when the stop is answered, and the settle stands there.
    const answered = () =>
      at.until(
        async () => stopped !== undefined,
        async () => 'the stop waits for the account',
      )
    const [answer] = await at.meet(person.uid, [end], [answered])
    expect(stopped!.status).toBe(202)
    expect(answer!.body.assistantMessage.status).toBe('STOPPED')
    expect((await at.accountOf(person.uid)).held).toBe(0)
  })

  test.each(['block', 'hold'])(
    'a block meets a hold: the %s first, what runs is asked to stop',
    async (first) => {
      const [admin, person] = [await at.at.administrator(), await at.at.richPerson(5)]
      const { modelUid } = await at.at.model({ type: 'demo' })
      const chatUid = await at.chatOf(person)
      const block = () => admin.patch<any>(`/api/user/${person.uid}`, { status: 'BLOCKED' })
      const hold = () => at.send(person, chatUid, modelUid, '[[tokens=20,delay=50]]')
      const isBlock = first === 'block'
      const [one, two] = await at.meet<any>(person.uid, isBlock ? [block, hold] : [hold, block])
      const [sent, blocked] = isBlock ? [two, one] : [one, two]
      expect(blocked.status).toBe(200)
      const rows = await at.rows(
        'SELECT stop_requested_at IS NOT NULL AS asked FROM generations WHERE user_uid = $1',
        person.uid,
      )
      if (sent.status === 200) expect(rows).toEqual([{ asked: true }])
      else expect([told(sent), rows.length]).toEqual(['account_blocked', 0])
      expect((await at.accountOf(person.uid)).held).toBe(0)
    },
  )
}
