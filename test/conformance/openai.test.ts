/** The official client, unmodified, against the running Worker: what its users do all day. */
import OpenAI from 'openai'
import { zodFunction, zodResponseFormat } from 'openai/helpers/zod'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { type CannedUpstream, completion, startCanned, stream } from '../support/canned.ts'
import { type Program, program } from '../support/door.ts'
import { type World, world } from '../support/world.ts'

let at: World
let upstream: CannedUpstream
let app: Program
let demo: string
beforeAll(async () => {
  at = await world()
  upstream = await startCanned()
  app = await program(at)
  demo = (await at.model()).name
})
afterAll(() => upstream?.close())

const hello = [{ role: 'user' as const, content: 'Hello [[tokens=6]]' }]
const balance = async () =>
  (await app.owner.get<{ balance: number; available: number }>('/api/user/profile')).body
const micros = (credits: number) => Math.round(credits * 1_000_000)
const costOf = (usage: unknown) => (usage as { cost: number }).cost

describe('an answer', () => {
  test('whole: its words, our id, the registered name, the usage and what the ledger says it cost', async () => {
    const before = await balance()
    const { data, request_id } = await app.client.chat.completions
      .create({ model: demo, messages: hello })
      .withResponse()
    expect(data).toMatchObject({ object: 'chat.completion', model: demo })
    expect(data.id).toMatch(/^chatcmpl-[0-9a-f-]{36}$/)
    expect(data.choices[0]).toMatchObject({ index: 0, finish_reason: 'stop', message: { role: 'assistant' } })
    expect(data.choices[0]?.message.content).toContain('You asked: “Hello”')
    expect(data.usage).toMatchObject({ prompt_tokens: 3, completion_tokens: 6, total_tokens: 9, cost: 0.009 })
    expect(request_id).toMatch(/^[0-9a-f-]{36}$/)
    const after = await balance()
    expect(after.available).toBe(after.balance)
    expect(micros(before.balance) - micros(after.balance)).toBe(9000)
  })

  test('in chunks: the same words, and no usage that nobody asked for', async () => {
    const whole = await app.client.chat.completions.create({ model: demo, messages: hello })
    const chunks = await Array.fromAsync(
      await app.client.chat.completions.create({ model: demo, messages: hello, stream: true }),
    )
    const text = chunks.map(({ choices: [choice] }) => choice!.delta.content ?? '').join('')
    expect(text).toBe(whole.choices[0]?.message.content)
    expect(new Set(chunks.map(({ id, model, object }) => `${id} ${model} ${object}`)).size).toBe(1)
    expect(chunks[0]).toMatchObject({ model: demo, object: 'chat.completion.chunk' })
    expect(chunks.at(-1)?.choices[0]?.finish_reason).toBe('stop')
    expect(chunks.every(({ usage }) => !usage)).toBe(true)
  })

  test('in chunks with the usage: it comes last, booked, with its cost', async () => {
    const before = await balance()
    const said = await app.client.chat.completions.create({
      ...{ model: demo, messages: hello, stream: true, stream_options: { include_usage: true } },
    })
    let usage: unknown
    for await (const chunk of said) {
      if (!chunk.usage) continue
      usage = chunk.usage
      expect(chunk.choices).toEqual([])
      // Read while the stream is still open: the charge was booked before it was told.
      expect(micros(before.balance) - micros((await balance()).balance)).toBe(micros(costOf(usage)))
    }
    expect(usage).toMatchObject({ total_tokens: 9, cost: 0.009 })
  })

  test('through the streaming helper, which puts it together again', async () => {
    const runner = app.client.chat.completions.stream({
      ...{ model: demo, messages: hello, stream_options: { include_usage: true } },
    })
    const words: string[] = []
    runner.on('content', (delta) => words.push(delta))
    const final = await runner.finalChatCompletion()
    expect(final.choices[0]?.message.content).toBe(words.join(''))
    expect(costOf(final.usage)).toBe(0.009)
  })

  test('several at once: n is held, sent and paid', async () => {
    const { choices, usage } = await app.client.chat.completions.create({
      model: demo,
      messages: hello,
      n: 3,
    })
    expect(choices.map(({ index }) => index)).toEqual([0, 1, 2])
    expect(usage).toMatchObject({ completion_tokens: 18, cost: 0.021 })
    expect(at.upstream.requests.at(-1)?.body).toMatchObject({ n: 3 })
  })

  test('reasoning comes as the upstream names it', async () => {
    const { name } = await at.model({ type: 'demo-reasoner' })
    const messages = [{ role: 'user' as const, content: 'Why? [[delay=0]]' }]
    const { choices, usage } = await app.client.chat.completions.create({ model: name, messages })
    expect(choices[0]?.message).toHaveProperty('reasoning_content')
    expect(usage?.completion_tokens_details?.reasoning_tokens).toBeGreaterThan(0)
  })
})

describe('tools', () => {
  const Sum = z.object({ a: z.number(), b: z.number() })
  const call = { id: 'call_1', type: 'function', function: { name: 'sum', arguments: '{"a":2,"b":3}' } }
  /** Calls the tool first, and says what it was told then. */
  const calling = (request: Record<string, any>) => {
    const told = request.messages.findLast(({ role }: { role: string }) => role === 'tool')
    const message = told ? { content: `It is ${told.content}.` } : { tool_calls: [call] }
    const finish_reason = told ? 'stop' : 'tool_calls'
    if (!request.stream) return { body: completion(message, { finish_reason }) }
    const { tool_calls, ...said } = message as { tool_calls?: (typeof call)[] }
    const [first] = tool_calls ?? []
    const deltas = first
      ? [
          { tool_calls: [{ index: 0, ...first, function: { name: 'sum', arguments: '' } }] },
          { tool_calls: [{ index: 0, function: { arguments: '{"a":2,' } }] },
          { tool_calls: [{ index: 0, function: { arguments: '"b":3}' } }] },
        ]
      : [said]
    return { body: stream(...deltas.map((delta) => ({ delta })), { delta: {}, finish_reason }) }
  }

  test.each([false, true])('go round until the answer (stream: %s)', async (streams) => {
    const { name } = await at.model({ api_link: upstream.link(calling) })
    const tool = zodFunction({ name: 'sum', parameters: Sum, function: ({ a, b }) => String(a + b) })
    const options = { model: name, messages: [{ role: 'user' as const, content: '2 + 3?' }], tools: [tool] }
    const runner = streams
      ? app.client.chat.completions.runTools({ ...options, stream: true })
      : app.client.chat.completions.runTools(options)
    expect(await runner.finalContent()).toBe('It is 5.')
    const [first, second] = upstream.asked.slice(-2)
    expect(first).toMatchObject({ stream: streams, tools: [{ function: { name: 'sum', strict: true } }] })
    expect(second?.messages.slice(1)).toMatchObject([
      { role: 'assistant', tool_calls: [call] },
      { role: 'tool', tool_call_id: 'call_1', content: '5' },
    ])
  })

  test('several calls of one answer stay apart', async () => {
    const messages = [{ role: 'user' as const, content: '[[tool:weather {"city":"Oslo"}]]' }]
    const { choices } = await app.client.chat.completions.create({ model: demo, messages })
    expect(choices[0]?.message.tool_calls).toEqual([
      { id: 'call_demo', type: 'function', function: { name: 'weather', arguments: '{"city":"Oslo"}' } },
    ])
    const calls = [0, 1].map((index) => ({ ...call, index, id: `call_${index}` }))
    const { name } = await at.model({
      api_link: upstream.link({
        body: stream({ delta: { tool_calls: calls } }, { delta: {}, finish_reason: 'tool_calls' }),
      }),
    })
    const final = await app.client.chat.completions.stream({ model: name, messages }).finalChatCompletion()
    expect(final.choices[0]?.message.tool_calls?.map(({ id }) => id)).toEqual(['call_0', 'call_1'])
  })
})

describe('structured output', () => {
  const City = z.object({ name: z.string(), people: z.number() })
  const oslo = { name: 'Oslo', people: 717_710 }
  const words = JSON.stringify(oslo)
  const options = {
    messages: [{ role: 'user' as const, content: 'The capital of Norway?' }],
    response_format: zodResponseFormat(City, 'city'),
  }

  test('whole and in chunks, parsed by the client', async () => {
    const { name } = await at.model({
      api_link: upstream.link(({ stream: streams }) => ({
        body: streams
          ? stream(
              { delta: { content: words.slice(0, 9) } },
              { delta: { content: words.slice(9) }, finish_reason: 'stop' },
            )
          : completion({ content: words }),
      })),
    })
    const parsed = await app.client.chat.completions.parse({ model: name, ...options })
    expect(parsed.choices[0]?.message.parsed).toEqual(oslo)
    expect(upstream.asked.at(-1)?.response_format).toEqual(
      JSON.parse(JSON.stringify(options.response_format)),
    )
    const final = await app.client.chat.completions.stream({ model: name, ...options }).finalChatCompletion()
    expect(final.choices[0]?.message.parsed).toEqual(oslo)
  })
})

test('what the gateway does not know passes through, both ways', async () => {
  const logprobs = {
    content: [{ token: 'Hi', logprob: -0.1, bytes: [72, 105], top_logprobs: [] }],
    refusal: null,
  }
  const more = { service_tier: 'default', system_fingerprint: 'fp_1', x_vendor: { deep: [1, null] } }
  const { name } = await at.model({
    api_link: upstream.link({ body: completion({ content: 'Hi', annotations: [] }, { logprobs }, more) }),
    type: 'their-name',
  })
  const asked = {
    messages: [
      { role: 'developer' as const, content: 'Be brief.' },
      {
        role: 'user' as const,
        content: [
          { type: 'text' as const, text: 'What is this?' },
          {
            type: 'image_url' as const,
            image_url: { url: 'data:image/png;base64,iVBORw0KGgo=', detail: 'low' as const },
          },
        ],
      },
    ],
    ...{
      seed: 7,
      logprobs: true,
      top_logprobs: 2,
      temperature: 0,
      stop: ['x'],
      user: 'u-1',
      parallel_tool_calls: true,
    },
    x_anything: { kept: [true] },
  }
  const said = await app.client.chat.completions.create({ model: name, max_completion_tokens: 50, ...asked })
  expect(upstream.asked.at(-1)).toEqual({ ...asked, model: 'their-name', max_tokens: 50, stream: false })
  expect(said).toMatchObject({ model: name, ...more, usage: { total_tokens: 13 } })
  expect(said.choices[0]).toEqual({
    ...{ index: 0, finish_reason: 'stop', logprobs },
    message: { role: 'assistant', content: 'Hi', annotations: [], refusal: undefined },
  })
})

test('models: the enabled ones that the key may ask, by name, with slashes too', async () => {
  const { name, modelUid } = await at.model({ name: `meta/llama-${crypto.randomUUID()}` })
  const off = await at.model({ enabled: false })
  const ids = (await Array.fromAsync(app.client.models.list())).map(({ id }) => id)
  expect(ids).toEqual(expect.arrayContaining([name, demo]))
  expect(ids).not.toContain(off.name)
  const one = await app.client.models.retrieve(name)
  expect(one).toEqual({ id: name, object: 'model', created: expect.any(Number), owned_by: 'bothub-edge' })
  const plain = await at.call('GET', `/v1/models/${name}`, { token: app.key })
  expect(plain).toMatchObject({ status: 200, body: { id: name } })

  const narrow = await program(at, { owner: app.owner, limits: { models: [modelUid] } })
  expect((await Array.fromAsync(narrow.client.models.list())).map(({ id }) => id)).toEqual([name])
  const { NotFoundError } = OpenAI
  await expect(narrow.client.models.retrieve(demo)).rejects.toThrow(NotFoundError)
  await expect(narrow.client.chat.completions.create({ model: demo, messages: hello })).rejects.toThrow(
    NotFoundError,
  )
})
