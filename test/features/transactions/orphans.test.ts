/** What the audit names of what is gone, moved or miscounted: each broken alone, on a stack of its own. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { newId } from '../../../src/core/id.ts'
import { type Answered, type AuditRoom, type Customer, credits, openAuditRoom } from './audit-room.ts'

let room: AuditRoom
let one: Customer
let other: Customer
let first: Answered
let answer: Answered
const key = (name: string) => ({ 'Idempotency-Key': name })
beforeAll(async () => {
  room = await openAuditRoom()
  one = await room.customer()
  other = await room.customer()
  first = await one.answered('[[say:one two three]]', key('asked'))
  answer = await one.answered('[[say:four five]]')
  await other.answered('[[say:of somebody else]]')
  // Of each kind of key that there is, one.
  const { call, admin } = room
  await call('POST', '/api/chat/create', one.token, {}, key('chat'))
  await call('POST', '/api/transaction/my/make', one.token, { amount: 1, type: 'PURCHASE' }, key('buy'))
  const gift = { userUid: one.uid, amount: 1, type: 'REFUND', description: 'For a test' }
  await call('POST', '/api/transaction/make', admin.token, gift, key('gift'))
  const instruction = { role: 'system', message: 'Be short.', chatUid: one.chatUid }
  await call('POST', '/api/chat/message', one.token, instruction, key('instruct'))
  const secret = await call('POST', '/api/key/create', one.token, { name: 'mine' }, key('key'))
  await call('POST', '/v1/chat/completions', secret.key, {
    ...{ model: one.model, messages: [{ role: 'user', content: '[[say:to a program]]' }] },
  })
  const model = { name: newId(), description: 'x', token_cost: 5, api_link: room.stack.upstream!.url }
  await call('POST', '/api/model/create', admin.token, model, key('model'))
})
afterAll(() => room?.close())

/** A row taken away, and put back as it was. */
const without = (table: string, uid: string, by = 'uid') => {
  const columns = table === 'messages' ? MESSAGE : '*'
  const into = table === 'messages' ? `messages (${MESSAGE})` : table
  return [
    [
      `DROP TABLE IF EXISTS kept`,
      `CREATE TABLE kept AS SELECT * FROM ${table} WHERE ${by} = '${uid}'`,
      `DELETE FROM ${table} WHERE ${by} = '${uid}'`,
    ],
    [`INSERT INTO ${into} SELECT ${columns} FROM kept`, 'DROP TABLE kept'],
  ] as const
}
/** All but the column that Postgres makes itself. */
const MESSAGE = `uid, user_uid, chat_uid, model_uid, role, reply_to, message, reasoning, status, finish_reason,
  token_used, credit_spent, created_at`
/** A row changed, and changed back. */
const change = (table: string, uid: string, wrong: string, by = 'uid') =>
  [
    [
      `DROP TABLE IF EXISTS kept`,
      `CREATE TABLE kept AS SELECT * FROM ${table} WHERE ${by} = '${uid}'`,
      `UPDATE ${table} SET ${wrong} WHERE ${by} = '${uid}'`,
    ],
    [
      `UPDATE ${table} SET ${wrong.replace(/(\w+) = [^,]+/g, '$1 = kept.$1')} FROM kept WHERE ${table}.${by} = '${uid}'`,
      'DROP TABLE kept',
    ],
  ] as const
const alone = async ([breaking, mending]: readonly [readonly string[], readonly string[]]) => {
  const differences = await room.named([...breaking], [...mending])
  expect(differences, `${breaking.at(-1)} ${JSON.stringify(differences)}`).toHaveLength(1)
  return differences[0]!
}

test('a service that is used in every way has no difference', async () => {
  expect(await room.report()).toMatchObject({ ok: true, differences: [] })
})

describe('the audit names', () => {
  test('an answer whose message is gone, or whose question', async () => {
    const subject = answer.generation
    expect(await alone(without('messages', answer.message))).toMatchObject({
      ...{ kind: 'message_missing', subject, expected: answer.message, actual: null },
    })
    expect(await alone(without('messages', answer.question))).toMatchObject({
      ...{ kind: 'message_missing', subject, expected: answer.question, actual: null },
    })
  })

  test('a text that was paid for and is not there, in a chat that is', async () => {
    const emptied = change('messages', answer.message, "message = '', reasoning = NULL")
    expect(await alone(emptied)).toMatchObject({ kind: 'message_emptied', subject: answer.message })
    const [breaking, mending] = emptied
    const [hidden, shown] = change('chats', one.chatUid, 'deleted_at = now()').map((texts) =>
      texts.map((text) => text.replace(/kept/g, 'kept_chat')),
    ) as [string[], string[]]
    expect(await room.named([...breaking, ...hidden], [...mending, ...shown])).toEqual([])
  })

  test('a message, or a question, in another chat or with another person', async () => {
    for (const subject of [answer.message, answer.question]) {
      const away = await alone(change('messages', subject, `chat_uid = '${other.chatUid}'`))
      expect(away).toMatchObject({
        ...{ kind: 'message_moved', subject, expected: one.chatUid, actual: other.chatUid },
      })
      const given = await alone(change('messages', subject, `user_uid = '${other.uid}'`))
      expect(given).toMatchObject({
        ...{ kind: 'message_moved', subject, expected: one.uid, actual: other.uid },
      })
    }
    const both = `chat_uid = '${other.chatUid}', user_uid = '${other.uid}'`
    expect(await alone(change('messages', answer.message, both))).toMatchObject({ kind: 'message_moved' })
  })

  test('a chat that has become somebody else’s, once', async () => {
    expect(await alone(change('chats', one.chatUid, `user_uid = '${room.admin.uid}'`, 'uid'))).toMatchObject({
      ...{ kind: 'chat_foreign', subject: one.chatUid, expected: one.uid, actual: room.admin.uid },
    })
  })

  test('a message that nobody writes, and one that is not as its answer ended', async () => {
    expect(await alone(change('messages', answer.message, "status = 'STREAMING'"))).toMatchObject({
      ...{ kind: 'message_status', subject: answer.message, expected: 'COMPLETED', actual: 'STREAMING' },
    })
    const uid = newId()
    const orphan = `INSERT INTO messages (uid, user_uid, chat_uid, role, message, status, created_at)
      VALUES ('${uid}', '${one.uid}', '${one.chatUid}', 'assistant', '', 'STREAMING', now())`
    expect(await alone([[orphan], [`DELETE FROM messages WHERE uid = '${uid}'`]])).toMatchObject({
      ...{ kind: 'message_status', subject: uid, expected: null, actual: 'STREAMING' },
    })
  })

  test('an answer that runs without a message', async () => {
    const uid = newId()
    const rates = `1, 1, 1, 1, 0, 1, 0`
    const running = `INSERT INTO generations (uid, user_uid, door, model_uid, model_name, chat_uid, user_message_uid, message_uid, status,
        input_rate, cached_input_rate, output_rate, rate_per, prompt_estimate, allowed_tokens, hold, lease_until, created_at)
      VALUES ('${uid}', '${one.uid}', 'chat', '${one.modelUid}', 'm', '${one.chatUid}', '${answer.question}', '${newId()}', 'RUNNING',
        ${rates}, now(), now())`
    expect(await alone([[running], [`DELETE FROM generations WHERE uid = '${uid}'`]])).toMatchObject({
      ...{ kind: 'message_missing', subject: uid },
    })
  })

  test('rows that others stand on: a chat, a person, an account, a key', async () => {
    expect(await alone(without('chats', one.chatUid))).toMatchObject({
      ...{ kind: 'chat_missing', subject: one.chatUid, actual: null },
      detail: 'The chat is not there whose answers, messages remain.',
    })
    expect(await alone(without('users', one.uid))).toMatchObject({
      ...{ kind: 'user_missing', subject: one.uid, actual: null },
      detail: expect.stringMatching(/accounts.*answers.*chats.*keys.*transactions/),
    })
    expect(await alone(without('accounts', one.uid, 'user_uid'))).toMatchObject({
      ...{ kind: 'account_missing', subject: one.uid, actual: null },
    })
    const { rows } = await room.db.execute<{ uid: string }>(
      `SELECT uid FROM keys WHERE user_uid = '${one.uid}'`,
    )
    const uid = rows[0]!.uid
    const [breaking, mending] = without('keys', uid)
    const [forget, recall] = ['{}', `{"keyUid":"${uid}"}`].map(
      (body) => `UPDATE idempotency SET body = '${body}' WHERE key = 'key'`,
    ) as [string, string]
    expect(
      await alone([
        [...breaking, forget],
        [...mending, recall],
      ]),
    ).toMatchObject({
      ...{ kind: 'key_missing', subject: uid, expected: one.uid, actual: null },
    })
    expect(await alone(change('keys', uid, 'held = 1'))).toMatchObject({
      ...{ kind: 'key_held', expected: 0, actual: 0.000001 },
    })
    expect(await alone(change('keys', uid, 'spent = spent + 1'))).toMatchObject({
      kind: 'key_spent',
    })
  })

  test('what a message says of its answer, and a chat of its answers', async () => {
    const { message, micros } = answer
    expect(await alone(change('messages', message, 'credit_spent = 1'))).toMatchObject({
      ...{ kind: 'message_spent', subject: message, expected: credits(micros), actual: 0.000001 },
    })
    expect(await alone(change('messages', answer.question, 'credit_spent = 1'))).toMatchObject({
      ...{ kind: 'message_spent', subject: answer.question, expected: null, actual: 0.000001 },
    })
    expect(await alone(change('messages', message, 'token_used = 0'))).toMatchObject({
      ...{ kind: 'message_tokens', subject: message, expected: micros / 1000, actual: 0 },
    })
    expect(await alone(change('chats', one.chatUid, 'total_credit_spent = 0'))).toMatchObject({
      ...{ kind: 'chat_spent', subject: one.chatUid, expected: credits(first.micros + micros), actual: 0 },
    })
    expect(await alone(change('chats', one.chatUid, 'total_token_used = 1'))).toMatchObject({
      ...{ kind: 'chat_tokens', subject: one.chatUid, actual: 1 },
    })
  })

  test('a transaction whose balance is not the running sum, and no other', async () => {
    expect(
      await alone(change('transactions', first.transaction, 'balance_after = balance_after + 2')),
    ).toMatchObject({
      ...{ kind: 'balance_after', subject: first.transaction, expected: credits(10_000_000 - first.micros) },
    })
  })

  test('an Idempotency-Key that points nowhere, or to somebody else', async () => {
    const unfounded = (person: string, of: string | null, actual: string | null) => ({
      ...{ kind: 'idempotency_unfounded', subject: person, expected: of, actual },
    })
    const nowhere = newId()
    const asked = (wrong: string, name = 'asked') => alone(change('idempotency', name, wrong, 'key'))
    expect(await asked(`generation_uid = '${nowhere}'`)).toMatchObject(unfounded(one.uid, nowhere, null))
    expect(await asked('generation_uid = NULL')).toMatchObject(unfounded(one.uid, null, null))
    expect(await asked(`user_uid = '${other.uid}'`)).toMatchObject(
      unfounded(other.uid, first.generation, one.uid),
    )
    // What else is kept under a key: chats, transactions, instructions, keys and models.
    const pointing = { chat: 'chatUid', buy: 'transactionUid', gift: 'transactionUid', instruct: 'uid' }
    for (const [name, member] of Object.entries({ ...pointing, key: 'keyUid', model: 'modelUid' })) {
      const astray = await asked(`body = body || '{"${member}":"${nowhere}"}'`, name)
      const person = name === 'gift' || name === 'model' ? room.admin.uid : one.uid
      expect(astray, name).toMatchObject(unfounded(person, nowhere, null))
      expect(astray.detail).toContain(`The Idempotency-Key ${name} `)
      if (name !== 'model')
        expect(await asked(`user_uid = '${other.uid}'`, name)).toMatchObject({ actual: person })
    }
  })
})
