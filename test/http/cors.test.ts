import { expect, it } from 'vitest'
import { readEnv } from '../../src/env.ts'
import { type World, world } from '../support/world.ts'

const CONSOLE = 'https://console.example'
/** What looks like it, or like nothing. */
const FOREIGN = [
  'null',
  'https://evil.example',
  'http://console.example',
  'https://console.example:8443',
  'https://console.example.evil.example',
  'https://evilconsole.example',
  'https://CONSOLE.example',
  'https://console.example/',
  `${CONSOLE},https://evil.example`,
  `${CONSOLE} https://evil.example`,
  '*',
]
const open = () => world({ CORS_ORIGINS: `${CONSOLE},https://other.example` })

const preflight = (at: World, Origin: string, method = 'PATCH') =>
  at.call('OPTIONS', '/api/user/profile', {
    headers: {
      Origin,
      'Access-Control-Request-Method': method,
      'Access-Control-Request-Headers': 'authorization,content-type',
    },
  })

it('lets pages of the configured origins in, with credentials, for what they may send', async () => {
  const at = await open()
  const before = at.neon.counts.requests
  const { status, headers } = await preflight(at, CONSOLE)
  expect([status, headers.get('access-control-allow-origin')]).toEqual([204, CONSOLE])
  expect(headers.get('access-control-allow-credentials')).toBe('true')
  expect(headers.get('access-control-allow-methods')?.split(',')).toContain('PATCH')
  expect(headers.get('access-control-allow-headers')?.toLowerCase()).toContain('authorization')
  expect(headers.get('access-control-allow-headers')).not.toContain('*')
  expect(headers.get('vary')).toContain('Origin')
  // Nobody has to sign in for the question, and nothing is done for it.
  expect(at.neon.counts.requests).toBe(before)
})

it('lets a page use the official client at the door, whose headers are its own', async () => {
  const at = await open()
  const asked = 'authorization,content-type,x-stainless-lang,x-stainless-retry-count'
  const ask = (path: string) =>
    at.call('OPTIONS', path, {
      headers: {
        Origin: CONSOLE,
        'Access-Control-Request-Method': 'POST',
        'Access-Control-Request-Headers': asked,
      },
    })
  const allowed = (await ask('/v1/chat/completions')).headers.get('access-control-allow-headers')
  expect(allowed?.split(',')).toEqual(expect.arrayContaining(asked.split(',')))
  const elsewhere = (await ask('/api/chat/message')).headers.get('access-control-allow-headers')
  expect(elsewhere).not.toContain('x-stainless-lang')
  const { headers } = await at.call('GET', '/v1/models', { headers: { Origin: CONSOLE } })
  const shown = headers.get('access-control-expose-headers')?.toLowerCase()
  for (const name of ['x-request-id', 'retry-after', 'x-should-retry', 'x-ratelimit-remaining-requests'])
    expect(shown).toContain(name)
})

it('shows no other page an answer, with or without credentials, nor a preflight', async () => {
  const at = await open()
  const person = await at.person()
  const cookie = `access_token=${person.token}`
  for (const Origin of FOREIGN) {
    const answers = [
      await preflight(at, Origin),
      await at.call('GET', '/health', { headers: { Origin } }),
      await at.call('GET', '/api/user/profile', { headers: { Origin }, cookie }),
      await at.call('GET', '/api/user/profile', { headers: { Origin }, token: person.token }),
      await at.call('GET', '/v1/models', { headers: { Origin } }),
      await at.call('GET', '/api/nothing', { headers: { Origin } }),
    ]
    for (const { headers } of answers) expect(headers.get('access-control-allow-origin'), Origin).toBeNull()
  }
})

it('names the one origin that asked, on refusals too, and tells caches that it depends on it', async () => {
  const at = await open()
  for (const Origin of [CONSOLE, 'https://other.example'])
    for (const path of ['/health', '/api/user/profile', '/api/nothing', '/v1/models']) {
      const { headers } = await at.call('GET', path, { headers: { Origin } })
      expect([path, headers.get('access-control-allow-origin')]).toEqual([path, Origin])
      expect(headers.get('vary')).toContain('Origin')
      expect(headers.get('access-control-expose-headers')).toContain('X-Request-Id')
    }
})

it('without CORS_ORIGINS opens to nobody', async () => {
  const at = await world()
  for (const Origin of [...FOREIGN, CONSOLE, '']) {
    const { headers } = await preflight(at, Origin)
    expect(headers.get('access-control-allow-origin'), Origin).toBeNull()
  }
})

it('what is no origin is no configuration', () => {
  const rest = {
    ...{ DATABASE_URL: 'postgres://a@b/c', UPSTASH_REDIS_REST_URL: 'https://redis.example' },
    ...{ UPSTASH_REDIS_REST_TOKEN: 'token', MODEL_SECRET_KEYS: `a:${btoa('x'.repeat(32))}` },
    ...{ JWT_ACCESS_SECRET: 'x'.repeat(32), JWT_REFRESH_SECRET: 'y'.repeat(32) },
  }
  const read = (CORS_ORIGINS: string) => () => readEnv({ ...rest, CORS_ORIGINS }).CORS_ORIGINS
  expect(read(`${CONSOLE}, http://localhost:5173,capacitor://localhost`)()).toHaveLength(3)
  for (const wrong of ['null', '*', 'https://*.example', `${CONSOLE}/`, 'console.example', `${CONSOLE},null`])
    expect(read(wrong), wrong).toThrow(/CORS_ORIGINS must be origins/)
})

it('lets no foreign page write by cookie, whatever it calls its body', async () => {
  const at = await open()
  const person = await at.person()
  const cookie = `access_token=${person.token}; refresh_token=${person.refreshToken}`
  const types = ['application/json', 'text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data']
  for (const type of types)
    for (const Origin of [undefined, 'null', 'https://evil.example']) {
      const headers = { 'Content-Type': type, ...(Origin === undefined ? {} : { Origin }) }
      const body = '{"firstName":"Mallory"}'
      const { status } = await at.call('PATCH', '/api/user/profile', { cookie, headers, body })
      expect([type, Origin, status]).toEqual([type, Origin, 403])
    }
  const profile = await person.get<{ firstName: string }>('/api/user/profile')
  expect(profile.body.firstName).not.toBe('Mallory')
})
