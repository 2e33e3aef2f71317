import { expect, it } from 'vitest'
import { world } from '../../support/world.ts'
import { mortuary } from '../inference/dead.ts'

it('counts for an alarm: what is held, what failed, what was estimated, what was not paid', async () => {
  const at = await world()
  await mortuary(at).clear()
  const administrator = await at.administrator()
  const person = await at.richPerson(0.5)
  const count = async () => (await administrator.get<any>('/api/transaction/counters')).body
  const ask = async (modelUid: string, message: string) => {
    const { chatUid } = (await person.post<{ chatUid: string }>('/api/chat/create', {})).body
    return person.post<any>('/api/chat/message', { role: 'user', message, chatUid, modelUid })
  }
  const { modelUid } = await at.model({ type: 'demo-instant', token_cost: 1000 })
  const before = await count()
  const { body } = await ask(modelUid, 'What do I cost?')
  await ask(modelUid, '[[fault:status=400]] fail')
  const after = await count()
  const risen = (name: string) => after.lastHour[name] - before.lastHour[name]
  expect(risen('settled')).toBe(2)
  expect(risen('failed')).toBe(1)
  expect(risen('credits')).toBeCloseTo(body.cost, 6)
  expect(after).toMatchObject({ overdue: 0, outboxWaiting: 0 })

  const long = ask(modelUid, '[[fault:slow-first-token=60000]] wait')
  await expect.poll(async () => (await count()).running).toBe(after.running + 1)
  expect((await count()).held).toBeGreaterThan(after.held)
  const { data } = (await person.get<any>('/api/chat/all')).body
  const messages = (await person.get<any>(`/api/chat/${data[0].uid}/messages`)).body.data
  await person.post('/api/chat/stop', { messageUid: messages[0].uid })
  await long
  expect(await count()).toMatchObject({ running: after.running, held: after.held })
  expect((await person.get('/api/transaction/counters')).status).toBe(403)
})

it('writes them into the log at each sweep', async () => {
  const at = await world()
  await at.person()
  await at.worker.scheduled()
  await expect.poll(() => at.logs().some((line) => line.includes('"event":"money"'))).toBe(true)
})
