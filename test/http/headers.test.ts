/** What every answer carries, whatever it is: nothing of it is left to the platform. */
import { expect, it } from 'vitest'
import { eventsOf } from '../support/events.ts'
import { type World, world } from '../support/world.ts'

const DEFENCES = {
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'strict-transport-security': 'max-age=15552000; includeSubDomains',
}
const defencesOf = (headers: Headers) =>
  Object.fromEntries(Object.keys(DEFENCES).map((name) => [name, headers.get(name)]))

/** The headers of a stream, which is left as soon as they are there. */
async function headersOf(at: World, path: string, init: RequestInit): Promise<Headers> {
  const answer = await fetch(at.url + path, init)
  for await (const _ of eventsOf(answer)) break
  return answer.headers
}

it('defends the browser, on every kind of answer', async () => {
  const at = await world()
  const person = await at.richPerson(5)
  const { modelUid } = await at.model()
  const { chatUid } = (await person.post<{ chatUid: string }>('/api/chat/create', {})).body
  const signed = { authorization: `Bearer ${person.token}`, 'content-type': 'application/json' }
  const body = JSON.stringify({ role: 'user', message: 'hello', chatUid, modelUid })
  const answers: Record<string, Headers> = {
    'an answer': (await person.get('/api/user/profile')).headers,
    'a file': (await person.get('/api/transaction/my', { Accept: 'text/csv' })).headers,
    'no content': (await at.call('POST', '/api/auth/logout', {})).headers,
    'a refusal': (await at.call('GET', '/api/user/profile')).headers,
    'a body that is too large': (await at.call('POST', '/api/auth/login', { body: 'x'.repeat(2_000_000) }))
      .headers,
    'nothing there': (await at.call('GET', '/api/nothing')).headers,
    'nothing at all': (await at.call('GET', '/nothing')).headers,
    'a refusal of the other door': (await at.call('GET', '/v1/models')).headers,
    'nothing behind the other door': (await at.call('GET', '/v1/nothing')).headers,
    'a preflight': (await at.call('OPTIONS', '/api/user/profile')).headers,
    'the page': (await at.call('GET', '/docs')).headers,
    alive: (await at.call('GET', '/health')).headers,
    'a feed': await headersOf(at, '/api/feed', { headers: signed }),
    'a stream': await headersOf(at, '/api/chat/message?stream=true', {
      method: 'POST',
      headers: signed,
      body,
    }),
  }
  for (const [what, headers] of Object.entries(answers))
    expect({ what, ...defencesOf(headers) }).toEqual({ what, ...DEFENCES })
})

it('leaves nothing of the API in a cache, and nothing of a stream on the way', async () => {
  const at = await world()
  const person = await at.person()
  const kept = async (method: string, path: string, asking = {}) =>
    (await at.call(method, path, asking)).headers.get('cache-control')
  expect(await kept('GET', '/api/user/profile', { token: person.token })).toBe('no-store')
  expect(await kept('GET', '/api/user/profile')).toBe('no-store')
  expect(await kept('GET', '/api/nothing')).toBe('no-store')
  expect(await kept('POST', '/api/auth/login', { body: '{' })).toBe('no-store')
  expect(await kept('GET', '/v1/models')).toBe('no-store')
  expect(await kept('GET', '/v1/nothing')).toBe('no-store')
  const feed = await headersOf(at, '/api/feed', { headers: { authorization: `Bearer ${person.token}` } })
  expect(feed.get('cache-control')).toBe('no-cache, no-transform')
})

it('tells nothing of what it is made of', async () => {
  const at = await world()
  for (const path of ['/health', '/api/nothing', '/v1/nothing', '/docs', '/nothing']) {
    const { headers } = await at.call('GET', path)
    for (const name of ['server', 'x-powered-by', 'via', 'x-aspnet-version'])
      expect([path, name, headers.get(name)]).toEqual([path, name, null])
  }
})
