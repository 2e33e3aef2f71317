/** Real answers of many providers through the door: what they said reaches the official client. */
import { APIError } from 'openai'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { costOf } from '../../src/core/credits.ts'
import { type Program, program } from '../support/door.ts'
import { type Expected, recordings, startReplay } from '../support/recordings.ts'
import { type World, world } from '../support/world.ts'

const QUESTION = 'What is recorded here? Ünïcode too: 你好 🙂'
const PRICES = { token_cost: 1000, input_price: 3, output_price: 7, cached_input_price: 1 }
const RATES = { input: 3_000_000, cachedInput: 1_000_000, output: 7_000_000, per: 1_000_000 }
const utf8 = (text: string) => Buffer.byteLength(text)
const promptTokens = Math.ceil(utf8(QUESTION) / 4) + 4
const micros = (credits: number) => Math.round(credits * 1_000_000)

type Json = Record<string, any>

/** What any reader makes of the deltas of one choice. */
function heard(deltas: Json[]) {
  let text = ''
  let reasoning = ''
  const calls = new Map<unknown, string>()
  for (const { content, reasoning_content, reasoning: named, tool_calls } of deltas) {
    if (typeof content === 'string') text += content
    for (const part of Array.isArray(content) ? content : []) text += part.text ?? ''
    reasoning += reasoning_content || named || ''
    for (const { index, function: said } of tool_calls ?? [])
      calls.set(index, (calls.get(index) ?? '') + (said.arguments ?? ''))
  }
  return { text, reasoning, calls }
}

/** What a correct reader is told of the usage, and what it must cost, from the recording alone. */
function checkUsage(usage: Json, { usage: reported }: Expected, name: string) {
  if (!reported) {
    expect(usage, name).toMatchObject({ source: 'estimated', prompt_tokens: promptTokens })
    return
  }
  const { prompt_tokens, completion_tokens, total_tokens, cached_tokens } = reported
  expect(usage, name).toMatchObject({ prompt_tokens, completion_tokens, total_tokens })
  const outputTokens = Math.max(completion_tokens, total_tokens - prompt_tokens)
  const tokens = { promptTokens: prompt_tokens, cachedTokens: cached_tokens ?? 0, outputTokens }
  expect(micros(usage.cost), name).toBe(costOf(RATES, tokens))
}

describe.runIf(recordings)('real recordings through the door', () => {
  const all = Object.entries(recordings ?? {})
  const isRefused = ({ error, text, reasoning, tool_calls }: Expected) =>
    error !== null && text === '' && reasoning === '' && tool_calls === 0
  const isBroken = ({ error, done, finish_reason }: Expected) =>
    error !== null || (done === false && finish_reason === null)
  let at: World
  let replay: Awaited<ReturnType<typeof startReplay>>

  beforeAll(async () => {
    at = await world()
    replay = await startReplay()
  })
  afterAll(() => replay?.close())

  const balanceOf = async ({ owner }: Program) =>
    micros((await owner.get<Json>('/api/user/profile')).body.balance)
  const ask = async (name: string, how: string) => ({
    model: (await at.model({ api_link: replay.link(name, how), ...PRICES })).name,
    messages: [{ role: 'user' as const, content: QUESTION }],
  })

  /**
   * Each recording by somebody, eight at a time; those that end well by one person, who pays to the last digit what
   * their usage says.
   */
  async function each(read: (app: Program, name: string, expected: Expected) => Promise<Json | undefined>) {
    const [whole, other] = [await program(at, { credits: 1_000_000 }), await program(at)]
    const before = [await balanceOf(whole), await balanceOf(other)]
    let cost = 0
    const next = all.values()
    const worker = async () => {
      for (const [name, expected] of next) {
        const isWhole = !isBroken(expected)
        const usage = await read(isWhole ? whole : other, name, expected)
        expect(usage !== undefined, name).toBe(isWhole)
        if (!usage) continue
        checkUsage(usage, expected, name)
        cost += micros(usage.cost)
      }
    }
    await Promise.all(Array.from({ length: 8 }, worker))
    expect(before[0]! - (await balanceOf(whole))).toBe(cost)
    // What broke off is paid as far as it came.
    expect(await balanceOf(other)).toBeLessThan(before[1]!)
  }

  test.each(['mode=whole', 'mode=event', 'mode=bytes,seed=21'])('streamed, %s', (how) =>
    each(async (app, name, expected) => {
      const { client } = app
      const request = { ...(await ask(name, how)), stream: true } as const
      const work = client.chat.completions.create({ ...request, stream_options: { include_usage: true } })
      if (isRefused(expected)) {
        const error: APIError = await work.then(
          () => undefined!,
          (error) => error,
        )
        expect(error, name).toBeInstanceOf(APIError)
        expect([400, 502, 503], name).toContain(error.status)
        return undefined
      }
      const chunks: Json[] = []
      let broken: unknown
      try {
        for await (const chunk of await work) chunks.push(chunk)
      } catch (error) {
        broken = error
      }
      const choices = chunks.flatMap((chunk) => chunk.choices as Json[])
      const said = heard(choices.filter(({ index }) => index === 0).map(({ delta }) => delta))
      expect(said.text, name).toBe(expected.text)
      expect(said.reasoning, name).toBe(expected.reasoning)
      expect(said.calls.size > 0, name).toBe(expected.tool_calls > 0)
      const names = new Set(chunks.map(({ id, model }) => `${id} ${model}`))
      expect([...names], name).toEqual([expect.stringMatching(`^chatcmpl-[0-9a-f-]{36} ${request.model}$`)])
      if (isBroken(expected)) {
        expect(broken, name).toBeInstanceOf(APIError)
        return undefined
      }
      expect(broken, name).toBeUndefined()
      for (const words of said.calls.values()) expect(JSON.parse(words), name).toBeTypeOf('object')
      const reasons = choices.map(({ finish_reason }) => finish_reason).filter(Boolean)
      expect(reasons.at(-1) ?? null, name).toBe(expected.finish_reason)
      expect(chunks.at(-1)?.choices, name).toEqual([])
      return chunks.at(-1)?.usage
    }),
  )

  test('whole', () =>
    each(async (app, name, expected) => {
      const work = app.client.chat.completions.create(await ask(name, 'mode=bytes,seed=22'))
      if (isRefused(expected)) {
        await expect(work, name).rejects.toThrow(APIError)
        return undefined
      }
      const { choices, usage }: Json = await work
      const { message, finish_reason, error } = choices[0]
      const said = heard([message])
      expect(said.text, name).toBe(expected.text)
      expect(said.reasoning, name).toBe(expected.reasoning)
      expect((message.tool_calls ?? []).length > 0, name).toBe(expected.tool_calls > 0)
      if (isBroken(expected)) {
        expect({ finish_reason, error }, name).toEqual({ finish_reason: 'error', error: expect.any(Object) })
        return undefined
      }
      expect({ finish_reason, error }, name).toEqual({
        finish_reason: expected.finish_reason,
        error: undefined,
      })
      return usage
    }))

  test('nothing of a stream is lost or changed but our own words', async () => {
    const { key } = await program(at, { credits: 1_000_000 })
    for (const [name, expected] of all.filter(([name]) => name.endsWith('.sse'))) {
      if (isRefused(expected)) continue
      const request = { ...(await ask(name, 'mode=whole')), stream: true }
      const theirs = await eventsOf(`${replay.link(name)}/chat/completions`, {}, request)
      const ours = await eventsOf(
        `${at.url}/v1/chat/completions`,
        { authorization: `Bearer ${key}` },
        request,
      )
      const wanted = theirs.filter(({ error, choices, usage }) => !error && (choices.length > 0 || !usage))
      const got = ours.filter(({ error }) => !error)
      expect(got.length, name).toBe(wanted.length)
      for (const [i, { id: _, model: __, ...chunk }] of wanted.entries())
        expect(got[i], name).toMatchObject(withoutGaps(chunk))
    }
  })
})

/** Objects of the data events. */
async function eventsOf(url: string, headers: Record<string, string>, body: unknown): Promise<Json[]> {
  const response = await fetch(url, {
    ...{ method: 'POST', body: JSON.stringify(body) },
    headers: { 'content-type': 'application/json', ...headers },
  })
  const text = (await response.text()).replace(/\r\n?/g, '\n')
  const events = text.split('\n\n').map((event) =>
    event
      .split('\n')
      .filter((line) => line.startsWith('data:'))
      .map((line) => line.slice(5).trim())
      .join('\n'),
  )
  // A recording that was cut ends within an object.
  return events.filter((data) => data.startsWith('{') && data.endsWith('}')).map((data) => JSON.parse(data))
}

/** What was "" or 0 is filled in. */
function withoutGaps({ object, created, ...rest }: Json): Json {
  return { ...rest, ...(object ? { object } : {}), ...(created ? { created } : {}) }
}
