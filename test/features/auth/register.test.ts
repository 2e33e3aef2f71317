import { sql } from 'drizzle-orm'
import { describe, expect, test } from 'vitest'
import { atOnce, tally } from '../../support/races.ts'
import { world } from '../../support/world.ts'
import { form, type Problem, query, type SignedIn, withoutAdministrators } from './records.ts'

const w = await world()
const register = (json: unknown, more: { token?: string } = {}, at = w) =>
  at.call<SignedIn & Problem>('POST', '/api/auth/register', { json, ...more })

describe('registering', () => {
  test('signs in, with tokens, cookies and an empty account', async () => {
    const { status, headers, body } = await register(form({ mail: 'Ada.First@Test.Example' }))
    expect(status).toBe(201)
    expect(body.user).toMatchObject({
      firstName: 'Ada',
      lastName: 'Lovelace',
      mail: 'ada.first@test.example',
      phone: null,
      role: 'USER',
      balance: 0,
      available: 0,
    })
    expect(body.expiresIn).toBe(900)
    const [access, refresh] = headers.getSetCookie()
    expect(access).toBe(`access_token=${body.accessToken}; Path=/; HttpOnly; SameSite=Lax`)
    expect(refresh).toBe(
      `refresh_token=${body.refreshToken}; Max-Age=2592000; Path=/; HttpOnly; SameSite=Lax`,
    )
    const own = await w.call('GET', '/api/user/profile', { token: body.accessToken })
    expect(own.body).toEqual(body.user)
  })

  test('takes one round trip', async () => {
    const before = w.neon.counts.requests
    await register(form())
    expect(w.neon.counts.requests - before).toBe(1)
  })

  test('a mail address is one account in any case; parallel ones, too', async () => {
    const json = form({ mail: 'race@test.example' })
    const answers = await atOnce(20, (n) =>
      register({ ...json, mail: n % 2 ? 'Race@Test.Example' : json.mail }),
    )
    expect(tally(answers.map(({ status, body }) => `${status} ${body.code ?? ''}`))).toEqual({
      '201 ': 1,
      '409 mail_taken': 19,
    })
    const [{ people, accounts, sessions }] = (await query(
      w,
      sql`SELECT count(DISTINCT u.uid)::int AS people, count(DISTINCT a.user_uid)::int AS accounts, count(DISTINCT s.uid)::int AS sessions
        FROM users u LEFT JOIN accounts a ON a.user_uid = u.uid LEFT JOIN sessions s ON s.user_uid = u.uid WHERE u.mail = 'race@test.example'`,
    )) as [Record<string, unknown>]
    expect([people, accounts, sessions]).toEqual([1, 1, 1])
  })

  test('a phone number is one account, however it is written', async () => {
    const ways = [
      '+7 (999) 123-45-67',
      '79991234567',
      '007 999 123 45 67',
      '+7.999.123.45.67',
      '+7\u2011999\u00a01234567',
    ]
    const answers = await Promise.all(ways.map((phone) => register(form({ phone }))))
    expect(tally(answers.map(({ status, body }) => `${status} ${body.code ?? ''}`))).toEqual({
      '201 ': 1,
      '409 phone_taken': 4,
    })
    expect(answers.find(({ status }) => status === 201)?.body.user.phone).toBe('+79991234567')
  })

  test.each([
    ['mail', { mail: 'nobody' }],
    ['mail', { mail: `${'a'.repeat(250)}@x.io` }],
    ['mail', { mail: undefined }],
    ['mail', { mail: 'a@x.io\u0000' }],
    ['phone', { phone: '12345' }],
    ['phone', { phone: '+0123456789' }],
    ['phone', { phone: '+1234567890123456' }],
    ['phone', { phone: '+7999CALLME1' }],
    ['phone', { phone: '' }],
    ['firstName', { firstName: '   ' }],
    ['lastName', { lastName: 'x'.repeat(101) }],
    ['role', { role: 'OWNER' }],
    ['password', { password: '1234567' }],
    ['password', { password: '🔑'.repeat(7) }],
    ['password', { password: 'x'.repeat(129) }],
    ['password', { password: 12345678 }],
    ['', { status: 'ACTIVE' }],
  ])('refuses a wrong %s: %j', async (path, more) => {
    const { status, body } = await register(form(more))
    expect([status, body.code, body.errors?.[0]?.path]).toEqual([422, 'invalid_request', path])
    if ('password' in more) expect(JSON.stringify(body)).not.toContain(String(more.password))
  })

  test.each(['пароль-на-русском', '🔑🔒🔓🗝🔐🔏🛡🧿', 'я'.repeat(128), '\ud83d-lone-half'])(
    'takes the password %s, and only it signs in',
    async (password) => {
      const json = form({ password })
      expect((await register(json)).status).toBe(201)
      const login = (given: string) =>
        w.call('POST', '/api/auth/login', { json: { mail: json.mail, password: given } })
      expect((await login(password)).status).toBe(200)
      expect((await login(`${password.slice(0, -2)}xx`)).status).toBe(401)
    },
  )
})

describe('administrators', () => {
  test('`first`: of ten at once exactly one is made', async () => {
    const first = await world({ ADMIN_REGISTRATION: 'first' })
    await withoutAdministrators(w, async () => {
      // Hashes come one after the other; held at the bridge, all ten reach the database at one moment.
      const moment = Date.now() + 500
      const holding = setInterval(() => {
        first.neon.latencyMs = Math.max(0, moment - Date.now())
      }, 1)
      first.neon.latencyMs = 500
      const answers = await atOnce(10, () => register(form({ role: 'ADMIN' }), {}, first))
      clearInterval(holding)
      expect(tally(answers.map(({ status, body }) => `${status} ${body.code ?? ''}`))).toEqual({
        '201 ': 1,
        '403 admin_registration_closed': 9,
      })
    })
  })

  test('`first` and `closed`: an administrator makes another one, and stays who it is', async () => {
    const chief = await w.administrator()
    for (const rule of ['first', 'closed']) {
      const at = await world({ ADMIN_REGISTRATION: rule })
      expect((await register(form({ role: 'ADMIN' }), {}, at)).body.code).toBe('admin_registration_closed')
      const made = await register(form({ role: 'ADMIN' }), chief, at)
      expect([made.status, made.body.user.role, made.headers.getSetCookie()]).toEqual([201, 'ADMIN', []])
      const list = await at.call('GET', '/api/user/all', { token: made.body.accessToken })
      expect(list.status).toBe(200)
    }
  })

  test('`closed`: neither a user nor one who was an administrator may', async () => {
    const closed = await world({ ADMIN_REGISTRATION: 'closed' })
    const [user, former] = [await w.person(), await w.administrator()]
    await query(w, sql`UPDATE users SET role = 'USER' WHERE uid = ${former.uid}::uuid`)
    for (const { token } of [user, former]) {
      const { status, body } = await register(form({ role: 'ADMIN' }), { token }, closed)
      expect([status, body.code]).toEqual([403, 'admin_registration_closed'])
    }
    const forged = await register(form({ role: 'ADMIN' }), { token: `${user.token}x` }, closed)
    expect(forged.status).toBe(401)
  })
})
