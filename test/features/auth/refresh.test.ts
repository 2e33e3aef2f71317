import { sql } from 'drizzle-orm'
import { describe, expect, test } from 'vitest'
import { atOnce, tally } from '../../support/races.ts'
import { world } from '../../support/world.ts'
import { ageRotation, claimsOf, type Problem, query, type SignedIn, sessionOf } from './records.ts'

const w = await world()
const refresh = (refreshToken: string) =>
  w.call<SignedIn & Problem>('POST', '/api/auth/refresh', { json: { refreshToken } })
const profile = (token: string) => w.call<Problem>('GET', '/api/user/profile', { token })
const logout = (asking: Parameters<typeof w.call>[2] = {}) => w.call('POST', '/api/auth/logout', asking)

describe('refreshing', () => {
  test('rotates in one round trip and keeps the session', async () => {
    const person = await w.person()
    const before = w.neon.counts.requests
    const { status, body, headers } = await refresh(person.refreshToken)
    expect(w.neon.counts.requests - before).toBe(1)
    expect(status).toBe(200)
    expect(body.refreshToken).not.toBe(person.refreshToken)
    expect(claimsOf(body.refreshToken)).toMatchObject({ n: 1, sid: sessionOf(person.refreshToken) })
    expect(headers.getSetCookie()).toHaveLength(2)
    expect((await profile(body.accessToken)).status).toBe(200)
    expect((await profile(person.token)).status).toBe(200)
  })

  test('within 10 s a repeat gets the identical successor', async () => {
    const { refreshToken } = await w.person()
    const first = await refresh(refreshToken)
    await new Promise((resolve) => setTimeout(resolve, 1_100))
    const second = await refresh(refreshToken)
    expect(second.body.refreshToken).toBe(first.body.refreshToken)
    await ageRotation(w, sessionOf(refreshToken), 5)
    expect((await refresh(refreshToken)).status).toBe(200)
  })

  test('twenty at once get the one successor', async () => {
    const { refreshToken } = await w.person()
    const answers = await atOnce(20, () => refresh(refreshToken))
    expect(tally(answers.map(({ status }) => status))).toEqual({ 200: 20 })
    expect(new Set(answers.map(({ body }) => body.refreshToken)).size).toBe(1)
    const next = await refresh(answers[0]!.body.refreshToken)
    expect(claimsOf(next.body.refreshToken).n).toBe(2)
  })

  test('later reuse ends the family: the successor and its access tokens too', async () => {
    const person = await w.person()
    const { body } = await refresh(person.refreshToken)
    await ageRotation(w, sessionOf(person.refreshToken), 11)
    const reuse = await refresh(person.refreshToken)
    expect([reuse.status, reuse.body.code]).toEqual([401, 'unauthenticated'])
    expect((await refresh(body.refreshToken)).status).toBe(401)
    expect((await profile(body.accessToken)).status).toBe(401)
    expect((await profile(person.token)).status).toBe(401)
  })

  test('the one before the last ends it even within 10 s', async () => {
    const { refreshToken } = await w.person()
    const second = await refresh(refreshToken)
    const third = await refresh(second.body.refreshToken)
    expect((await refresh(refreshToken)).status).toBe(401)
    expect((await refresh(third.body.refreshToken)).status).toBe(401)
  })

  test('of the current token and a reused one at once, the family does not outlive the reuse', async () => {
    const { refreshToken } = await w.person()
    const { body } = await refresh(refreshToken)
    await ageRotation(w, sessionOf(refreshToken), 11)
    const answers = await atOnce(10, (n) => refresh(n % 2 ? refreshToken : body.refreshToken))
    for (const { body } of answers)
      if (body.refreshToken) expect((await refresh(body.refreshToken)).status).toBe(401)
    expect((await refresh(body.refreshToken)).status).toBe(401)
  })

  test('slides: every rotation gives 30 days more; an expired session is over', async () => {
    const { refreshToken } = await w.person()
    const uid = sessionOf(refreshToken)
    await query(w, sql`UPDATE sessions SET expires_at = now() + interval '1 day' WHERE uid = ${uid}::uuid`)
    const { body } = await refresh(refreshToken)
    expect(Number(claimsOf(body.refreshToken).exp) - Date.now() / 1000).toBeGreaterThan(29.9 * 86_400)
    await query(w, sql`UPDATE sessions SET expires_at = now() WHERE uid = ${uid}::uuid`)
    expect((await refresh(body.refreshToken)).status).toBe(401)
    expect((await profile(body.accessToken)).status).toBe(401)
  })

  test('is for refresh tokens of active people', async () => {
    const person = await w.person()
    for (const token of [person.token, 'x', '']) expect([401, 422]).toContain((await refresh(token)).status)
    expect((await w.call('POST', '/api/auth/refresh')).status).toBe(401)
    expect((await w.call('POST', '/api/auth/refresh', { json: { token: 'x' } })).status).toBe(422)
    expect((await profile(person.refreshToken)).status).toBe(401)
    await query(w, sql`UPDATE users SET status = 'BLOCKED' WHERE uid = ${person.uid}::uuid`)
    expect((await refresh(person.refreshToken)).body.accessToken).toBeUndefined()
    await query(w, sql`UPDATE users SET status = 'ACTIVE' WHERE uid = ${person.uid}::uuid`)
    expect((await refresh(person.refreshToken)).status).toBe(200)
  })
})

describe('signing out', () => {
  test.each(['bearer', 'body'])('by %s ends that session and no other, as often as asked', async (by) => {
    const { mail, password, token, refreshToken } = await w.person()
    const other = await w.call<SignedIn>('POST', '/api/auth/login', { json: { mail, password } })
    const asking = by === 'bearer' ? { token } : { json: { refreshToken } }
    for (let times = 0; times < 3; times++) expect((await logout(asking)).status).toBe(204)
    expect((await profile(token)).status).toBe(401)
    expect((await refresh(refreshToken)).status).toBe(401)
    expect((await profile(other.body.accessToken)).status).toBe(200)
  })

  test('with nothing, or with nonsense, is done', async () => {
    for (const asking of [{}, { token: 'x' }, { json: { refreshToken: 'x' } }, { json: {} }]) {
      const { status, headers } = await logout(asking)
      expect([status, headers.getSetCookie()]).toEqual([204, []])
    }
  })
})
