import { setTimeout as sleep } from 'node:timers/promises'
import { beforeAll, describe, expect, it } from 'vitest'
import { Watcher } from '../../support/watcher.ts'
import { type Person, type World, world } from '../../support/world.ts'

const micros = (credits: number) => Math.round(credits * 1_000_000)

describe('stopping and retrying an answer', () => {
  let at: World
  let modelUid: string
  beforeAll(async () => {
    at = await world()
    modelUid = (await at.model({ type: 'demo-instant', token_cost: 1000 })).modelUid
  })
  const begin = async (person: Person, message: string) => {
    const { chatUid } = (await person.post<{ chatUid: string }>('/api/chat/create', {})).body
    const reply = person.post<any>('/api/chat/message', { role: 'user', message, chatUid, modelUid })
    const running = async () =>
      (await person.get<any>(`/api/chat/${chatUid}/messages`)).body.data.find(
        (row: any) => row.role === 'assistant',
      )
    await expect.poll(running, { timeout: 30_000 }).toBeDefined()
    return { chatUid, reply, messageUid: (await running()).uid as string }
  }

  it('stops from another device within two seconds, keeps and charges what came', async () => {
    const person = await at.richPerson(100)
    const { reply, messageUid, chatUid } = await begin(person, '[[tokens=2000]] [[delay=20]] a long story')
    const watcher = new Watcher(`${at.url}/api/chat/sse/${chatUid}`, {
      authorization: `Bearer ${person.token}`,
    })
    watcher.open(undefined)
    await expect
      .poll(() => watcher.messages.get(messageUid)?.text.length ?? 0, { timeout: 30_000 })
      .toBeGreaterThan(0)
    const asked = Date.now()
    expect(await person.post('/api/chat/stop', { messageUid })).toMatchObject({
      status: 202,
      body: { messageUid, status: 'STREAMING' },
    })
    const { status, body } = await reply
    expect(Date.now() - asked).toBeLessThan(15_000) // 2 s by contract; a lease would tell of it after 20 s
    expect(status).toBe(200)
    expect(body.assistantMessage).toMatchObject({ status: 'STOPPED', finishReason: 'stopped' })
    expect(body.assistantMessage.message).not.toBe('')
    expect(body.cost).toBeGreaterThan(0)
    await expect.poll(() => watcher.messages.get(messageUid)?.status).toBe('STOPPED')
    expect(watcher.messages.get(messageUid)?.text).toBe(body.assistantMessage.message)
    await watcher.drop()
    expect(at.upstream.requests.at(-1)!.clientGone).toBe(true)
    expect(await person.post('/api/chat/stop', { messageUid })).toMatchObject({
      status: 200,
      body: { messageUid, status: 'STOPPED' },
    })
    const profile = (await person.get<any>('/api/user/profile')).body
    expect(micros(profile.balance)).toBe(100_000_000 - micros(body.cost))
    expect(profile.available).toBe(profile.balance)
  })

  it('stops an answer of which nothing has come yet, for nothing', async () => {
    const person = await at.richPerson(100)
    const { reply, messageUid } = await begin(person, '[[fault:slow-first-token=20000]] hm')
    await sleep(300)
    expect((await person.post('/api/chat/stop', { messageUid })).status).toBe(202)
    const { status, body } = await reply
    expect(status).toBe(200)
    expect(body).toMatchObject({
      assistantMessage: { status: 'STOPPED', message: '' },
      usage: null,
      cost: 0,
      newBalance: 100,
    })
  })

  it('stops nobody else and nothing unknown', async () => {
    const [person, other] = await Promise.all([at.richPerson(100), at.person()])
    const { reply, messageUid } = await begin(person, '[[tokens=40]] [[delay=20]] mine')
    for (const uid of [messageUid, '019abf6e-7c1d-7a53-9d0e-3f1f6a0c2b11'])
      expect(await other.post('/api/chat/stop', { messageUid: uid })).toMatchObject({
        status: 404,
        body: { code: 'message_not_found' },
      })
    expect((await other.post('/api/chat/retry', { messageUid })).status).toBe(404)
    expect((await reply).body.assistantMessage.status).toBe('COMPLETED')
  })

  it('answers a question anew, with what stood before it, and sends the newest answer on', async () => {
    const person = await at.richPerson(100)
    const { chatUid, reply } = await begin(person, '[[say:first]] one')
    await reply
    const ask = (message: string) =>
      person.post<any>('/api/chat/message', { role: 'user', message, chatUid, modelUid })
    const second = (await ask('[[say:second]] two')).body
    at.upstream.requests.length = 0
    const again = await person.post<any>('/api/chat/retry', { messageUid: second.assistantMessage.uid })
    expect(again.status).toBe(200)
    expect(again.body.userMessage).toEqual(second.userMessage)
    expect(again.body.assistantMessage.uid).not.toBe(second.assistantMessage.uid)
    const contents = (index: number) =>
      (at.upstream.requests[index]!.body as any).messages.map(({ content }: any) => content)
    expect(contents(0)).toEqual(['[[say:first]] one', 'first', '[[say:second]] two'])
    // By the question, too; and with another model.
    const other = await at.model({ type: 'demo-instant', token_cost: 500 })
    const third = await person.post<any>('/api/chat/retry', {
      messageUid: second.userMessage.uid,
      modelUid: other.modelUid,
    })
    expect(third.body.assistantMessage.modelUid).toBe(other.modelUid)
    expect(micros(third.body.cost)).toBe(micros(again.body.cost) * 2)
    await ask('[[say:end]] three')
    expect(contents(2)).toEqual([
      '[[say:first]] one',
      'first',
      '[[say:second]] two',
      'second',
      '[[say:end]] three',
    ])
    const rows = (await person.get<any>(`/api/chat/${chatUid}/messages`)).body.data
    expect(rows.filter(({ role }: any) => role === 'assistant')).toHaveLength(5)
    const spent = (await person.get<any>('/api/transaction/my')).body.data.filter(
      ({ type }: any) => type === 'GENERATION_COST',
    )
    expect(spent).toHaveLength(5)
  })

  it('retries once per key, streams it too, and refuses while an answer is being written', async () => {
    const person = await at.richPerson(100)
    const { chatUid, reply, messageUid } = await begin(person, '[[tokens=60]] [[delay=80]] slow')
    expect(await person.post('/api/chat/retry', { messageUid })).toMatchObject({
      status: 409,
      body: { code: 'generation_in_progress', messageUid },
    })
    await reply
    const key = { 'Idempotency-Key': 'again' }
    const first = await person.post<any>('/api/chat/retry', { messageUid }, key)
    expect((await person.post<any>('/api/chat/retry', { messageUid }, key)).body).toEqual(first.body)
    const rows = (await person.get<any>(`/api/chat/${chatUid}/messages`)).body.data
    expect(rows.filter(({ role }: any) => role === 'assistant')).toHaveLength(2)
  })

  it('stops the answers of whoever is blocked, and books them', async () => {
    const person = await at.richPerson(100)
    const administrator = await at.administrator()
    const { reply } = await begin(person, '[[tokens=2000]] [[delay=20]] until I am blocked')
    await sleep(500)
    const asked = Date.now()
    expect((await administrator.patch(`/api/user/${person.uid}`, { status: 'BLOCKED' })).status).toBe(200)
    const { status, body } = await reply
    expect(Date.now() - asked).toBeLessThan(15_000)
    expect({ status, state: body.assistantMessage.status }).toEqual({ status: 200, state: 'STOPPED' })
    expect(body.cost).toBeGreaterThan(0)
    expect(await person.get('/api/chat/all')).toMatchObject({
      status: 403,
      body: { code: 'account_blocked' },
    })
  })

  it('stops the answer of a chat that is deleted, keeps no text of it, and books it', async () => {
    const person = await at.richPerson(100)
    const { chatUid, reply } = await begin(person, '[[tokens=2000]] [[delay=20]] soon gone')
    await sleep(1_000)
    expect((await person.delete(`/api/chat/${chatUid}`)).status).toBe(200)
    const { body } = await reply
    expect(body.assistantMessage.status).toBe('STOPPED')
    expect((await person.get(`/api/chat/${chatUid}/messages`)).status).toBe(404)
    const profile = (await person.get<any>('/api/user/profile')).body
    expect(profile.available).toBe(profile.balance)
    expect(micros(profile.balance)).toBe(100_000_000 - micros(body.cost))
  })
})
