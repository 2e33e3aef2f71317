import { expect, it } from 'vitest'
import { world } from '../support/world.ts'

it('counts no body as an empty one, where all fields are optional', async () => {
  const at = await world()
  const person = await at.person()
  const headers = { 'Idempotency-Key': 'once' }
  const bare = await at.call<{ chatUid: string }>('POST', '/api/chat/create', {
    token: person.token,
    headers,
  })
  expect(bare.status).toBe(201)
  expect(await person.post('/api/chat/create', {}, headers)).toMatchObject({ status: 201, body: bare.body })
  expect(await person.post('/api/chat/create', { title: 'x' }, headers)).toMatchObject({
    body: { code: 'idempotency_mismatch' },
  })
})
