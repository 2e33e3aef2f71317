import { randomUUID } from 'node:crypto'
import { sql } from 'drizzle-orm'
import { describe, expect, test } from 'vitest'
import { atOnce, tally } from '../../support/races.ts'
import { type Asking, world } from '../../support/world.ts'
import { form, type Problem, query, type SignedIn } from './records.ts'

const w = await world()
const limited = await world({ AUTH_PER_MINUTE: '10' })
const login = (json: unknown, more: Asking = {}, at = w) =>
  at.call<SignedIn & Problem>('POST', '/api/auth/login', { json, ...more })
const outcomes = (answers: { status: number; body: Problem }[]) =>
  tally(answers.map(({ status, body }) => `${status} ${body.code ?? ''}`.trim()))

describe('signing in', () => {
  test('by mail in any case, or by phone', async () => {
    const phone = `+1555${String(Math.random()).slice(2, 9)}`
    const json = form({ phone })
    const { body } = await w.call<SignedIn>('POST', '/api/auth/register', { json })
    const { password } = json
    for (const by of [
      { mail: json.mail.toUpperCase() },
      { phone },
      { phone: phone.replace('+1', '001 (') },
    ]) {
      const answer = await login({ ...by, password })
      expect([answer.status, answer.body.user]).toEqual([200, body.user])
      expect(answer.headers.getSetCookie()).toHaveLength(2)
    }
  })

  test('wants exactly one of mail and phone', async () => {
    for (const by of [{}, { mail: 'a@x.io', phone: '+79991234567' }])
      expect((await login({ ...by, password: 'x' })).body.code).toBe('invalid_request')
  })

  test('answers the same for a wrong password, an unknown mail and a closed account', async () => {
    const [person, gone] = [await w.person(), await w.person()]
    expect((await gone.delete('/api/user/profile')).status).toBe(204)
    const headers = { 'X-Request-Id': 'same' }
    const answers = await Promise.all([
      login({ mail: person.mail, password: 'not this one' }, { headers }),
      login({ mail: `${randomUUID()}@test.example`, password: 'not this one' }, { headers }),
      login({ mail: gone.mail, password: gone.password }, { headers }),
      login({ phone: '+10000000000', password: 'not this one' }, { headers }),
    ])
    for (const { status, body, headers } of answers) {
      expect([status, body]).toEqual([401, answers[0].body])
      expect([...headers.keys()]).toEqual([...answers[0].headers.keys()])
    }
  })

  test('tells that an account is blocked only to whoever has the password', async () => {
    const person = await w.person()
    await query(w, sql`UPDATE users SET status = 'BLOCKED' WHERE uid = ${person.uid}::uuid`)
    const { mail, password } = person
    expect((await login({ mail, password: 'not this one' })).body.code).toBe('bad_credentials')
    expect((await login({ mail, password })).body.code).toBe('account_blocked')
  })

  test('makes an old hash anew when the cost was raised', async () => {
    const dearer = await world({ PASSWORD_COST: '96' })
    const person = await w.person()
    const costOf = async () => {
      const [row] = await query(
        w,
        sql`SELECT password_hash AS hash FROM users WHERE uid = ${person.uid}::uuid`,
      )
      return /m=(\d+)/.exec(String(row?.hash))?.[1]
    }
    expect(await costOf()).toBe('64')
    const { mail, password } = person
    expect((await login({ mail, password }, {}, dearer)).status).toBe(200)
    expect(await costOf()).toBe('96')
    expect((await login({ mail, password }, {}, dearer)).status).toBe(200)
  })
})

describe('the line for a hash', () => {
  test('is not held up by those who leave it', async () => {
    const dear = await world({ PASSWORD_COST: '19456' })
    const person = await w.person()
    const ask = (signal?: AbortSignal) =>
      fetch(`${dear.url}/api/auth/login`, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify({ mail: person.mail, password: person.password }),
        ...(signal ? { signal } : {}),
      }).then(
        async (answer) => (await answer.text()) && answer.status,
        () => 'left',
      )
    const outcomes = await atOnce(24, (n) => ask(n % 2 ? AbortSignal.timeout(60) : undefined))
    expect(outcomes.filter((_, n) => n % 2 === 0)).toEqual(Array(12).fill(200))
    expect(outcomes).toContain('left')
    expect(await ask()).toBe(200)
  })
})

describe('guessing', () => {
  const from = (address: string = randomUUID()): Asking => ({ headers: { 'CF-Connecting-IP': address } })

  test('on one account from many places: ten of thirty at once are looked at', async () => {
    const { mail } = await w.person()
    const answers = await atOnce(30, () => login({ mail, password: 'not this one' }, from(), limited))
    expect(outcomes(answers)).toEqual({ '401 bad_credentials': 10, '429 too_many_attempts': 20 })
    for (const { status, headers } of answers)
      if (status === 429)
        expect(Number(headers.get('retry-after'))).toSatisfy((s: number) => s >= 30 && s <= 60)
  })

  test('an unknown account is limited alike', async () => {
    const mail = `${randomUUID()}@test.example`
    const answers = await atOnce(15, () => login({ mail, password: 'not this one' }, from(), limited))
    expect(outcomes(answers)).toEqual({ '401 bad_credentials': 10, '429 too_many_attempts': 5 })
  })

  test('on many accounts from one place, and then nobody is locked out elsewhere', async () => {
    const { mail, password } = await w.person()
    const place = from('203.0.113.9')
    const answers = await atOnce(30, (n) =>
      login(
        { mail: n < 25 ? mail : `${randomUUID()}@test.example`, password: 'not this one' },
        place,
        limited,
      ),
    )
    expect(outcomes(answers)).toEqual({ '401 bad_credentials': 10, '429 too_many_attempts': 20 })
    expect((await login({ mail, password }, place, limited)).status).toBe(429)
    expect((await login({ mail: (await w.person()).mail, password: 'wrong' }, from(), limited)).status).toBe(
      401,
    )
  })

  test('refused attempts at the address do not count on the account', async () => {
    const [used, { mail, password }] = [from(), await w.person()]
    await atOnce(10, () => login({ mail: `${randomUUID()}@test.example`, password: 'wrong' }, used, limited))
    await atOnce(30, () => login({ mail, password: 'wrong' }, used, limited))
    expect((await login({ mail, password }, from(), limited)).status).toBe(200)
  })

  test('an IPv6 network is one place', async () => {
    const answers = await atOnce(20, (n) =>
      login(
        { mail: `${randomUUID()}@test.example`, password: 'wrong' },
        from(n % 2 ? `2001:db8:1:2::${n}` : `2001:0DB8:0001:0002:a:b:c:${n}`),
        limited,
      ),
    )
    expect(outcomes(answers)).toEqual({ '401 bad_credentials': 10, '429 too_many_attempts': 10 })
    const other = from('2001:db8:1:3::1')
    expect(
      (await login({ mail: `${randomUUID()}@test.example`, password: 'wrong' }, other, limited)).status,
    ).toBe(401)
  })

  test('whoever gets in starts anew on the account, not at the address', async () => {
    const { mail, password } = await w.person()
    for (let round = 0; round < 3; round++) {
      await atOnce(6, () => login({ mail, password: 'wrong' }, from(), limited))
      limited.upstash.reset()
      expect((await login({ mail, password }, from(), limited)).status).toBe(200)
      // After the answer.
      const commands = () => limited.upstash.log.flatMap((entry) => entry.commands.map(([name]) => name))
      await expect.poll(commands).toContain('del')
    }
    const place = from()
    const answers = []
    for (let n = 0; n < 12; n++) answers.push(await login({ mail, password }, place, limited))
    expect(outcomes(answers)).toEqual({ 200: 10, '429 too_many_attempts': 2 })
  })

  test('limits registering by address and a change of password by account', async () => {
    const place = from()
    const made = await atOnce(15, () =>
      limited.call<Problem>('POST', '/api/auth/register', { json: form(), ...place }),
    )
    expect(outcomes(made)).toEqual({ 201: 10, '429 too_many_attempts': 5 })
    const { token } = await w.person()
    const json = { currentPassword: 'not this one', newPassword: 'battery staple' }
    const changes = await atOnce(15, () =>
      limited.call<Problem>('POST', '/api/user/password', { token, json }),
    )
    expect(outcomes(changes)).toEqual({ '401 bad_credentials': 10, '429 too_many_attempts': 5 })
  })

  test('keys hold digests', async () => {
    const { mail } = await w.person()
    limited.upstash.reset()
    await login({ mail, password: 'wrong' }, from('198.51.100.7'), limited)
    const asked = JSON.stringify(limited.upstash.log)
    expect(asked).toMatch(/attempts:account:[0-9a-f]{64}/)
    expect(asked).not.toContain(mail)
    expect(asked).not.toContain('198.51.100.7')
  })

  test('with Redis away everybody is let through, and the log says so', async () => {
    const { mail, password } = await w.person()
    limited.upstash.down = true
    try {
      const answers = await atOnce(12, () => login({ mail, password }, from(), limited))
      expect(outcomes(answers)).toEqual({ 200: 12 })
    } finally {
      limited.upstash.down = false
    }
    expect(limited.logs().some((line) => line.includes('limit_unavailable'))).toBe(true)
  })
})
