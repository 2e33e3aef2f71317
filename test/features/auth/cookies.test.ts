import { sql } from 'drizzle-orm'
import { describe, expect, test } from 'vitest'
import { setSessionCookies } from '../../../src/http/cookies.ts'
import { createRouter } from '../../../src/http/router.ts'
import { atOnce } from '../../support/races.ts'
import { world } from '../../support/world.ts'
import {
  ageRotation,
  claimsOf,
  cookiesOf,
  form,
  type Problem,
  query,
  type SignedIn,
  sessionOf,
} from './records.ts'

const w = await world({ CORS_ORIGINS: 'https://console.example,https://other.example' })
const FOREIGN = 'https://evil.example'

/** A browser that has just signed in. */
async function browser() {
  const { body, headers } = await w.call<SignedIn>('POST', '/api/auth/register', { json: form() })
  const { access_token: access = '', refresh_token: refresh = '' } = cookiesOf(headers)
  return { ...body, access, refresh, cookie: `access_token=${access}; refresh_token=${refresh}` }
}
const patch = (cookie: string, headers: Record<string, string> = {}) =>
  w.call<Problem>('PATCH', '/api/user/profile', { cookie, headers, json: { firstName: 'Grace' } })
const profile = (cookie: string) => w.call<Problem>('GET', '/api/user/profile', { cookie })

describe('cookies', () => {
  test('sign requests, and unsafe ones only from a page that is trusted', async () => {
    const { cookie } = await browser()
    expect((await profile(cookie)).status).toBe(200)
    for (const Origin of [w.url, 'https://console.example', 'https://other.example'])
      expect((await patch(cookie, { Origin })).status).toBe(200)
    for (const Origin of [undefined, FOREIGN, 'null', `${w.url}.evil.example`]) {
      const { status, body } = await patch(cookie, Origin === undefined ? {} : { Origin })
      expect([status, body.code]).toEqual([403, 'origin_not_allowed'])
    }
  })

  test('do not matter beside a bearer', async () => {
    const [{ cookie }, person] = [await browser(), await w.person()]
    const headers = { Origin: FOREIGN }
    const json = { firstName: 'Grace' }
    const { status, body } = await w.call<{ uid: string }>('PATCH', '/api/user/profile', {
      ...{ cookie, headers, json },
      token: person.token,
    })
    expect([status, body.uid]).toEqual([200, person.uid])
    expect((await w.call('GET', '/api/user/profile', { cookie, token: 'x' })).status).toBe(401)
  })

  test('are renewed on the way when the access token has gone, without rotating', async () => {
    const { refresh } = await browser()
    const before = w.neon.counts.requests
    for (const cookie of [
      `refresh_token=${refresh}`,
      `access_token=expired.or.bad; refresh_token=${refresh}`,
    ]) {
      const answers = await atOnce(5, () => profile(cookie))
      for (const { status, headers } of answers) {
        expect(status).toBe(200)
        const { access_token: fresh = '', ...others } = cookiesOf(headers)
        expect(others).toEqual({})
        expect((await profile(`access_token=${fresh}`)).status).toBe(200)
      }
    }
    // Ten renewals, ten answers to them, ten answers to what was renewed.
    expect(w.neon.counts.requests - before).toBe(30)
    const [row] = await query(w, sql`SELECT generation FROM sessions WHERE uid = ${sessionOf(refresh)}::uuid`)
    expect(row?.generation).toBe(0)
  })

  test('are renewed also where the request is then refused', async () => {
    const { refresh } = await browser()
    const { status, headers } = await w.call('GET', '/api/user/all', { cookie: `refresh_token=${refresh}` })
    expect(status).toBe(403)
    expect(cookiesOf(headers).access_token).toBeTruthy()
  })

  test('of the generation before renew for 10 s, and do no harm later', async () => {
    const { refresh } = await browser()
    const next = await w.call<SignedIn>('POST', '/api/auth/refresh', { json: { refreshToken: refresh } })
    expect((await profile(`refresh_token=${refresh}`)).status).toBe(200)
    await ageRotation(w, sessionOf(refresh), 11)
    expect((await profile(`refresh_token=${refresh}`)).status).toBe(401)
    expect((await profile(`refresh_token=${next.body.refreshToken}`)).status).toBe(200)
  })

  test('of a blocked or signed-out person renew nothing', async () => {
    const [blocked, gone] = [await browser(), await browser()]
    await query(w, sql`UPDATE users SET status = 'BLOCKED' WHERE uid = ${blocked.user.uid}::uuid`)
    const answer = await profile(`refresh_token=${blocked.refresh}`)
    expect([answer.status, answer.body.code, cookiesOf(answer.headers)]).toEqual([403, 'account_blocked', {}])
    await w.call('POST', '/api/auth/logout', { token: gone.accessToken })
    expect((await profile(`refresh_token=${gone.refresh}`)).status).toBe(401)
    expect((await profile(gone.cookie)).status).toBe(401)
  })

  test('take the place of each other: an access token is no refresh token', async () => {
    const { access, refresh } = await browser()
    expect((await profile(`refresh_token=${access}`)).status).toBe(401)
    expect((await profile(`access_token=${refresh}`)).status).toBe(401)
  })

  test('are Secure but on this machine over plain http', async () => {
    const app = createRouter()
    app.get('/', (c) => {
      setSessionCookies(c, { accessToken: 'a', refreshToken: 'r', sessionS: 60 })
      return c.text('')
    })
    for (const [origin, isSecure] of [
      ['https://chat.example', true],
      ['http://chat.example', true],
      ['https://localhost', true],
      ['http://localhost.chat.example', true],
      ['http://localhost:8000', false],
      ['http://127.0.0.1:8000', false],
    ] as const) {
      const lines = (await app.request(`${origin}/`)).headers.getSetCookie()
      expect([origin, lines.map((line) => line.includes('Secure'))]).toEqual([origin, [isSecure, isSecure]])
    }
  })

  test('refresh: by cookie from a trusted page alone; dead ones are cleared', async () => {
    const { cookie, refresh } = await browser()
    const ask = (Origin: string, sent = cookie) =>
      w.call<SignedIn & Problem>('POST', '/api/auth/refresh', { cookie: sent, headers: { Origin } })
    expect((await ask(FOREIGN)).body.code).toBe('origin_not_allowed')
    const { status, headers, body } = await ask(w.url)
    expect(status).toBe(200)
    expect(cookiesOf(headers)).toEqual({ access_token: body.accessToken, refresh_token: body.refreshToken })
    expect(claimsOf(body.refreshToken).n).toBe(1)
    await ageRotation(w, sessionOf(refresh), 11)
    const dead = await ask(w.url)
    expect(dead.status).toBe(401)
    expect(dead.headers.getSetCookie().every((line) => line.includes('Max-Age=0'))).toBe(true)
    expect(dead.headers.getSetCookie()).toHaveLength(2)
  })

  test('logout: ends the session and clears them, from a trusted page alone', async () => {
    const { cookie, accessToken } = await browser()
    const ask = (headers: Record<string, string>) =>
      w.call<Problem>('POST', '/api/auth/logout', { cookie, headers })
    for (const headers of [{}, { Origin: FOREIGN }] as Record<string, string>[])
      expect((await ask(headers)).body.code).toBe('origin_not_allowed')
    expect((await w.call('GET', '/api/user/profile', { token: accessToken })).status).toBe(200)
    for (let times = 0; times < 2; times++) {
      const { status, headers } = await ask({ Origin: w.url })
      expect([status, headers.getSetCookie().length, cookiesOf(headers)]).toEqual([204, 2, {}])
    }
    expect((await w.call('GET', '/api/user/profile', { token: accessToken })).status).toBe(401)
  })

  test('a form of a foreign page, which brings no cookies, clears none', async () => {
    const { headers } = await w.call('POST', '/api/auth/logout', {
      body: 'a=b',
      headers: { Origin: FOREIGN, 'Content-Type': 'application/x-www-form-urlencoded' },
    })
    expect(headers.getSetCookie()).toEqual([])
  })
})
