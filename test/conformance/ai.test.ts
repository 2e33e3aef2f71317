/** The AI SDK with its provider for OpenAI-compatible servers, unmodified, against the running Worker. */
import { createOpenAICompatible } from '@ai-sdk/openai-compatible'
import { APICallError, generateText, Output, stepCountIs, streamText, tool } from 'ai'
import { afterAll, beforeAll, expect, test } from 'vitest'
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

const providerOf = (apiKey: string) =>
  createOpenAICompatible({
    ...{ name: 'bothub', baseURL: `${at.url}/v1`, apiKey },
    ...{ includeUsage: true, supportsStructuredOutputs: true },
  })
const model = (name: string) => providerOf(app.key)(name)
const USED = { inputTokens: 3, outputTokens: 6, totalTokens: 9 }

test('a whole answer, with its usage', async () => {
  const { text, usage, finishReason, response } = await generateText({
    model: model(demo),
    prompt: 'Hello [[tokens=6]]',
  })
  expect(text).toContain('You asked: “Hello”')
  expect(finishReason).toBe('stop')
  expect(usage).toMatchObject(USED)
  expect(response).toMatchObject({ modelId: demo, id: expect.stringMatching(/^chatcmpl-/) })
})

test('a stream, with reasoning and its usage', async () => {
  const { name } = await at.model({ type: 'demo-reasoner' })
  const said = streamText({ model: model(name), prompt: 'Hello [[delay=0]]' })
  const kinds = new Set<string>()
  for await (const part of said.fullStream) kinds.add(part.type)
  expect([...kinds]).toEqual(expect.arrayContaining(['reasoning-delta', 'text-delta', 'finish']))
  expect(await said.text).toContain('You asked')
  expect(await said.reasoningText).not.toBe('')
  expect((await said.usage).outputTokens).toBeGreaterThan(6)
})

test.each([false, true])('tools, round until the answer (stream: %s)', async (streams) => {
  const call = { id: 'call_1', type: 'function', function: { name: 'sum', arguments: '{"a":2,"b":3}' } }
  const { name } = await at.model({
    api_link: upstream.link(({ messages }) => {
      const isTold = messages.some(({ role }: { role: string }) => role === 'tool')
      const finish_reason = isTold ? 'stop' : 'tool_calls'
      const message = isTold ? { content: 'It is 5.' } : { tool_calls: [call] }
      // Without an index on the call, as some upstreams stream it.
      return {
        body: streams
          ? stream({ delta: message }, { delta: {}, finish_reason })
          : completion(message, { finish_reason }),
      }
    }),
  })
  const options = {
    model: model(name),
    prompt: '2 + 3?',
    stopWhen: stepCountIs(3),
    tools: {
      sum: tool({
        inputSchema: z.object({ a: z.number(), b: z.number() }),
        execute: async ({ a, b }) => a + b,
      }),
    },
  }
  if (streams) {
    const said = streamText(options)
    expect(await said.text).toBe('It is 5.')
    expect(await said.steps).toHaveLength(2)
  } else {
    const { text, steps } = await generateText(options)
    expect(text).toBe('It is 5.')
    expect(steps[0]?.toolResults[0]).toMatchObject({ toolName: 'sum', output: 5 })
  }
})

test('structured output', async () => {
  const oslo = { name: 'Oslo', people: 717_710 }
  const { name } = await at.model({
    api_link: upstream.link({ body: completion({ content: JSON.stringify(oslo) }) }),
  })
  const schema = z.object({ name: z.string(), people: z.number() })
  const { output } = await generateText({
    model: model(name),
    prompt: 'The capital of Norway?',
    output: Output.object({ schema }),
  })
  expect(output).toEqual(oslo)
  expect(upstream.asked.at(-1)?.response_format).toMatchObject({ type: 'json_schema' })
})

test('errors: which can be tried again and which cannot, before and in a stream', async () => {
  const ask = (name: string, key = app.key) =>
    generateText({ model: providerOf(key)(name), prompt: 'Hello', maxRetries: 0 }).catch((error) => error)
  const missing = await ask('no-such-model')
  expect(missing).toBeInstanceOf(APICallError)
  expect(missing).toMatchObject({ statusCode: 404, isRetryable: false, message: 'No such model.' })
  expect(await ask(demo, `sk-bh-${'A'.repeat(43)}`)).toMatchObject({ statusCode: 401, isRetryable: false })
  const poor = await program(at, { credits: 0.001 })
  expect(await ask(demo, poor.key)).toMatchObject({ statusCode: 402, isRetryable: false })
  const failing = await at.model({ api_link: upstream.link({ status: 500, body: '{}' }) })
  expect(await ask(failing.name)).toMatchObject({ statusCode: 502, isRetryable: true })

  const errors: unknown[] = []
  const said = streamText({
    model: model(demo),
    prompt: 'Hello [[fault:error-after=3]]',
    onError: ({ error }) => void errors.push(error),
  })
  await said.consumeStream()
  expect(JSON.stringify(errors)).toContain('upstream_failed')
  expect(await said.finishReason).toBe('error')
})
