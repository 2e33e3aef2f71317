import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { eventsOf, joined } from '../../support/events.ts'
import { type Person, type World, world } from '../../support/world.ts'

const micros = (credits: number) => Math.round(credits * 1_000_000)
const sum = (numbers: number[]) => numbers.reduce((total, number) => total + number, 0)

describe('sending a message', () => {
  let at: World
  let model: { modelUid: string; name: string }
  beforeAll(async () => {
    at = await world()
    model = await at.model({ type: 'demo-instant', token_cost: 1000 })
  })

  const chatOf = async (person: Person, title?: string) =>
    ((await person.post('/api/chat/create', title ? { title } : {})).body as { chatUid: string }).chatUid
  const ask = (person: Person, chatUid: string, message: string, more: object = {}, headers = {}) =>
    person.post(
      '/api/chat/message',
      { role: 'user', message, chatUid, modelUid: model.modelUid, ...more },
      headers,
    ) as Promise<{
      status: number
      headers: Headers
      body: any
    }>
  const stream = (person: Person, json: object, headers: Record<string, string> = {}) =>
    fetch(`${at.url}/api/chat/message`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${person.token}`,
        'content-type': 'application/json',
        accept: 'text/event-stream',
        ...headers,
      },
      body: JSON.stringify(json),
    })
  const profile = async (person: Person) => (await person.get('/api/user/profile')).body as any
  const ledger = async (person: Person) =>
    ((await person.get('/api/transaction/my?limit=100')).body as any).data as any[]

  it('asks Postgres once before the upstream and once after its end, and Redis nothing before it', async () => {
    const person = await at.richPerson(10)
    const chatUid = await chatOf(person)
    for (const asStream of [false, true, false]) {
      at.neon.reset()
      at.upstash.reset()
      at.upstream.requests.length = 0
      const json = { role: 'user', message: 'Count the round trips.', chatUid, modelUid: model.modelUid }
      const messageUid = asStream
        ? (await Array.fromAsync(eventsOf(await stream(person, json))))[0]!.data.messageUid
        : (await ask(person, chatUid, json.message)).body.assistantMessage.uid
      const called = at.upstream.requests[0]!.at
      expect(at.neon.log.filter(({ at: time }) => time <= called)).toHaveLength(1)
      expect(at.neon.counts.requests).toBe(2)
      const told = at.upstash.log.filter(({ commands }) => JSON.stringify(commands).includes(messageUid))
      expect(told.filter(({ at: time }) => time <= called)).toHaveLength(0)
    }
  })

  it('charges what the answer says, once, in one transaction, and shows it everywhere', async () => {
    const person = await at.richPerson(10)
    const chatUid = await chatOf(person)
    const { body } = await ask(person, chatUid, '[[say:Every credit is counted once.]] Why?')
    expect(body.assistantMessage.message).toBe('Every credit is counted once.')
    expect(body.usage.source).toBe('upstream')
    expect(micros(body.cost)).toBe(Math.ceil((body.usage.totalTokens * 1_000_000) / 1000))
    const [row] = await ledger(person)
    expect(row).toMatchObject({ amount: -body.cost, type: 'GENERATION_COST', balanceAfter: body.newBalance })
    expect(await profile(person)).toMatchObject({ balance: body.newBalance, available: body.newBalance })
    const chat = (await person.get(`/api/chat/${chatUid}`)).body as any
    expect(chat).toMatchObject({ totalTokenUsed: body.usage.totalTokens, totalCreditSpent: body.cost })
    expect(chat.title).toContain('Every credit is counted once')
  })

  it('lets the affordable ones of 200 sends at once run, and the rest get 402', async () => {
    const price = { token_cost: 1000 }
    const { modelUid } = await at.model({ type: 'demo-instant', ...price })
    const said = '[[say:one two three four five]]'
    const probe = await at.richPerson(1)
    const first = (await probe.post('/api/chat/message', {
      role: 'user',
      message: said,
      chatUid: await chatOf(probe),
      modelUid,
      maxTokens: 64,
    })) as { body: any }
    // Credit for about fifty of these at the hold's price, which is what decides when all come at once.
    const hold = (Math.ceil(Buffer.byteLength(said) / 4) + 4 + 64) / 1000
    const person = await at.richPerson(Number((hold * 50).toFixed(6)))
    const start = (await profile(person)).balance
    const chats = await Promise.all(Array.from({ length: 200 }, () => chatOf(person)))
    const replies = (await Promise.all(
      chats.map((chatUid) =>
        person.post('/api/chat/message', { role: 'user', message: said, chatUid, modelUid, maxTokens: 64 }),
      ),
    )) as { status: number; body: any }[]
    const paid = replies.filter(({ status }) => status === 200)
    const refused = replies.filter(({ status }) => status === 402)
    expect(paid.length + refused.length).toBe(200)
    expect(paid.length).toBeGreaterThanOrEqual(50)
    expect(paid.length).toBeLessThanOrEqual(Math.floor(start / first.body.cost))
    for (const { body } of refused) {
      expect(body.code).toBe('insufficient_credits')
      expect(body.available).toBeLessThan(body.needed)
    }
    const after = await profile(person)
    const spent = sum(paid.map(({ body }) => micros(body.cost)))
    expect(micros(start) - micros(after.balance)).toBe(spent)
    expect(after.available).toBe(after.balance)
    expect(after.balance).toBeGreaterThanOrEqual(0)
    const rows = await ledger(person)
    const older = ((await person.get('/api/transaction/my?limit=100')).body as any).nextCursor
    const all = older
      ? [...rows, ...((await person.get(`/api/transaction/my?limit=100&cursor=${older}`)).body as any).data]
      : rows
    expect(sum(all.map(({ amount }: any) => micros(amount)))).toBe(micros(after.balance))
  }, 120_000)

  it('answers a repeat with the same key with the first outcome, in either form, and bills once', async () => {
    const person = await at.richPerson(10)
    const chatUid = await chatOf(person)
    const key = { 'Idempotency-Key': 'once-and-only-once' }
    const replies = await Promise.all(
      Array.from({ length: 8 }, () => ask(person, chatUid, 'Say it once.', {}, key)),
    )
    const first = replies.find(({ status }) => status === 200)!
    for (const { status, body } of replies)
      if (status === 409)
        expect(body).toMatchObject({
          code: 'idempotency_in_progress',
          messageUid: first.body.assistantMessage.uid,
        })
      else expect(body).toEqual(first.body)
    expect((await ask(person, chatUid, 'Say it once.', {}, key)).body).toEqual(first.body)
    expect((await ask(person, chatUid, 'Say another.', {}, key)).body.code).toBe('idempotency_mismatch')
    const repeat = { role: 'user', message: 'Say it once.', chatUid, modelUid: model.modelUid }
    const events = await Array.fromAsync(eventsOf(await stream(person, repeat, key)))
    expect(events.map(({ event }) => event)).toEqual(['message_start', 'message_delta', 'message_end'])
    expect(events[2]!.data).toMatchObject({ message: first.body.assistantMessage, cost: first.body.cost })
    expect((await ledger(person)).filter(({ type }) => type === 'GENERATION_COST')).toHaveLength(1)
    const messages = ((await person.get(`/api/chat/${chatUid}/messages`)).body as any).data
    expect(messages).toHaveLength(2)
  })

  it('keeps a failure under its key too, and a refusal not', async () => {
    const person = await at.person()
    const chatUid = await chatOf(person)
    const key = { 'Idempotency-Key': 'k1' }
    const broke = '[[fault:status=500]] Please fail.'
    expect((await ask(person, chatUid, broke, {}, key)).status).toBe(402)
    await person.post('/api/transaction/my/make', { amount: 5, type: 'PURCHASE', description: 'more' })
    const failed = await ask(person, chatUid, broke, {}, key)
    expect(failed).toMatchObject({ status: 502, body: { code: 'upstream_failed' } })
    const again = await ask(person, chatUid, broke, {}, key)
    expect(again).toMatchObject({
      status: 502,
      body: { code: 'upstream_failed', messageUid: failed.body.messageUid },
    })
    expect(
      at.upstream.requests.filter(({ body }) => JSON.stringify(body).includes('Please fail.')),
    ).toHaveLength(1)
    expect((await profile(person)).available).toBe(5)
  })

  it('runs one answer per chat and as many per person as configured', async () => {
    const strict = await world({ RUNNING_PER_USER: '2' })
    const person = await strict.richPerson(100)
    const slow = await strict.model({ type: 'demo-instant', token_cost: 1000 })
    const [a, b, c] = await Promise.all(
      [0, 1, 2].map(async () => (await person.post('/api/chat/create', {})).body as { chatUid: string }),
    )
    const send = (chatUid: string, message = '[[fault:slow-first-token=6000]] hm') =>
      person.post('/api/chat/message', {
        role: 'user',
        message,
        chatUid,
        modelUid: slow.modelUid,
      })
    const first = send(a!.chatUid)
    const second = send(b!.chatUid)
    await expect
      .poll(async () => ((await person.get(`/api/chat/${a!.chatUid}/messages`)).body as any).data.length)
      .toBe(2)
    await expect
      .poll(async () => ((await person.get(`/api/chat/${b!.chatUid}/messages`)).body as any).data.length)
      .toBe(2)
    const busy = (await send(a!.chatUid)) as { status: number; body: any }
    expect(busy).toMatchObject({ status: 409, body: { code: 'generation_in_progress' } })
    expect(await send(c!.chatUid)).toMatchObject({ status: 429, body: { code: 'too_many_generations' } })
    const done = (await first) as { body: any }
    expect(busy.body.messageUid).toBe(done.body.assistantMessage.uid)
    await second
    expect((await send(c!.chatUid, '[[say:now]]')).status).toBe(200)
  })

  it('limits the sending rate exactly, also at once', async () => {
    const limited = await world({ SENDS_PER_MINUTE: '5', RUNNING_PER_USER: '0' })
    const person = await limited.richPerson(100)
    const { modelUid } = await limited.model({ type: 'demo-instant', token_cost: 1000 })
    const chats = await Promise.all(Array.from({ length: 12 }, () => person.post('/api/chat/create', {})))
    const replies = await Promise.all(
      chats.map(({ body }) =>
        person.post('/api/chat/message', {
          role: 'user',
          message: 'hi',
          chatUid: (body as any).chatUid,
          modelUid,
        }),
      ),
    )
    expect(replies.filter(({ status }) => status === 200)).toHaveLength(5)
    const refused = replies.filter(({ status }) => status === 429)
    expect(refused).toHaveLength(7)
    for (const { headers } of refused) expect(Number(headers.get('retry-after'))).toBeGreaterThan(0)
  })

  it('sends instructions and the newest turns that fit, and never what failed', async () => {
    const person = await at.richPerson(100)
    const { modelUid } = await at.model({
      type: 'demo-instant',
      token_cost: 1000,
      context_tokens: 300,
      max_output_tokens: 100,
    })
    const chatUid = await chatOf(person)
    const say = async (message: string) =>
      (await person.post('/api/chat/message', { role: 'user', message, chatUid, modelUid })) as {
        status: number
        body: any
      }
    const instruction = await person.post('/api/chat/message', {
      role: 'system',
      message: 'Be brief.',
      chatUid,
    })
    expect(instruction.status).toBe(201)
    for (let turn = 0; turn < 12; turn++)
      expect((await say(`[[say:answer ${turn}]] question ${turn} ${'x'.repeat(60)}`)).status).toBe(200)
    expect((await say('[[fault:status=500]] this one fails')).status).toBe(502)
    at.upstream.requests.length = 0
    expect((await say('[[say:end]] the last question')).status).toBe(200)
    const { messages } = at.upstream.requests[0]!.body as { messages: { role: string; content: string }[] }
    expect(messages[0]).toEqual({ role: 'system', content: 'Be brief.' })
    expect(messages.at(-1)).toEqual({ role: 'user', content: '[[say:end]] the last question' })
    const turns = messages.slice(1, -1)
    expect(turns.map(({ role }) => role)).toEqual(turns.map((_, index) => (index % 2 ? 'assistant' : 'user')))
    expect(turns.at(-1)).toEqual({ role: 'assistant', content: 'answer 11' })
    expect(JSON.stringify(messages)).not.toContain('this one fails')
    const size = sum(messages.map(({ content }) => Math.ceil(Buffer.byteLength(content) / 4) + 4))
    expect(size).toBeLessThanOrEqual(200)
    const dropped = turns.length / 2
    expect(dropped).toBeLessThan(12)
    const next = Math.ceil(Buffer.byteLength(`[[say:answer 0]] question 0 ${'x'.repeat(60)}`) / 4) + 4 + 7
    expect(size + next).toBeGreaterThan(200)
    expect((await say('y'.repeat(900))).body.code).toBe('message_too_long')
  })

  it('keeps a long answer whole: 2 MB in 20,000 deltas, and one line of 1 MB', async () => {
    const person = await at.richPerson(1_000_000)
    const { modelUid } = await at.model({
      type: 'demo-instant',
      token_cost: 1000,
      max_output_tokens: 2_000_000,
      context_tokens: 4_000_000,
    })
    for (const [message, length] of [
      ['[[chunks=20000,size=100]]', 2_000_000],
      ['[[line=1000000]]', 1_000_000],
    ] as const) {
      const chatUid = await chatOf(person)
      const events = await Array.fromAsync(
        eventsOf(await stream(person, { role: 'user', message, chatUid, modelUid })),
      )
      const streamed = joined(events, 'message_delta')
      expect(streamed.length).toBe(length)
      const last = events.at(-1)!
      expect(last.event).toBe('message_end')
      expect(last.data.message).toMatchObject({ textOmitted: true, status: 'COMPLETED' })
      const stored = ((await person.get(`/api/chat/${chatUid}/messages?limit=1`)).body as any).data[0]
      expect(stored.message === streamed).toBe(true)
    }
  }, 120_000)

  it('stores the same text that it streams, whatever the text is', async () => {
    const person = await at.richPerson(1_000_000)
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: 'binary', minLength: 1, maxLength: 200 }), async (text) => {
        const chatUid = await chatOf(person)
        const clean = text.replaceAll(']]', '').replaceAll('\0', '').toWellFormed()
        const { status, body } = await ask(person, chatUid, `[[say:${clean || 'x'}]]`)
        expect(status).toBe(200)
        expect(body.userMessage.message).toBe(`[[say:${clean || 'x'}]]`)
        const [answer] = ((await person.get(`/api/chat/${chatUid}/messages`)).body as any).data
        expect(answer).toEqual(body.assistantMessage)
      }),
      { numRuns: 25 },
    )
  })

  it('replaces what Postgres cannot hold before anything counts it', async () => {
    const person = await at.richPerson(10)
    const chatUid = await chatOf(person)
    const raw = `{"role":"user","message":"a\\u0000b\\ud800c","chatUid":"${chatUid}","modelUid":"${model.modelUid}"}`
    const { status, body } = (await at.call('POST', '/api/chat/message', {
      token: person.token,
      body: raw,
      headers: { 'Content-Type': 'application/json' },
    })) as any
    expect(status).toBe(200)
    expect(body.userMessage.message).toBe('a\uFFFDb\uFFFDc')
  })
})
