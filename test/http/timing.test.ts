import { expect, it } from 'vitest'
import { world } from '../support/world.ts'

it('tells what an answer asked of the ports, in its headers and in one line of the log', async () => {
  const at = await world()
  const person = await at.richPerson(5)
  const { modelUid } = await at.model({ type: 'demo-instant', token_cost: 1000 })
  const { chatUid } = (await person.post<{ chatUid: string }>('/api/chat/create', {})).body
  const message = { role: 'user', message: 'How long?', chatUid, modelUid }
  const { headers } = await person.post('/api/chat/message', message, { 'X-Request-Id': 'timed-1' })
  expect(headers.get('server-timing')).toMatch(/^total;dur=\d+, postgres;dur=\d+;desc="2 requests"/)
  // workerd has its own words too.
  const own = () => at.logs().filter((line) => line.includes('"event"'))
  const lines = () => own().map((line) => JSON.parse(line.slice(line.indexOf('{'))))
  await expect
    .poll(() => lines().find(({ event, requestId }) => event === 'request' && requestId === 'timed-1'))
    .toMatchObject({ status: 200, postgresRequests: 2, redisRequests: expect.any(Number) })
})

it('counts for each request its own, also among many at once', async () => {
  const at = await world()
  const person = await at.person()
  const asked = await Promise.all(Array.from({ length: 30 }, () => person.get('/api/user/profile')))
  for (const { headers } of asked) expect(headers.get('server-timing')).toContain('desc="1 request"')
})

it('tells nothing of how long a sign-in takes', async () => {
  const at = await world()
  const { headers } = await at.call('POST', '/api/auth/login', {
    json: { mail: 'nobody@example.com', password: 'wrong password' },
  })
  expect(headers.get('server-timing')).toBeNull()
})

it('logs of a path its words, and none of the values in it', async () => {
  const at = await world()
  const person = await at.person()
  const id = 'X-Request-Id'
  await person.get('/api/chat/Ada@example.com', { [id]: 'values-1' })
  await at.call('GET', '/nowhere/sk-0123456789abcdef', { headers: { [id]: 'values-2' } })
  await person.get(`/api/chat/${person.uid}/messages`, { [id]: 'values-3' })
  const routeOf = (requestId: string) => {
    const line = at
      .logs()
      .find((each) => each.includes(`"${requestId}"`) && each.includes('"event":"request"'))
    return line && JSON.parse(line.slice(line.indexOf('{'))).route
  }
  await expect.poll(() => routeOf('values-1')).toBe('/api/chat/:value')
  await expect.poll(() => routeOf('values-2')).toBe('/nowhere/:value')
  await expect.poll(() => routeOf('values-3')).toBe('/api/chat/:uid/messages')
  expect(at.logs().join('\n')).not.toMatch(/Ada@|sk-0123/)
})
