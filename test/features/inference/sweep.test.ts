import { setTimeout as sleep } from 'node:timers/promises'
import { sql } from 'drizzle-orm'
import { beforeAll, describe, expect, it } from 'vitest'
import { chatSettle } from '../../../src/features/chats/door.ts'
import { type Outcome, settle } from '../../../src/features/inference/settle.ts'
import { atOnce } from '../../support/races.ts'
import { Watcher } from '../../support/watcher.ts'
import { type World, world } from '../../support/world.ts'
import { listenTo, mortuary } from './dead.ts'

const LONG = '[[tokens=2000]] [[delay=50]] a long story'
/** It lasts longer than all tests before the one that looks at it. */
const SAVED = '[[tokens=2000]] [[delay=200]] a story that is saved'
const UNRENEWED = `${LONG} that nobody renews`
const SILENT = '[[fault:slow-first-token=60000]] hm'
const tokens = (text: string) => Math.ceil(Buffer.byteLength(text) / 4)

describe('the sweep', () => {
  /** A Worker of its own, which dies here, and the common one, which lives on. */
  let at: World
  let other: World
  let dead: ReturnType<typeof mortuary>
  let modelUid: string
  // What waits long, each on a Worker of its own: it begins here, and is looked at last.
  let saving: ReturnType<typeof startsSaving>
  let givenUp: ReturnType<typeof givesUp>
  beforeAll(async () => {
    at = await world({ CLIENT_GONE_S: '14' })
    other = await world()
    dead = mortuary(at)
    modelUid = (await at.model({ type: 'demo-instant', token_cost: 1000 })).modelUid
    givenUp = givesUp(await world({ CLIENT_GONE_S: '13' }))
    saving = startsSaving(await world({ CLIENT_GONE_S: '12' }))
    // Whoever asks for them sees why they failed.
    for (const begun of [givenUp, saving]) begun.catch(() => {})
  })

  async function startsSaving(apart: World) {
    const person = await apart.richPerson(100)
    return { apart, person, ...(await mortuary(apart).begin(person, modelUid, SAVED)) }
  }

  async function givesUp(cut: World) {
    const person = await cut.richPerson(100)
    const asked = Date.now()
    const begun = await mortuary(cut).begin(person, modelUid, UNRENEWED)
    const started = Date.now()
    // Else a sweep of a test between would take it for dead; the worker's own 45 s are its own.
    await dead.rows(sql`UPDATE generations SET lease_until = clock_timestamp() + interval '10 min'
      WHERE message_uid = ${begun.messageUid}::uuid`)
    let tries = 0
    cut.neon.fault = ({ statements: [statement] }) =>
      statement?.includes('SET lease_until') && ++tries ? 'before' : undefined
    const answered = await begun.reply
    cut.neon.fault = undefined
    return {
      cut,
      person,
      ...begun,
      answered,
      atLeast: Date.now() - started,
      atMost: Date.now() - asked,
      tries,
    }
  }

  it('settles a dead answer by its saved text, once, and everybody hears of it', async () => {
    const person = await at.richPerson(100)
    const feed = await listenTo(other.url, person)
    const { chatUid, messageUid, reply, again } = await dead.begin(person, modelUid, LONG)
    await expect.poll(() => feed.of('message_delta').length, { timeout: 30_000 }).toBeGreaterThan(0)
    await at.worker.crash()
    expect(await reply).toBeUndefined()
    expect(await again()).toMatchObject({
      status: 409,
      body: { code: 'idempotency_in_progress', messageUid },
    })

    const text = 'Every credit is counted — once. 🙂'
    await dead.expire(messageUid, text, 'hm')
    await at.worker.scheduled()

    const price = 1000 * (tokens(LONG) + 4 + Math.ceil((Buffer.byteLength(text) + 2) / 4))
    const after = await dead.ledger(person)
    expect(after).toMatchObject({ balance: 100_000_000 - price, held: 0, charges: 1 })
    const row = await dead.generation(messageUid)
    expect(row).toMatchObject({ status: 'FAILED', cost: price, usage_source: 'estimated', text_so_far: '' })
    const [answer] = (await person.get<any>(`/api/chat/${chatUid}/messages`)).body.data
    expect(answer).toMatchObject({
      uid: messageUid,
      message: text,
      reasoning: 'hm',
      status: 'FAILED',
      finishReason: 'upstream_incomplete',
      creditSpent: price / 1_000_000,
    })

    await expect.poll(() => feed.of('new_transaction').length, { timeout: 30_000 }).toBe(1)
    const [end] = feed.ends(messageUid)
    expect(end).toMatchObject({
      event: 'message_error',
      data: { message: answer, code: 'upstream_incomplete', cost: price / 1_000_000 },
    })
    expect(feed.of('new_transaction')[0]!.data).toMatchObject({
      amount: -price / 1_000_000,
      newBalance: after.balance / 1_000_000,
      available: after.balance / 1_000_000,
    })

    const repeat = await again()
    expect(repeat).toMatchObject({ status: 200, body: { assistantMessage: answer, cost: price / 1_000_000 } })
    await other.worker.scheduled()
    await at.worker.scheduled()
    expect(await dead.ledger(person)).toEqual(after)
    expect(await dead.generation(messageUid)).toEqual(row)
    expect(await again()).toMatchObject({ status: 200, body: repeat.body })
    expect(feed.ends(messageUid)).toHaveLength(1)

    const next = { role: 'user', message: '[[say:alive]] still there?', chatUid, modelUid }
    expect((await person.post<any>('/api/chat/message', next)).body.assistantMessage.message).toBe('alive')
    await feed.close()
  })

  it('takes nothing for an answer of which nothing was saved', async () => {
    const person = await at.richPerson(100)
    const { chatUid, messageUid, again } = await dead.begin(person, modelUid, SILENT)
    await at.worker.crash()
    await dead.expire(messageUid)
    await at.worker.scheduled()
    expect(await dead.ledger(person)).toMatchObject({ balance: 100_000_000, held: 0, charges: 0 })
    const [answer] = (await person.get<any>(`/api/chat/${chatUid}/messages`)).body.data
    expect(answer).toMatchObject({
      status: 'FAILED',
      finishReason: 'worker_lost',
      message: '',
      creditSpent: 0,
    })
    expect(await again()).toMatchObject({ status: 502, body: { code: 'upstream_incomplete', messageUid } })
  })

  it('keeps a stop that was asked for, and no text of a chat that was deleted', async () => {
    const person = await at.richPerson(100)
    const stopped = await dead.begin(person, modelUid, LONG)
    const silent = await dead.begin(person, modelUid, SILENT)
    const deleted = await dead.begin(person, modelUid, LONG)
    await at.worker.crash()
    for (const { messageUid } of [stopped, silent])
      expect((await person.post('/api/chat/stop', { messageUid })).status).toBe(202)
    expect((await person.delete(`/api/chat/${deleted.chatUid}`)).status).toBe(200)
    const feed = await listenTo(other.url, person)
    await dead.expire(stopped.messageUid, 'as far as this')
    await dead.expire(silent.messageUid)
    await dead.expire(deleted.messageUid, 'not to be read again')
    await at.worker.scheduled()

    const shown = async (chatUid: string) =>
      (await person.get<any>(`/api/chat/${chatUid}/messages`)).body.data[0]
    const end = { status: 'STOPPED', finishReason: 'stopped' }
    expect(await shown(stopped.chatUid)).toMatchObject({ ...end, message: 'as far as this' })
    expect(await shown(silent.chatUid)).toMatchObject({ ...end, message: '', creditSpent: 0 })
    expect(await stopped.again()).toMatchObject({ status: 200, body: { assistantMessage: end } })
    await expect.poll(() => feed.of('new_transaction').length, { timeout: 30_000 }).toBe(2)
    expect(feed.ends(stopped.messageUid)).toMatchObject([{ event: 'message_end' }])
    expect(feed.ends(silent.messageUid)).toMatchObject([{ event: 'message_end' }])
    expect(feed.ends(deleted.messageUid)).toEqual([])
    await feed.close()

    const text = sql`SELECT message, status FROM messages WHERE uid = ${deleted.messageUid}::uuid`
    expect(await dead.rows(text)).toEqual([{ message: '', status: 'STOPPED' }])
    expect(JSON.stringify(await dead.generation(deleted.messageUid))).not.toContain('not to be read')
    expect(await dead.ledger(person)).toMatchObject({ held: 0, charges: 2 })
  })

  it('tells of a deletion whose worker died before it could', async () => {
    const person = await at.richPerson(100)
    const begun = await dead.begin(person, modelUid, LONG)
    const watcher = new Watcher(`${other.url}/api/feed`, { authorization: `Bearer ${person.token}` })
    watcher.open(undefined)
    await expect.poll(() => watcher.messages.get(begun.messageUid)?.status).toBe('STREAMING')
    at.neon.fault = () => 'after'
    expect((await person.delete(`/api/chat/${begun.chatUid}`)).status).toBe(503)
    await at.worker.crash()
    at.neon.fault = undefined
    expect((await person.delete(`/api/chat/${begun.chatUid}`)).status).toBe(404)

    await dead.expire(begun.messageUid, 'not to be read again')
    await dead.rows(
      sql`UPDATE outbox SET created_at = created_at - interval '1 minute' WHERE user_uid = ${person.uid}::uuid`,
    )
    await at.worker.scheduled()
    await expect.poll(() => watcher.messages.has(begun.messageUid), { timeout: 30_000 }).toBe(false)
    await watcher.drop()
    expect(watcher.fault).toBeUndefined()
  })

  it('leaves alone what is not expired, also when it was renewed a moment ago', async () => {
    const person = await at.richPerson(100)
    const { messageUid } = await dead.begin(person, modelUid, LONG)
    await at.worker.crash()
    const before = await dead.generation(messageUid)
    await at.worker.scheduled()
    // As a sweep would that had found it expired before its worker renewed it.
    const outcome: Outcome = {
      generationUid: before.uid,
      userUid: person.uid,
      status: 'FAILED',
      finishReason: 'worker_lost',
      failureCode: 'upstream_incomplete',
      failureDetail: null,
      text: '',
      reasoning: '',
      bill: undefined,
      firstTokenMs: null,
      learned: undefined,
    }
    const late = await settle(dead.db, outcome, chatSettle, 'sweep')
    expect(late).toMatchObject({ account: null, outbox_uid: null, generation: { status: 'RUNNING' } })
    expect(await dead.generation(messageUid)).toEqual(before)
    await dead.expire(messageUid)
    expect((await settle(dead.db, outcome, chatSettle, 'sweep')).account).toMatchObject({ held: 0 })
  })

  it('settles each of many once, however many sweeps run', async () => {
    const people = await atOnce(3, () => at.richPerson(100))
    const begun = await Promise.all(
      people.flatMap((person) => [1, 2, 3, 4].map(() => dead.begin(person, modelUid, LONG))),
    )
    const feed = await listenTo(other.url, people[0]!)
    await at.worker.crash()
    for (const { messageUid } of begun) await dead.expire(messageUid, 'four words of text')
    await Promise.all([at, other, at, other].map(({ worker }) => worker.scheduled()))
    const price = 1000 * (tokens(LONG) + 4 + tokens('four words of text'))
    for (const person of people)
      expect(await dead.ledger(person)).toMatchObject({
        balance: 100_000_000 - 4 * price,
        held: 0,
        charges: 4,
      })
    await expect.poll(() => feed.of('new_transaction').length, { timeout: 30_000 }).toBe(4)
    await sleep(500)
    for (const { messageUid } of begun.slice(0, 4)) expect(feed.ends(messageUid)).toHaveLength(1)
    expect(new Set(feed.of('new_transaction').map(({ data }) => data.transactionUid)).size).toBe(4)
    await feed.close()
  })

  it('is the outcome also for a worker that was only thought dead', async () => {
    const person = await at.richPerson(100)
    const feed = await listenTo(other.url, person)
    const { chatUid, messageUid, reply } = await dead.begin(person, modelUid, LONG)
    await expect.poll(() => feed.of('message_delta').length, { timeout: 30_000 }).toBeGreaterThan(5)
    await dead.expire(messageUid, 'You')
    await other.worker.scheduled()
    const row = await dead.generation(messageUid)
    const after = await dead.ledger(person)
    const swept = Date.now()

    const answered = await reply
    expect(Date.now() - swept).toBeLessThan(5_000) // it flushes, and so hears of it, within 2 s
    expect(at.upstream.requests.at(-1)!.clientGone).toBe(true)
    const [answer] = (await person.get<any>(`/api/chat/${chatUid}/messages`)).body.data
    expect(answer).toMatchObject({ status: 'FAILED', message: 'You' })
    expect(answered).toMatchObject({
      status: 200,
      body: { assistantMessage: answer, cost: row.cost / 1_000_000, newBalance: after.balance / 1_000_000 },
    })
    await sleep(1_000)
    await Promise.all([at, other].map(({ worker }) => worker.scheduled()))
    expect(await dead.generation(messageUid)).toEqual(row)
    expect(await dead.ledger(person)).toEqual(after)
    expect(after).toMatchObject({ held: 0, charges: 1 })
    expect(feed.ends(messageUid)).toHaveLength(1)
    expect(feed.of('new_transaction')).toHaveLength(1)
    await feed.close()
    const late = await listenTo(other.url, person)
    expect(late.of('snapshot')[0]!.data.running).toEqual([])
    await late.close()
  })

  it('finds the text that the lease itself has saved', async () => {
    const { apart, person, chatUid, messageUid } = await saving
    const saved = async () => (await dead.generation(messageUid)).text_so_far
    await expect.poll(saved, { timeout: 30_000, interval: 500 }).not.toBe('')
    await apart.worker.crash()
    const text = await saved()
    await dead.expire(messageUid)
    await at.worker.scheduled()
    const [answer] = (await person.get<any>(`/api/chat/${chatUid}/messages`)).body.data
    expect(answer).toMatchObject({ status: 'FAILED', message: text })
    expect(answer.creditSpent).toBe((tokens(SAVED) + 4 + tokens(text)) / 1000)
    expect((await dead.ledger(person)).held).toBe(0)
  })

  it('finds untouched what a worker gave up that could not renew its lease for 45 s', async () => {
    const { cut, person, messageUid, again, answered, atLeast, atMost, tries } = await givenUp
    // The lease began in between.
    expect(atMost).toBeGreaterThan(44_000)
    expect(atLeast).toBeLessThan(58_000)
    expect(tries).toBeGreaterThanOrEqual(2)
    // The answer had begun, with 200 and blanks: the body says what became of it.
    expect(answered).toMatchObject({
      status: 200,
      body: { code: 'settlement_pending', status: 503, messageUid },
    })
    expect(
      cut.upstream.requests.find(({ body }) => JSON.stringify(body).includes(UNRENEWED))!.clientGone,
    ).toBe(true)
    expect(await dead.generation(messageUid)).toMatchObject({ status: 'RUNNING', text_so_far: '' })
    expect(await again()).toMatchObject({ status: 409, body: { code: 'idempotency_in_progress' } })
    await dead.expire(messageUid)
    await other.worker.scheduled()
    expect(await dead.ledger(person)).toMatchObject({ balance: 100_000_000, held: 0, charges: 0 })
  }, 90_000)
})
