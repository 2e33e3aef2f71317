/**
 * Every conditional write beside another of its account: one connection holds the account's lock and changes
 * something, the write comes, waits, and must then see what was changed. Needs a real Postgres; PGlite has no second
 * connection.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { type Person, type World, world } from '../support/world.ts'

const { databaseUrl } = inject('servers')

if (databaseUrl) races(databaseUrl)
// A file must have a test. PGlite has one connection, which waits for nobody.
else test('locks are met over a real Postgres only: TEST_DATABASE_URL', () => {})

function races(url: string): void {
  let at: World
  let first: Client
  let watch: Client
  beforeAll(async () => {
    at = await world()
    first = new Client({ connectionString: url })
    watch = new Client({ connectionString: url })
    await Promise.all([first.connect(), watch.connect()])
  })
  afterAll(() => Promise.all([first?.end(), watch?.end()]))

  /** How many of the service's connections wait for a lock. */
  async function waiting(): Promise<number> {
    const { rows } = await watch.query(`SELECT count(*)::int AS n FROM pg_stat_activity
      WHERE datname = current_database() AND application_name = 'neon-bridge' AND wait_event_type = 'Lock'`)
    return rows[0].n
  }

  /**
   * Begins with the account's lock, starts the rivals, waits until `blocked` of them stand at it, does `meanwhile`
   * on the connection that holds it, commits, and gives what came of the rivals.
   */
  async function meet<Result>(
    userUid: string,
    rivals: (() => Promise<Result>)[],
    meanwhile: string[] = [],
    blocked = rivals.length,
  ): Promise<Result[]> {
    await first.query('BEGIN')
    await first.query('SELECT FROM accounts WHERE user_uid = $1 FOR UPDATE', [userUid])
    const running = Promise.all(rivals.map((rival) => rival()))
    try {
      for (let i = 0; (await waiting()) < blocked; i++) {
        if (i > 400) throw new Error(`${await waiting()} of ${blocked} stand at the lock`)
        await sleep(10)
      }
      for (const statement of meanwhile) await first.query(statement)
    } finally {
      await first.query('COMMIT')
    }
    return running
  }

  const told = ({ status, body }: { status: number; body: any }) => body?.code ?? status
  const sorted = (values: (string | number)[]) => values.map(String).sort()
  const chatOf = async (person: Person) => (await person.post<any>('/api/chat/create')).body.chatUid as string
  const accountOf = async (uid: string) => {
    const { rows } = await watch.query(
      `SELECT balance::float8, held::float8,
        (SELECT coalesce(sum(amount), 0)::float8 FROM transactions WHERE user_uid = $1) AS sum,
        (SELECT count(*)::int FROM generations WHERE user_uid = $1) AS generations
      FROM accounts WHERE user_uid = $1`,
      [uid],
    )
    const { balance, sum } = rows[0]
    expect(sum).toBe(balance)
    return rows[0] as { balance: number; held: number; generations: number }
  }
  const send = (person: Person, chatUid: string, modelUid: string, message = 'hi', headers = {}) =>
    person.post<any>(
      '/api/chat/message',
      { role: 'user', message, chatUid, modelUid, maxTokens: 64 },
      headers,
    )
  /** An answer that runs until it is told to end, and its message. */
  async function running(person: Person, seconds = 3) {
    const { modelUid } = await at.model({ type: 'demo' })
    const chatUid = await chatOf(person)
    const answer = send(person, chatUid, modelUid, `[[tokens=${seconds * 20},delay=50]]`)
    for (;;) {
      const { rows } = await watch.query(
        `SELECT message_uid, uid FROM generations WHERE chat_uid = $1 AND status = 'RUNNING'`,
        [chatUid],
      )
      if (rows[0]) return { chatUid, modelUid, answer, messageUid: rows[0].message_uid, uid: rows[0].uid }
      await sleep(10)
    }
  }
  const settled = async (uid: string) => {
    for (;;) {
      const { rows } = await watch.query('SELECT * FROM generations WHERE uid = $1', [uid])
      if (rows[0].status !== 'RUNNING') return rows[0]
      await sleep(20)
    }
  }

  describe('a hold that waits for the account', () => {
    test('sees a balance that was taken meanwhile: 402, nothing written', async () => {
      const person = await at.richPerson(1)
      const { modelUid } = await at.model()
      const chatUid = await chatOf(person)
      const [answer] = await meet(
        person.uid,
        [() => send(person, chatUid, modelUid)],
        [
          `INSERT INTO transactions VALUES (gen_random_uuid(), '${person.uid}', -1000000, 'ADJUSTMENT', '', 0, 2, NULL, NULL, now())`,
          `UPDATE accounts SET balance = 0, seq = 2 WHERE user_uid = '${person.uid}'`,
        ],
      )
      expect(told(answer!)).toBe('insufficient_credits')
      expect(await accountOf(person.uid)).toMatchObject({ balance: 0, held: 0, generations: 0 })
    })

    test('of two in one chat one runs', async () => {
      const person = await at.richPerson(5)
      const { modelUid } = await at.model({ type: 'demo' })
      const chatUid = await chatOf(person)
      const ask = () => send(person, chatUid, modelUid, '[[tokens=20,delay=20]]')
      const answers = await meet(person.uid, [ask, ask])
      expect(sorted(answers.map(told))).toEqual(['200', 'generation_in_progress'])
    })

    test('of two that the balance pays one of, one runs', async () => {
      const person = await at.richPerson(0.1)
      const { modelUid } = await at.model({ type: 'demo' })
      const chats = [await chatOf(person), await chatOf(person)]
      const answers = await meet(
        person.uid,
        chats.map((chatUid) => () => send(person, chatUid, modelUid, '[[tokens=20,delay=20]]')),
      )
      expect(sorted(answers.map(told))).toEqual(['200', 'insufficient_credits'])
      expect((await accountOf(person.uid)).held).toBe(0)
    })

    test('with one key twice runs once', async () => {
      const person = await at.richPerson(5)
      const { modelUid } = await at.model()
      const chatUid = await chatOf(person)
      const ask = () => send(person, chatUid, modelUid, 'hi', { 'Idempotency-Key': 'the-same' })
      const answers = await meet(person.uid, [ask, ask])
      for (const answer of answers) expect(['200', 'idempotency_in_progress']).toContain(String(told(answer)))
      expect((await accountOf(person.uid)).generations).toBe(1)
    })

    test('does not start after a block, nor in a chat that was deleted', async () => {
      const person = await at.richPerson(5)
      const { modelUid } = await at.model()
      const [one, two] = [await chatOf(person), await chatOf(person)]
      const [late] = await meet(
        person.uid,
        [() => send(person, one!, modelUid)],
        [`UPDATE chats SET deleted_at = now() WHERE uid = '${one}'`],
      )
      expect(told(late!)).toBe('chat_not_found')
      const [blocked] = await meet(
        person.uid,
        [() => send(person, two!, modelUid)],
        [`UPDATE users SET status = 'BLOCKED' WHERE uid = '${person.uid}'`],
      )
      expect(told(blocked!)).toBe('account_blocked')
      expect((await accountOf(person.uid)).generations).toBe(0)
    })
  })

  describe('a booking that waits for the account', () => {
    test('sees what was taken meanwhile, and what is held', async () => {
      const [admin, person] = [await at.administrator(), await at.richPerson(1)]
      const debit = () =>
        admin.post<any>('/api/transaction/make', {
          ...{ userUid: person.uid, amount: 0.6, type: 'GENERATION_COST', description: 'Race' },
        })
      const answers = await meet(person.uid, [debit, debit])
      expect(sorted(answers.map(told))).toEqual(['201', 'balance_would_be_negative'])
      expect((await accountOf(person.uid)).balance).toBe(400_000)
      const held = (micros: number) => `UPDATE accounts SET held = ${micros} WHERE user_uid = '${person.uid}'`
      const [late] = await meet(person.uid, [debit], [held(400_000)])
      expect(told(late!)).toBe('balance_would_be_negative')
      await first.query(held(0))
    })

    test('with one key twice is booked once', async () => {
      const person = await at.person()
      const key = { 'Idempotency-Key': 'the-same' }
      const buy = () => person.post<any>('/api/transaction/my/make', { amount: 2, type: 'PURCHASE' }, key)
      const answers = await meet(person.uid, [buy, buy, buy])
      expect(new Set(answers.map(({ body }) => body.transactionUid)).size).toBe(1)
      expect((await accountOf(person.uid)).balance).toBe(2_000_000)
    })
  })

  describe('a settle that waits for the account', () => {
    test('does nothing when another settled meanwhile, and tells what that one recorded', async () => {
      const person = await at.richPerson(5)
      const run = await running(person, 1)
      const [answer] = await meet(
        person.uid,
        [() => run.answer],
        [
          `UPDATE generations SET status = 'STOPPED', cost = 0, shortfall = 0, settled_at = now() WHERE uid = '${run.uid}'`,
          `UPDATE messages SET status = 'STOPPED' WHERE uid = '${run.messageUid}'`,
          `UPDATE accounts SET held = 0, seq = seq + 1 WHERE user_uid = '${person.uid}'`,
        ],
      )
      expect(answer).toMatchObject({
        status: 200,
        body: { cost: 0, assistantMessage: { status: 'STOPPED' } },
      })
      expect(await accountOf(person.uid)).toMatchObject({ balance: 5_000_000, held: 0 })
    })

    test('leaves no text in a chat that was deleted meanwhile, and still charges', async () => {
      const person = await at.richPerson(5)
      const run = await running(person, 1)
      const remove = () => person.delete(`/api/chat/${run.chatUid}`)
      await meet(person.uid, [() => run.answer.then(() => 0), () => remove().then(() => 0)])
      expect(Number((await settled(run.uid)).cost)).toBeGreaterThan(0)
      const { rows } = await watch.query('SELECT message, status FROM messages WHERE uid = $1', [
        run.messageUid,
      ])
      expect(rows[0]).toMatchObject({ message: '' })
      expect(rows[0].status).not.toBe('STREAMING')
      expect((await accountOf(person.uid)).held).toBe(0)
    })

    test('adds up with bookings and holds that meet it there', async () => {
      const [admin, person] = [await at.administrator(), await at.richPerson(5)]
      const run = await running(person, 1)
      const { modelUid } = await at.model()
      const chatUid = await chatOf(person)
      const book = (amount: number, type: string) =>
        admin.post<any>('/api/transaction/make', { userUid: person.uid, amount, type, description: 'Race' })
      const answers = await meet<any>(person.uid, [
        () => run.answer,
        () => send(person, chatUid, modelUid),
        () => book(1, 'REFUND'),
        () => book(0.5, 'GENERATION_COST'),
      ])
      expect(answers.map(told)).toEqual([200, 200, 201, 201])
      const spent = answers[0].body.cost + answers[1].body.cost
      const { balance, held } = await accountOf(person.uid)
      expect(balance).toBe(Math.round((5 + 1 - 0.5 - spent) * 1e6))
      expect(held).toBe(0)
    })
  })

  test('a stop does not wait for the account, and stops what then settles once', async () => {
    const person = await at.richPerson(5)
    const run = await running(person, 30)
    const stop = () => person.post<any>('/api/chat/stop', { messageUid: run.messageUid })
    // Only the settle stands at the lock; 202 says that the answer was running when it was asked to stop.
    const [answer, stopped] = await meet<any>(person.uid, [() => run.answer, stop], [], 1)
    expect(stopped.status).toBe(202)
    expect(answer.body.assistantMessage.status).toBe('STOPPED')
    expect((await accountOf(person.uid)).held).toBe(0)
  })

  test('a block meets a hold: whichever is first, what runs is asked to stop', async () => {
    const [admin, person] = [await at.administrator(), await at.richPerson(5)]
    const { modelUid } = await at.model({ type: 'demo' })
    const chatUid = await chatOf(person)
    const block = () => admin.patch<any>(`/api/user/${person.uid}`, { status: 'BLOCKED' })
    const [sent, blocked] = await meet<any>(person.uid, [
      () => send(person, chatUid, modelUid, '[[tokens=20,delay=50]]'),
      block,
    ])
    expect(blocked.status).toBe(200)
    const { rows } = await watch.query(
      'SELECT stop_requested_at IS NOT NULL AS asked FROM generations WHERE user_uid = $1',
      [person.uid],
    )
    if (sent.status === 200) expect(rows).toEqual([{ asked: true }])
    else expect([told(sent), rows.length]).toEqual(['account_blocked', 0])
    expect((await accountOf(person.uid)).held).toBe(0)
  })
}
