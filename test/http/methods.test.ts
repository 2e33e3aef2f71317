import { request } from 'node:http'
import { expect, it } from 'vitest'
import { eventsOf } from '../support/events.ts'
import { world } from '../support/world.ts'

/** What `fetch` would not send. */
const raw = (url: string, method: string, headers: Record<string, string> = {}) =>
  new Promise<{ status: number; text: string; location: string | undefined }>((resolve, reject) => {
    const { hostname, port } = new URL(url)
    const path = url.slice(url.indexOf('/', 8))
    request({ hostname, port, path, method, headers }, (answer) => {
      let text = ''
      answer.on('data', (chunk) => {
        text += chunk
      })
      answer.on('end', () =>
        resolve({ status: answer.statusCode ?? 0, text, location: answer.headers.location }),
      )
    })
      .on('error', reject)
      .end()
  })

it('HEAD is GET without its body, and leaves no feed open', async () => {
  // A Worker of its own: feeds that others have left are noticed at the next heartbeat.
  const at = await world({ CORS_ORIGINS: 'https://head.example' })
  const person = await at.person()
  const headers = { authorization: `Bearer ${person.token}` }
  for (const path of [
    '/health',
    '/docs',
    '/api/user/profile',
    '/api/chat/all',
    '/api/feed',
    '/api/chat/sse',
  ]) {
    const answer = await fetch(at.url + path, { method: 'HEAD', headers })
    expect([path, answer.status, await answer.text()]).toEqual([path, 200, ''])
  }
  expect((await fetch(`${at.url}/api/user/profile`, { method: 'HEAD' })).status).toBe(401)
  // What a HEAD had opened would be there before the first word of a feed that is asked for after it.
  const feed = await fetch(`${at.url}/api/feed`, { headers })
  for await (const { event } of eventsOf(feed)) {
    if (event !== 'snapshot') continue
    await expect.poll(() => at.upstash.counts.subscriptions, { timeout: 30_000 }).toBe(1)
    break
  }
})

it('a method that a path has not does nothing, and none can be put in place of another', async () => {
  const at = await world()
  const person = await at.person()
  const token = person.token
  for (const header of ['X-HTTP-Method-Override', 'X-Method-Override', 'X-HTTP-Method']) {
    expect((await person.get('/api/user/profile', { [header]: 'DELETE' })).status).toBe(200)
    await at.call('POST', '/api/user/profile?_method=DELETE', { token, headers: { [header]: 'DELETE' } })
  }
  for (const method of ['PUT', 'PROPFIND', 'LINK', 'SEARCH']) {
    const { status } = await raw(`${at.url}/api/user/profile`, method, { Authorization: `Bearer ${token}` })
    // The platform itself knows but some of them.
    expect([method, status]).toEqual([method, status === 501 ? 501 : 404])
  }
  expect((await person.get('/api/user/profile')).status).toBe(200)
})

it('TRACE gives nothing back of what was sent', async () => {
  const at = await world()
  const { status, text } = await raw(`${at.url}/api/user/profile`, 'TRACE', {
    Authorization: 'Bearer not-to-be-seen',
    Cookie: 'access_token=not-to-be-seen',
  })
  expect(status).toBeGreaterThanOrEqual(400)
  expect(text).not.toContain('not-to-be-seen')
})

it('leads nobody elsewhere', async () => {
  const at = await world()
  const paths = [
    ...['//evil.example', '//evil.example/..', '/\\evil.example', '/%2f%2fevil.example', '/%5cevil.example'],
    ...[
      '/docs//evil.example',
      '/docs/',
      '/.//evil.example',
      '///evil.example/%2e%2e',
      '/?next=//evil.example',
    ],
    ...['/api//evil.example', '/docs/%0d%0aLocation:%20https://evil.example', '/console/../..//evil.example'],
  ]
  for (const path of paths) {
    const { status, location = '' } = await raw(at.url + path, 'GET', { 'X-Forwarded-Host': 'evil.example' })
    expect([path, status < 500]).toEqual([path, true])
    expect([path, location]).toEqual([path, expect.not.stringMatching(/^(\w+:)?[\\/]{2}|\\/)])
  }
})
