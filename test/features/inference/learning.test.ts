// What an upstream teaches by a refusal: kept with the model, but only while the model points to that upstream.
import { beforeAll, describe, expect, it } from 'vitest'
import { type Person, type World, world } from '../../support/world.ts'

describe('the name of the output limit, learned from a refusal', () => {
  let at: World
  let person: Person
  let administrator: Person
  beforeAll(async () => {
    at = await world()
    person = await at.richPerson(100)
    administrator = await at.administrator()
  })

  const ask = async (modelUid: string, message: string) => {
    const { chatUid } = (await person.post<{ chatUid: string }>('/api/chat/create', {})).body
    return person.post<any>('/api/chat/message', { role: 'user', message, chatUid, modelUid })
  }
  const limitOf = async (modelUid: string) =>
    (await administrator.get<any>(`/api/model/one/${modelUid}`)).body.limit_param
  const asked = (words: string) =>
    at.upstream.requests.map(({ body }) => body).filter((body) => JSON.stringify(body).includes(words))

  it('is kept for the next question', async () => {
    const { modelUid } = await at.model()
    expect((await ask(modelUid, '[[fault:refuse=max_tokens]] first lesson')).status).toBe(200)
    expect(asked('first lesson').map((body) => 'max_completion_tokens' in body)).toEqual([false, true])
    expect(await limitOf(modelUid)).toBe('max_completion_tokens')
    expect((await ask(modelUid, '[[fault:refuse=max_tokens]] second lesson')).status).toBe(200)
    expect(asked('second lesson')).toHaveLength(1)
  })

  it('is not what another upstream is asked by, to which the model was moved meanwhile', async () => {
    const { modelUid } = await at.model()
    const words = '[[fault:refuse=max_tokens]] [[fault:slow-first-token=60000]] moved'
    const reply = ask(modelUid, words)
    await expect.poll(() => asked('moved').length, { timeout: 30_000 }).toBe(2)
    const elsewhere = { uid: modelUid, api_link: `${at.upstream.url}/chat/completions` }
    expect((await administrator.put('/api/model/update', elsewhere)).status).toBe(200)
    const { data } = (await person.get<any>('/api/chat/all?limit=1')).body
    const [answer] = (await person.get<any>(`/api/chat/${data[0].uid}/messages`)).body.data
    expect((await person.post('/api/chat/stop', { messageUid: answer.uid })).status).toBe(202)
    expect((await reply).body.assistantMessage.status).toBe('STOPPED')
    expect(await limitOf(modelUid)).toBe('max_tokens')
  })
})
