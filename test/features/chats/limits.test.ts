/** Money rules 1 and 6 through the whole service: a purse that pays for a part, and an upstream that claims too much. */
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { sql } from 'drizzle-orm'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { connectPostgres, type Database } from '../../../src/ports/postgres.ts'
import { type Person, type World, world } from '../../support/world.ts'

let at: World
let db: Database
/** Says a word and reports what the question tells it to. */
let liar: Server
let link: string
beforeAll(async () => {
  at = await world()
  db = connectPostgres('postgres://local:local@localhost/local', at.neon.url)
  liar = createServer(async (request, response) => {
    const parts: Buffer[] = []
    for await (const part of request) parts.push(part)
    const { messages } = JSON.parse(Buffer.concat(parts).toString())
    const chunk = { choices: [{ index: 0, delta: { content: 'So much.' }, finish_reason: 'stop' }] }
    const usage = { choices: [], usage: JSON.parse(messages.at(-1).content) }
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.end(`data: ${JSON.stringify(chunk)}\n\ndata: ${JSON.stringify(usage)}\n\ndata: [DONE]\n\n`)
  })
  await new Promise<void>((done) => liar.listen(0, '127.0.0.1', done))
  link = `http://127.0.0.1:${(liar.address() as AddressInfo).port}/v1`
})
afterAll(() => {
  liar?.closeAllConnections()
  liar?.close()
})

const chatOf = async (person: Person) =>
  (await person.post<{ chatUid: string }>('/api/chat/create')).body.chatUid
async function ask(person: Person, modelUid: string, message: string, more: object = {}) {
  const chatUid = await chatOf(person)
  return person.post<any>('/api/chat/message', { role: 'user', message, chatUid, modelUid, ...more })
}
const profile = async (person: Person) => (await person.get<any>('/api/user/profile')).body
/** Micro-credits. */
async function recorded(answer: { body: any }) {
  const { rows } = await db.execute<Record<'cost' | 'shortfall' | 'hold', string>>(sql`
    SELECT cost, shortfall, hold FROM generations WHERE message_uid = ${answer.body.assistantMessage.uid}`)
  return rows[0]!
}

describe('an upstream that reports no whole numbers', () => {
  it('has reported nothing: its text is measured, and marked so', async () => {
    const person = await at.richPerson(5)
    const { modelUid } = await at.model({ api_link: link })
    const odd = JSON.stringify({ prompt_tokens: 1.5, completion_tokens: 5.5, total_tokens: 7 })
    const { status, body } = await ask(person, modelUid, odd)
    const promptTokens = Math.ceil(odd.length / 4) + 4
    const completionTokens = Math.ceil('So much.'.length / 4)
    const totalTokens = promptTokens + completionTokens
    expect({ status, usage: body.usage, cost: body.cost }).toEqual({
      status: 200,
      usage: { promptTokens, completionTokens, totalTokens, source: 'estimated' },
      cost: totalTokens / 1000,
    })
  })
})

describe('an upstream that reports more than was allowed', () => {
  const usage = (prompt_tokens: number, completion_tokens: number) =>
    JSON.stringify({ prompt_tokens, completion_tokens, total_tokens: prompt_tokens + completion_tokens })

  it('gets all that is available and no more; the rest is recorded, logged and not taken', async () => {
    const person = await at.richPerson(5)
    const { modelUid } = await at.model({ api_link: link })
    const answer = await ask(person, modelUid, usage(1000, 1_000_000), { maxTokens: 100 })
    expect(answer).toMatchObject({ status: 200, body: { cost: 5, newBalance: 0 } })
    expect(answer.body.usage).toMatchObject({ totalTokens: 1_001_000, source: 'upstream' })
    expect(await recorded(answer)).toMatchObject({ cost: '5000000', shortfall: '996000000' })
    expect(await profile(person)).toMatchObject({ balance: 0, available: 0 })
    const { data } = (await person.get<any>('/api/transaction/my')).body
    expect(data[0]).toMatchObject({ amount: -5, balanceAfter: 0 })
    expect(at.logs().some((line) => line.includes('"shortfallMicros":996000000'))).toBe(true)
  })

  it('is paid beyond the hold from what is available, without a shortfall', async () => {
    const person = await at.richPerson(5)
    const { modelUid } = await at.model({ api_link: link })
    const answer = await ask(person, modelUid, usage(1000, 2000), { maxTokens: 100 })
    expect(answer.body).toMatchObject({ cost: 3, newBalance: 2 })
    const { hold, shortfall } = await recorded(answer)
    expect(Number(hold)).toBeLessThan(3_000_000)
    expect(shortfall).toBe('0')
  })

  it('never gets what another answer holds', async () => {
    const person = await at.richPerson(5)
    const slow = await at.model({ type: 'demo' })
    const { modelUid } = await at.model({ api_link: link })
    const running = ask(person, slow.modelUid, '[[tokens=160,delay=50]]', { maxTokens: 1000 })
    let held = 0
    for (let i = 0; i < 100 && held === 0; i++) {
      const { balance, available } = await profile(person)
      held = Number((balance - available).toFixed(6))
    }
    expect(held).toBeGreaterThan(1)
    const answer = await ask(person, modelUid, usage(1000, 1_000_000_000), { maxTokens: 100 })
    expect(answer.body.newBalance).toBe(held)
    expect(await profile(person)).toMatchObject({ balance: held, available: 0 })
    const slowly = await running
    expect(slowly).toMatchObject({ status: 200, body: { assistantMessage: { status: 'COMPLETED' } } })
    const { balance, available } = await profile(person)
    expect(balance).toBe(available)
    expect(balance).toBe(Number((held - slowly.body.cost).toFixed(6)))
  })

  it('is believed up to 10^9 tokens; a charge stops at what one amount may be', async () => {
    const person = await at.richPerson(10_000_000)
    await person.post('/api/transaction/my/make', { amount: 10_000_000, type: 'PURCHASE' })
    const { modelUid } = await at.model({ api_link: link, token_cost: 1 })
    const answer = await ask(person, modelUid, usage(1_000_000_000, 1_000_000_000), { maxTokens: 100 })
    expect(answer.body).toMatchObject({ cost: 10_000_000, newBalance: 10_000_000 })
    expect(await recorded(answer)).toMatchObject({ cost: '10000000000000', shortfall: '1990000000000000' })
    const more = await ask(person, modelUid, usage(1_000_000_001, 5), { maxTokens: 100 })
    expect(more.body.usage.promptTokens).toBeLessThan(1000)
    expect(more.body.cost).toBeLessThan(1000)
  })
})

describe('a balance that pays for a part of the answer', () => {
  const message = '[[tokens=500]]'
  /** Four bytes a token, and four around the message. */
  const prompt = Math.ceil(message.length / 4) + 4
  const cases: [string, number, number][] = [
    ['300 of the 1,000 wanted', 300, 300],
    ['all that is wanted, to the token', 1000, 1000],
    ['far more', 5000, 1000],
    ['the least that is worth a call', 64, 64],
  ]

  it.each(cases)('sends upstream the limit that it pays for: %s', async (_, pays, limit) => {
    const person = await at.richPerson((prompt + pays) / 1000)
    const { modelUid } = await at.model({ type: 'demo-instant' })
    at.upstream.requests.length = 0
    const answer = await ask(person, modelUid, message, { maxTokens: 1000 })
    expect(answer.status).toBe(200)
    expect(at.upstream.requests[0]!.body.max_tokens).toBe(limit)
    expect(answer.body.assistantMessage.finishReason).toBe(limit < 500 ? 'length' : 'stop')
    expect(answer.body.usage.completionTokens).toBe(Math.min(limit, 500))
    expect(Number((await recorded(answer)).hold)).toBe((prompt + limit) * 1000)
  })

  it('is refused below 64 tokens, with what is needed; unless less was wanted', async () => {
    const person = await at.richPerson((prompt + 63) / 1000)
    const { modelUid } = await at.model({ type: 'demo-instant' })
    at.upstream.requests.length = 0
    const refused = await ask(person, modelUid, message, { maxTokens: 1000 })
    expect(refused).toMatchObject({
      status: 402,
      body: { available: (prompt + 63) / 1000, held: 0, needed: (prompt + 64) / 1000 },
    })
    expect(at.upstream.requests).toHaveLength(0)
    const little = await ask(person, modelUid, message, { maxTokens: 20 })
    expect(little.status).toBe(200)
    expect(at.upstream.requests[0]!.body.max_tokens).toBe(20)
  })

  it('does not count what another answer holds', async () => {
    const { modelUid } = await at.model({ type: 'demo' })
    const slowly = '[[tokens=160,delay=50]]'
    const slow = Math.ceil(slowly.length / 4) + 4
    const person = await at.richPerson((slow + 1000 + prompt + 100) / 1000)
    const running = ask(person, modelUid, slowly, { maxTokens: 1000 })
    for (let i = 0; i < 100 && (await profile(person)).available > 1; i++);
    at.upstream.requests.length = 0
    const answer = await ask(person, modelUid, '[[tokens=5,delay=0]]', { maxTokens: 1000 })
    expect(answer.status).toBe(200)
    const asked = Math.ceil('[[tokens=5,delay=0]]'.length / 4) + 4
    expect(at.upstream.requests[0]!.body.max_tokens).toBe(100 + prompt - asked)
    await running
  })
})
