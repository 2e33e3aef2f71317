import { randomUUID } from 'node:crypto'
import { sql } from 'drizzle-orm'
import { describe, expect, test } from 'vitest'
import { newId } from '../../../src/core/id.ts'
import { atOnce, tally } from '../../support/races.ts'
import { type Person, world } from '../../support/world.ts'
import { type Problem, query, type SignedIn, withoutAdministrators } from '../auth/records.ts'

const w = await world()
type Profile = SignedIn['user'] & Problem
const login = ({ mail, password }: { mail: string; password: string }) =>
  w.call<SignedIn>('POST', '/api/auth/login', { json: { mail, password } })
const profile = (token: string) => w.call<Profile>('GET', '/api/user/profile', { token })

describe('the profile', () => {
  test('shows balance and what is available, in one round trip', async () => {
    const person = await w.richPerson(12.345678)
    await query(w, sql`UPDATE accounts SET held = 2000001 WHERE user_uid = ${person.uid}::uuid`)
    const before = w.neon.counts.requests
    const { body } = await person.get<Profile>('/api/user/profile')
    expect(w.neon.counts.requests - before).toBe(1)
    expect(body).toMatchObject({ uid: person.uid, balance: 12.345678, available: 10.345677, phone: null })
    await query(w, sql`UPDATE accounts SET held = 0 WHERE user_uid = ${person.uid}::uuid`)
  })

  test('changes what is given and nothing else', async () => {
    const person = await w.person()
    const phone = `+1555${String(Math.random()).slice(2, 9)}`
    const mail = `${randomUUID()}@New.Example`
    const first = await person.patch<Profile>('/api/user/profile', { phone, mail })
    expect(first.body).toMatchObject({ firstName: 'Test', phone, mail: mail.toLowerCase() })
    const second = await person.patch<Profile>('/api/user/profile', { phone: null, lastName: '  Hopper ' })
    expect(second.body).toMatchObject({
      firstName: 'Test',
      lastName: 'Hopper',
      phone: null,
      mail: mail.toLowerCase(),
    })
    expect((await person.get('/api/user/profile')).body).toEqual(second.body)
    expect((await login({ ...person, mail })).status).toBe(200)
    expect((await login(person)).status).toBe(401)
  })

  test.each([
    {},
    { mail: null },
    { firstName: '' },
    { role: 'ADMIN' },
    { balance: 5 },
    { status: 'ACTIVE' },
    { phone: 'x' },
  ])('refuses %j', async (json) => {
    const person = await w.person()
    expect((await person.patch<Problem>('/api/user/profile', json)).body.code).toBe('invalid_request')
  })

  test('of ten who want one mail at once, one gets it', async () => {
    const people = await atOnce(10, () => w.person())
    const mail = `${randomUUID()}@test.example`
    const answers = await Promise.all(
      people.map((person) => person.patch<Problem>('/api/user/profile', { mail })),
    )
    expect(tally(answers.map(({ status, body }) => `${status} ${body.code ?? ''}`))).toEqual({
      '200 ': 1,
      '409 mail_taken': 9,
    })
  })

  test('is for whoever is signed in', async () => {
    for (const [method, path] of [
      ['GET', 'profile'],
      ['PATCH', 'profile'],
      ['DELETE', 'profile'],
      ['POST', 'password'],
    ] as const)
      expect((await w.call(method, `/api/user/${path}`)).status).toBe(401)
  })
})

describe('a new password', () => {
  const change = (person: Person, currentPassword: string, newPassword: string) =>
    person.post<Problem>('/api/user/password', { currentPassword, newPassword })

  test('ends every other session at once and keeps this one', async () => {
    const person = await w.person()
    const others = await atOnce(3, () => login(person))
    expect((await change(person, person.password, 'battery staple')).status).toBe(204)
    for (const { body } of others) {
      expect((await profile(body.accessToken)).status).toBe(401)
      const { refreshToken } = body
      expect((await w.call('POST', '/api/auth/refresh', { json: { refreshToken } })).status).toBe(401)
    }
    expect((await profile(person.token)).status).toBe(200)
    expect((await login(person)).status).toBe(401)
    expect((await login({ ...person, password: 'battery staple' })).status).toBe(200)
  })

  test('needs the current one, and the rules of a new one', async () => {
    const person = await w.person()
    expect((await change(person, 'not this one', 'battery staple')).body.code).toBe('bad_credentials')
    expect((await change(person, person.password, 'short')).body.code).toBe('invalid_request')
    expect((await login(person)).status).toBe(200)
  })

  test('of ten at once one is set, and it is the one that was said to be', async () => {
    const person = await w.person()
    const answers = await atOnce(10, (n) => change(person, person.password, `battery staple ${n}`))
    expect(tally(answers.map(({ status }) => status))).toEqual({ 204: 1, 401: 9 })
    const set = answers.findIndex(({ status }) => status === 204)
    expect((await login({ ...person, password: `battery staple ${set}` })).status).toBe(200)
  })

  test('leaves no session of a sign-in that ran beside it with the old one', async () => {
    const person = await w.person()
    const [changed, ...logins] = await Promise.all([
      change(person, person.password, 'battery staple'),
      ...Array.from({ length: 10 }, () => login(person)),
    ])
    expect(changed.status).toBe(204)
    for (const { status, body } of logins)
      if (status === 200) expect((await profile(body.accessToken)).status).toBe(401)
  })
})

describe('closing the account', () => {
  test('takes away everything but the ledger', async () => {
    const person = await w.richPerson(7)
    const [chatUid, messageUid, keyUid, other] = [newId(), newId(), newId(), await w.person()]
    const { uid } = person
    await query(
      w,
      sql`INSERT INTO chats (uid, user_uid, title, created_at, updated_at) VALUES (${chatUid}::uuid, ${uid}::uuid, 'secret plans', now(), now())`,
    )
    await query(
      w,
      sql`INSERT INTO messages (uid, user_uid, chat_uid, role, message, reasoning, status, created_at)
      VALUES (${messageUid}::uuid, ${uid}::uuid, ${chatUid}::uuid, 'user', 'secret plans', 'secret', 'COMPLETED', now())`,
    )
    await query(
      w,
      sql`INSERT INTO keys (uid, user_uid, name, digest, hint) VALUES (${keyUid}::uuid, ${uid}::uuid, 'k', ${keyUid}, 'abcd')`,
    )
    await query(
      w,
      sql`INSERT INTO idempotency (user_uid, key, fingerprint, body) VALUES (${uid}::uuid, 'k', 'f', '"secret plans"')`,
    )
    const [before] = await query(
      w,
      sql`SELECT count(*)::int AS n, sum(amount)::text AS sum FROM transactions WHERE user_uid = ${uid}::uuid`,
    )

    const { status, headers } = await person.delete('/api/user/profile')
    expect([status, headers.getSetCookie().length]).toEqual([204, 2])

    expect((await profile(person.token)).status).toBe(401)
    expect((await login(person)).status).toBe(401)
    const [row] = await query(
      w,
      sql`SELECT first_name || last_name AS name, mail, phone, password_hash AS hash, status,
      (SELECT count(*)::int FROM sessions WHERE user_uid = u.uid AND ended_at IS NULL) AS sessions,
      (SELECT count(*)::int FROM keys WHERE user_uid = u.uid AND revoked_at IS NULL) AS keys,
      (SELECT count(*)::int FROM chats WHERE user_uid = u.uid AND (deleted_at IS NULL OR title IS NOT NULL)) AS chats,
      (SELECT string_agg(message || coalesce(reasoning, ''), '') FROM messages WHERE user_uid = u.uid) AS said,
      (SELECT count(*)::int FROM idempotency WHERE user_uid = u.uid) AS kept
      FROM users u WHERE uid = ${uid}::uuid`,
    )
    expect(row).toEqual({
      ...{ name: '', mail: null, phone: null, hash: null, status: 'DELETED' },
      ...{ sessions: 0, keys: 0, chats: 0, said: '', kept: 0 },
    })
    const [after] = await query(
      w,
      sql`SELECT count(*)::int AS n, sum(amount)::text AS sum FROM transactions WHERE user_uid = ${uid}::uuid`,
    )
    expect(after).toEqual(before)
    expect((await other.get('/api/user/profile')).status).toBe(200)
  })

  test('frees mail and phone', async () => {
    const person = await w.person()
    await person.delete('/api/user/profile')
    const json = { firstName: 'A', lastName: 'B', mail: person.mail, password: 'correct horse' }
    expect((await w.call('POST', '/api/auth/register', { json })).status).toBe(201)
  })

  test('of the last administrator is refused, and changes nothing', async () => {
    await withoutAdministrators(w, async () => {
      const last = await w.administrator()
      const { status, body } = await last.delete<Problem>('/api/user/profile')
      expect([status, body.code]).toEqual([409, 'last_administrator'])
      expect((await last.get<Profile>('/api/user/profile')).body.firstName).toBe('Test')
      expect((await login(last)).status).toBe(200)
    })
  })

  test('of all administrators at once leaves one', async () => {
    await withoutAdministrators(w, async () => {
      const all = await atOnce(6, () => w.administrator())
      const answers = await Promise.all(all.map((each) => each.delete<Problem>('/api/user/profile')))
      expect(tally(answers.map(({ status }) => status))).toEqual({ 204: 5, 409: 1 })
    })
  })
})
