import { expect, test } from 'vitest'
import { checkAnswer } from './contract.ts'
import { world } from './world.ts'

test('the stack answers within its contract, and what no route declares is 404', async () => {
  const { call, neon, upstash } = await world()
  neon.reset()
  upstash.reset()
  expect(await call('GET', '/health')).toMatchObject({ status: 200, body: { status: 'ok' } })
  expect(neon.counts.requests).toBe(0)
  const ready = { status: 'ok', postgres: 'ok', redis: 'ok' }
  expect(await call('GET', '/ready')).toMatchObject({ status: 200, body: ready })
  expect(neon.counts.requests).toBe(1)
  expect(upstash.counts.requests).toBe(1)
  expect(await call('GET', '/api/nothing/here')).toMatchObject({ status: 404, body: { code: 'not_found' } })
  expect(await call('GET', '/openapi.json')).toMatchObject({ status: 200, body: { openapi: '3.1.0' } })
})

test('another configuration is another Worker on the same data; the same one is shared', async () => {
  const [plain, other, again] = await Promise.all([
    world(),
    world({ CORS_ORIGINS: 'https://console.example' }),
    world({ CORS_ORIGINS: 'https://console.example' }),
  ])
  expect(other.url).not.toBe(plain.url)
  expect(again).toBe(other)
  const headers = { Origin: 'https://console.example' }
  const allowed = async (at: typeof plain) =>
    (await at.call('GET', '/health', { headers })).headers.get('access-control-allow-origin')
  expect(await allowed(plain)).toBeNull()
  expect(await allowed(other)).toBe('https://console.example')
})

test('with Redis away it says so; a killed workerd comes back', async () => {
  const { call, upstash, worker, logs } = await world({ CORS_ORIGINS: 'https://console.example' })
  upstash.down = true
  expect(await call('GET', '/ready')).toMatchObject({ body: { status: 'degraded', redis: 'away' } })
  upstash.down = false
  await worker.crash()
  expect(await call('GET', '/ready')).toMatchObject({ body: { status: 'ok' } })
  expect(logs().some((line) => line.includes('"route":"/ready"'))).toBe(true)
})

test('an answer that the document does not know is refused', () => {
  const headers = new Headers({ 'content-type': 'application/json', 'x-request-id': 'one' })
  const seen = { method: 'GET', path: '/health', status: 200, headers, body: { status: 'ok' } }
  expect(() => checkAnswer(seen)).not.toThrow()
  expect(() => checkAnswer({ ...seen, body: { status: 'ok', uptime: 1 } })).toThrow(/uptime/)
  expect(() => checkAnswer({ ...seen, status: 202 })).toThrow(/declares no 202/)
  expect(() => checkAnswer({ ...seen, headers: new Headers() })).toThrow(/X-Request-Id/)
  expect(() => checkAnswer({ ...seen, status: 500 })).toThrow(/problem/)
})
