/** What a caller says about itself, and is not believed. */
import { randomUUID } from 'node:crypto'
import { connect } from 'node:net'
import { describe, expect, it } from 'vitest'
import { type World, world } from '../support/world.ts'

interface Person {
  uid: string
  role: string
  balance: number
}

describe('fields that nobody may set', () => {
  const form = (more: object) => ({
    ...{ firstName: 'Ada', lastName: 'Byron', mail: `${randomUUID()}@test.example` },
    ...{ password: `secret ${randomUUID()}`, ...more },
  })

  it('are refused at the registration, and not ignored', async () => {
    const at = await world()
    const tries = [
      { balance: 1_000_000 },
      { held: -5 },
      { status: 'ACTIVE' },
      { uid: randomUUID() },
      { createdAt: '2000-01-01T00:00:00Z' },
      { isAdministrator: true },
      { user: { role: 'ADMIN' } },
    ]
    for (const more of tries)
      expect(await at.call('POST', '/api/auth/register', { json: form(more) })).toMatchObject({
        status: 422,
        body: { code: 'invalid_request' },
      })
    const body = JSON.stringify(form({})).replace('{', '{"__proto__":{"role":"ADMIN"},')
    const headers = { 'Content-Type': 'application/json' }
    expect((await at.call('POST', '/api/auth/register', { body, headers })).status).toBe(422)
  })

  it('stay as they are in the profile', async () => {
    const at = await world()
    const person = await at.person()
    for (const more of [
      { role: 'ADMIN' },
      { balance: 5 },
      { available: 5 },
      { status: 'ACTIVE' },
      { uid: randomUUID() },
    ])
      expect((await person.patch('/api/user/profile', { firstName: 'Eve', ...more })).status).toBe(422)
    const { body } = await person.get<Person>('/api/user/profile')
    expect(body).toMatchObject({ uid: person.uid, role: 'USER', balance: 0, firstName: 'Test' })
  })

  it('and a role in a token counts for nothing', async () => {
    const at = await world()
    const administrator = await at.administrator()
    const other = await at.administrator()
    await other.patch(`/api/user/${administrator.uid}`, { role: 'USER' })
    // The access token still says ADMIN.
    expect(await administrator.get('/api/user/all')).toMatchObject({
      status: 403,
      body: { code: 'forbidden' },
    })
  })
})

it('an address that the caller makes up is no other address', async () => {
  const at = await world({ AUTH_PER_MINUTE: '3' })
  const from = randomUUID()
  const names = [
    'X-Forwarded-For',
    'X-Real-IP',
    'Forwarded',
    'True-Client-IP',
    'X-Client-IP',
    'X-Cluster-Client-IP',
  ]
  const statuses: number[] = []
  for (const name of names) {
    const made = { [name]: name === 'Forwarded' ? 'for=9.9.9.9' : '9.9.9.9' }
    const headers = { 'CF-Connecting-IP': from, ...made }
    const json = { mail: `${randomUUID()}@test.example`, password: 'a wrong password' }
    statuses.push((await at.call('POST', '/api/auth/login', { json, headers })).status)
  }
  expect(statuses).toEqual([401, 401, 401, 429, 429, 429])
})

it('a host that the caller makes up goes nowhere', async () => {
  const at = await world()
  const person = await at.person()
  const cookie = `access_token=${person.token}`
  const lies: Record<string, string>[] = [
    { 'X-Forwarded-Host': 'evil.example' },
    { 'X-Forwarded-Proto': 'https' },
    { Forwarded: 'host=evil.example' },
  ]
  for (const lie of lies) {
    const page = await at.call('GET', '/api/transaction/my?limit=1', { token: person.token, headers: lie })
    expect(JSON.stringify([...page.headers])).not.toContain('evil.example')
    const headers = { Origin: 'https://evil.example', ...lie }
    const written = await at.call('PATCH', '/api/user/profile', {
      cookie,
      headers,
      json: { firstName: 'Eve' },
    })
    expect(written).toMatchObject({ status: 403, body: { code: 'origin_not_allowed' } })
  }
})

describe('requests that are two', () => {
  /** All that comes back for these bytes until the server closes, or is silent for a while. */
  const exchange = (at: World, bytes: string) =>
    new Promise<string>((resolve) => {
      const { hostname, port } = new URL(at.url)
      const socket = connect(Number(port), hostname, () => socket.write(bytes, 'latin1'))
      let text = ''
      socket.setTimeout(30_000, () => socket.destroy())
      socket.on('data', (chunk) => {
        text += chunk
        socket.setTimeout(400)
      })
      socket.on('error', () => {})
      socket.on('close', () => resolve(text))
    })
  // How messages are divided is the runtime's to say (docs/security.md); here, that it refuses what is in doubt.
  const lines = (...all: string[]) => all.join('\r\n')
  const smuggled = 'GET /health HTTP/1.1\r\nHost: x\r\nX-Request-Id: smuggled\r\n\r\n'
  const login = ['POST /api/auth/login HTTP/1.1', 'Host: x', 'Content-Type: application/json']

  it.each([
    ['two lengths', lines(...login, 'Content-Length: 0', `Content-Length: ${smuggled.length}`, '', smuggled)],
    [
      'a coding that is none',
      lines(...login, 'Transfer-Encoding: xchunked', 'Content-Length: 0', '', smuggled),
    ],
    ['a blank before the colon', lines(...login, `Content-Length : ${smuggled.length}`, '', smuggled)],
    ['a negative length', lines(...login, 'Content-Length: -1', '', smuggled)],
  ])('%s: the second is never answered', async (_, bytes) => {
    const at = await world()
    const text = await exchange(at, bytes)
    expect(text).toMatch(/^HTTP\/1\.1 [45]/)
    expect(text).not.toContain('smuggled')
  })

  it('a header cannot be broken in two', async () => {
    const at = await world()
    for (const id of ['a%0d%0aSet-Cookie:%20x=1', 'a\u0085Set-Cookie: x=1', 'a\tb']) {
      const text = await exchange(at, lines('GET /health HTTP/1.1', 'Host: x', `X-Request-Id: ${id}`, '', ''))
      expect(text).not.toMatch(/^Set-Cookie/im)
    }
  })
})
