import { expect, it } from 'vitest'
import { eventsOf } from './support/events.ts'
import { stack } from './support/stack.ts'
import { world } from './support/world.ts'

/** Planted where secrets go in; `call` searches every answer for them, this test also the output and the streams. */
it('keeps every secret to itself: in answers, streams, errors and logs', async () => {
  const at = await world()
  const marker = 'sk-PLANTED-upstream-key-0123456789'
  at.secrets.add(marker)
  const person = await at.richPerson(50)
  const administrator = await at.administrator()
  const { chatUid } = (await person.post<{ chatUid: string }>('/api/chat/create', {})).body
  const streams: string[] = []
  for (const message of [
    'hello',
    '[[fault:status=500]] x',
    '[[fault:status=401]] x',
    '[[fault:error-after=2]] x',
    '[[fault:cut-after=2]] x',
    '[[fault:content-type=text/html]] x',
  ]) {
    const { modelUid } = await at.model({ type: 'demo-instant', auth_token: marker })
    await person.post('/api/chat/message', { role: 'user', message, chatUid, modelUid })
    const response = await fetch(`${at.url}/api/chat/message?stream=true`, {
      method: 'POST',
      headers: { authorization: `Bearer ${person.token}`, 'content-type': 'application/json' },
      body: JSON.stringify({ role: 'user', message, chatUid, modelUid }),
    })
    streams.push(JSON.stringify(await Array.fromAsync(eventsOf(response))))
    await administrator.get(`/api/model/one/${modelUid}`)
    await administrator.post(`/api/model/test/${modelUid}`)
  }
  // An upstream that is not there, a login that fails, a database that fails in the middle.
  const { modelUid } = await at.model({ api_link: 'http://127.0.0.1:9/v1', auth_token: marker })
  await person.post('/api/chat/message', { role: 'user', message: 'nobody home', chatUid, modelUid })
  await at.call('POST', '/api/auth/login', {
    json: { mail: person.mail, password: `${person.password} wrong` },
  })
  at.neon.fault = () => 'after'
  await person.get('/api/chat/all')
  at.neon.fault = undefined
  await at.call('POST', '/api/auth/refresh', { json: { refreshToken: `${person.refreshToken}x` } })

  expect(at.upstream.requests.some(({ headers }) => headers.authorization === `Bearer ${marker}`)).toBe(true)
  const output = [...at.logs(), ...streams].join('\n')
  expect(output).toContain('"event":"request"')
  const { secrets } = await stack()
  for (const secret of [
    marker,
    person.password,
    person.token,
    person.refreshToken,
    ...Object.values(secrets),
  ])
    expect(output.includes(secret)).toBe(false)
  expect(output).not.toMatch(/postgres(ql)?:\/\/|SELECT |INSERT INTO/)
})
