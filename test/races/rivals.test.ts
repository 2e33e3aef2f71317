/**
 * Accounts that are closed, chats, models and stops: each conditional write beside a rival that waits at the same
 * lock, in both orders where the order decides. Needs a real Postgres; PGlite has no second connection.
 */
import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { realServers } from '../support/servers.ts'
import type { Person } from '../support/world.ts'
import { type Meeting, openMeeting, told } from './meeting.ts'

const { databaseUrl } = realServers()

if (databaseUrl) rivals(databaseUrl)
else test('rivals meet on a real Postgres only: TEST_DATABASE_URL', () => {})

function rivals(url: string): void {
  let at: Meeting
  beforeAll(async () => {
    at = await openMeeting(url)
  })
  afterAll(() => at?.close())

  const close = (person: Person) => () => person.delete<any>('/api/user/profile')
  const key = { 'Idempotency-Key': 'the-same' }

  describe('closing an account', () => {
    test('stops the answer whose hold came first', async () => {
      const person = await at.at.richPerson(5)
      const { modelUid } = await at.at.model({ type: 'demo' })
      const chatUid = await at.chatOf(person)
      const ask = () => at.send(person, chatUid, modelUid, '[[tokens=1200,delay=50]]', {}, 1200)
      const [sent, closed] = await at.meet<any>(person.uid, [ask, close(person)])
      expect(closed.status).toBe(204)
      expect(sent.body.assistantMessage.status).toBe('STOPPED')
      const [row] = await at.rows('SELECT stop_requested_at FROM generations WHERE user_uid = $1', person.uid)
      expect(row.stop_requested_at).not.toBeNull()
      const texts = await at.rows(`SELECT FROM messages WHERE user_uid = $1 AND message <> ''`, person.uid)
      expect(texts).toEqual([])
      expect((await at.accountOf(person.uid)).held).toBe(0)
    })

    test('that came first leaves nothing to hold for', async () => {
      const person = await at.at.richPerson(5)
      const { modelUid } = await at.at.model()
      const chatUid = await at.chatOf(person)
      const ask = () => at.send(person, chatUid, modelUid)
      const [closed, sent] = await at.meet<any>(person.uid, [close(person), ask])
      expect([closed.status, told(sent)]).toEqual([204, 'unauthenticated'])
      expect(await at.accountOf(person.uid)).toMatchObject({ held: 0, generations: 0 })
    })

    test('twice at once closes it, and fails nobody else', async () => {
      const person = await at.at.richPerson(5)
      const [one, two] = await at.meet<any>(person.uid, [close(person), close(person)])
      expect([one, two].map(told)).toEqual(['204', 'unauthenticated'])
      const [row] = await at.rows('SELECT status, mail FROM users WHERE uid = $1', person.uid)
      expect(row).toEqual({ status: 'DELETED', mail: null })
    })
  })

  describe('a chat', () => {
    test('is made once under one key', async () => {
      const person = await at.at.person()
      const create = () => person.post<any>('/api/chat/create', { title: 'Once' }, key)
      const made = await at.meet(person.uid, [create, create, create])
      expect(made.map(told)).toEqual(['201', '201', '201'])
      expect(new Set(made.map(({ body }) => body.chatUid)).size).toBe(1)
      expect(await at.rows('SELECT uid FROM chats WHERE user_uid = $1', person.uid)).toHaveLength(1)
    })

    test.each(['the deletion', 'the instruction'])(
      'that is deleted beside an instruction: %s first',
      async (who) => {
        const person = await at.at.person()
        const chatUid = await at.chatOf(person)
        const remove = () => person.delete<any>(`/api/chat/${chatUid}`)
        const instruct = () =>
          person.post<any>('/api/chat/message', { role: 'system', message: 'Be brief.', chatUid })
        const isFirst = who === 'the deletion'
        const answers = await at.meet<any>(person.uid, isFirst ? [remove, instruct] : [instruct, remove])
        expect(answers.map(told)).toEqual(isFirst ? ['200', 'chat_not_found'] : ['201', '200'])
        const kept = await at.rows('SELECT message FROM messages WHERE chat_uid = $1', chatUid)
        expect(kept).toEqual(isFirst ? [] : [{ message: '' }])
      },
    )

    test('takes one instruction under one key', async () => {
      const person = await at.at.person()
      const chatUid = await at.chatOf(person)
      const instruct = () =>
        person.post<any>('/api/chat/message', { role: 'system', message: 'Be brief.', chatUid }, key)
      const answers = await at.meet<any>(person.uid, [instruct, instruct])
      expect(answers.map(told)).toEqual(['201', '201'])
      expect(await at.rows('SELECT uid FROM messages WHERE chat_uid = $1', chatUid)).toHaveLength(1)
    })
  })

  describe('a model', () => {
    const draft = (name: string) => ({
      ...{ name, description: 'Of a race.', token_cost: 1000, api_link: at.at.upstream.url },
    })
    const insert = (name: string) =>
      `INSERT INTO models (uid, name, description, type, api_link, token_cost_micros, context_tokens)
        VALUES ('${randomUUID()}', '${name}', '', 'm', 'https://models.example/v1', 1000000, 1000)`

    test('of a name has one row: who comes second is told, also when two wait', async () => {
      const [one, two] = [await at.at.administrator(), await at.at.administrator()]
      const name = randomUUID()
      const create = (admin: Person) => () => admin.post<any>('/api/model/create', draft(name))
      const answers = await at.meetAt(insert(name), [create(one), create(two)])
      expect(answers.map(told)).toEqual(['model_name_taken', 'model_name_taken'])
      expect(await at.rows('SELECT uid FROM models WHERE name = $1', name)).toHaveLength(1)
    })

    test('is made once under one key', async () => {
      const admin = await at.at.administrator()
      const name = randomUUID()
      const create = () => admin.post<any>('/api/model/create', draft(name), key)
      const answers = await at.meet(admin.uid, [create, create])
      expect(answers.map(told)).toEqual(['201', '201'])
      expect(answers[0]!.body.modelUid).toBe(answers[1]!.body.modelUid)
      expect(await at.rows('SELECT uid FROM models WHERE name = $1', name)).toHaveLength(1)
    })

    const lock = (uid: string) => `SELECT FROM models WHERE uid = '${uid}' FOR UPDATE`

    test.each(['the deletion', 'the change'])(
      'that is changed beside its deletion: %s first',
      async (who) => {
        const admin = await at.at.administrator()
        const { modelUid } = await at.at.model()
        const remove = () => admin.delete<any>(`/api/model/delete/${modelUid}`)
        const change = () => admin.put<any>('/api/model/update', { uid: modelUid, description: 'Changed' })
        const isFirst = who === 'the deletion'
        const answers = await at.meetAt(lock(modelUid), isFirst ? [remove, change] : [change, remove])
        expect(answers.map(told)).toEqual(isFirst ? ['200', 'model_not_found'] : ['200', '200'])
        const [row] = await at.rows('SELECT description, deleted_at FROM models WHERE uid = $1', modelUid)
        expect(row.deleted_at).not.toBeNull()
        expect(row.description === 'Changed').toBe(!isFirst)
      },
    )

    test('that two change at once breaks no rule: the second is held against what the first left', async () => {
      const admin = await at.at.administrator()
      const { modelUid } = await at.at.model({ context_tokens: 1000, max_output_tokens: 10 })
      const change = (fields: object) => () =>
        admin.put<any>('/api/model/update', { uid: modelUid, ...fields })
      const answers = await at.meetAt(lock(modelUid), [
        change({ context_tokens: 100 }),
        change({ max_output_tokens: 500 }),
      ])
      expect(answers.map(told)).toEqual(['200', 'invalid_request'])
      const [row] = await at.rows(
        'SELECT context_tokens, max_output_tokens FROM models WHERE uid = $1',
        modelUid,
      )
      expect(row).toEqual({ context_tokens: 100, max_output_tokens: 10 })
    })
  })

  test('a stop by somebody else finds nothing and waits for nothing; the owner’s meets the answer’s row', async () => {
    const [person, other] = [await at.at.richPerson(5), await at.at.richPerson(5)]
    const run = await at.running(person)
    const stop = (by: Person) => () => by.post<any>('/api/chat/stop', { messageUid: run.messageUid })
    let foreign: { status: number; body: any } | undefined
    const [own] = await at.meetAt(
      `SELECT FROM generations WHERE uid = '${run.uid}' FOR UPDATE`,
      [stop(person)],
      [
        async () => {
          const asked = stop(other)().then((answer) => {
            foreign = answer
          })
          await at.until(
            async () => foreign !== undefined || (await at.waiting()).length > 1,
            async () => 'the stranger’s stop is lost',
          )
          expect(await at.waiting()).toHaveLength(1)
          await asked
        },
      ],
    )
    expect(told(foreign!)).toBe('message_not_found')
    expect(own!.status).toBe(202)
    expect((await run.answer).body.assistantMessage.status).toBe('STOPPED')

    const second = await at.running(person)
    const late = await other.post<any>('/api/chat/stop', { messageUid: second.messageUid })
    expect(told(late)).toBe('message_not_found')
    expect((await at.generation(second.uid)).stop_requested_at).toBeNull()
    await second.end()
  })
}
