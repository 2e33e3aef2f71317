import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { costOf } from '../../../src/core/credits.ts'
import { eventsOf, joined } from '../../support/events.ts'
import { type Expected, recordings, startReplay } from '../../support/recordings.ts'
import { type Person, type World, world } from '../../support/world.ts'

const QUESTION = 'What is recorded here? Ünïcode too: 你好 🙂'
// Prices that make every kind of token visible in the sum.
const PRICES = { token_cost: 1000, input_price: 3, output_price: 7, cached_input_price: 1 }
const RATES = { input: 3_000_000, cachedInput: 1_000_000, output: 7_000_000, per: 1_000_000 }
// Thinking that comes in typed parts of `content` is reasoning to us; expected.json counts two other fields only.
const THINKS_IN_PARTS = 'mistral-hybrid-thinking-parts.sse'

const utf8 = (text: string) => Buffer.byteLength(text)
const promptEstimate = Math.ceil(utf8(QUESTION) / 4) + 4
const micros = (credits: number) => Math.round(credits * 1_000_000)

/** What the answer must cost, from the recording alone. */
function expectedCost({ usage, text, reasoning }: Pick<Expected, 'usage' | 'text' | 'reasoning'>): number {
  if (!usage) {
    const outputTokens = Math.ceil((utf8(text) + utf8(reasoning)) / 4)
    return costOf(RATES, { promptTokens: promptEstimate, cachedTokens: 0, outputTokens })
  }
  return costOf(RATES, {
    promptTokens: usage.prompt_tokens,
    cachedTokens: usage.cached_tokens ?? 0,
    outputTokens: Math.max(usage.completion_tokens, usage.total_tokens - usage.prompt_tokens),
  })
}

describe.runIf(recordings)('real recordings as the upstream of a model', () => {
  const all = Object.entries(recordings ?? {})
  let at: World
  /** Where an upstream that falls silent is soon given up. */
  let hasty: World
  let replay: Awaited<ReturnType<typeof startReplay>>
  let person: Person

  beforeAll(async () => {
    at = await world()
    hasty = await world({ FIRST_TOKEN_MS: '3000', SILENCE_MS: '600', TOTAL_MS: '30000' })
    replay = await startReplay()
    person = await at.richPerson(1_000_000)
  })
  afterAll(() => replay?.close())

  async function ask(name: string, how?: string, by = person) {
    const { modelUid } = await at.model({ api_link: replay.link(name, how), ...PRICES })
    const chat = await by.post('/api/chat/create', {})
    const { chatUid } = chat.body as { chatUid: string }
    const send = { role: 'user', message: QUESTION, chatUid, modelUid }
    return { send, chatUid, reply: () => by.post('/api/chat/message', send) }
  }

  const account = async (of = person) =>
    (await of.get('/api/user/profile')).body as { balance: number; available: number }
  const messagesOf = async (chatUid: string, by = person): Promise<any[]> =>
    ((await by.get(`/api/chat/${chatUid}/messages`)).body as { data: unknown[] }).data
  /** Several at once, in order. */
  async function each<Case>(cases: Case[], times: number, work: (one: Case) => Promise<void>) {
    const next = cases.values()
    const worker = async () => {
      for (const one of next) await work(one)
    }
    await Promise.all(Array.from({ length: times }, worker))
  }

  for (const how of ['mode=whole', 'mode=event', 'mode=bytes,seed=11', 'mode=bytes,seed=12']) {
    describe(how, () => {
      // At once, each by somebody whose money nobody else spends.
      it.concurrent.for(all)('%s', async ([name, expected], { expect }) => {
        const by = await at.richPerson(1_000_000)
        const before = await account(by)
        const { chatUid, reply } = await ask(name, how, by)
        const { status, body, headers } = (await reply()) as { status: number; headers: Headers; body: any }
        const after = await account(by)
        const [answer, question] = await messagesOf(chatUid, by)

        expect(question).toMatchObject({ role: 'user', message: QUESTION, status: 'COMPLETED' })
        expect(after.available).toBe(after.balance)
        const reasoning = name === THINKS_IN_PARTS ? answer.reasoning : expected.reasoning
        const produced = expected.text !== '' || expected.reasoning !== '' || expected.tool_calls > 0
        if (expected.error && !produced) {
          const busy = expected.error.code === 429 || name.includes('429')
          expect({ status, code: body.code }).toEqual(
            busy ? { status: 503, code: 'upstream_rate_limited' } : { status: 502, code: 'upstream_failed' },
          )
          expect(headers.has('retry-after')).toBe(busy)
          expect(body.messageUid).toBe(answer.uid)
          expect(answer).toMatchObject({ status: 'FAILED', message: '', creditSpent: 0, tokenUsed: 0 })
          expect(after.balance).toBe(before.balance)
          return
        }
        const truncated = !expected.error && !expected.finish_reason && expected.done === false
        const broken = expected.error !== null || truncated
        expect(status).toBe(200)
        expect(answer).toEqual(body.assistantMessage)
        expect(answer).toMatchObject({ message: expected.text, status: broken ? 'FAILED' : 'COMPLETED' })
        expect(answer.reasoning ?? '').toBe(reasoning ?? '')
        expect(answer.finishReason).toBe(
          truncated
            ? 'upstream_incomplete'
            : expected.error
              ? 'upstream_error'
              : (expected.finish_reason ?? undefined),
        )
        const cost = expectedCost({ ...expected, reasoning: reasoning ?? '' })
        expect(micros(body.cost)).toBe(cost)
        expect(micros(before.balance) - micros(after.balance)).toBe(cost)
        expect(body.newBalance).toBe(after.balance)
        expect(answer.creditSpent).toBe(body.cost)
        if (expected.usage) {
          expect(body.usage).toMatchObject({
            promptTokens: expected.usage.prompt_tokens,
            completionTokens: expected.usage.completion_tokens,
            totalTokens: expected.usage.total_tokens,
            source: 'upstream',
          })
          expect(body.usage.cachedTokens ?? 0).toBe(expected.usage.cached_tokens ?? 0)
        } else expect(body.usage.source).toBe('estimated')
      })
    })
  }

  it('streams each of them without a gap, and ends with what is stored', async () => {
    await each(all, 8, async ([name, expected]) => {
      const { send, chatUid } = await ask(name, 'mode=bytes,seed=5')
      const response = await fetch(`${at.url}/api/chat/message?stream=true`, {
        method: 'POST',
        headers: { authorization: `Bearer ${person.token}`, 'content-type': 'application/json' },
        body: JSON.stringify(send),
      })
      expect(response.headers.get('content-type')).toMatch(/^text\/event-stream/)
      const events = await Array.fromAsync(eventsOf(response))
      const [answer] = await messagesOf(chatUid)
      const last = events.at(-1)
      expect(events[0]?.event, name).toBe('message_start')
      expect(
        events.filter(({ event }) => /message_(end|error)/.test(event)),
        name,
      ).toHaveLength(1)
      expect(last?.event, name).toBe(answer.status === 'FAILED' ? 'message_error' : 'message_end')
      expect(last?.data.message, name).toEqual(answer)
      expect(joined(events, 'message_delta'), name).toBe(expected.text)
      expect(joined(events, 'reasoning_delta'), name).toBe(answer.reasoning ?? '')
      expect(last?.data.cost, name).toBe(answer.creditSpent)
    })
  })

  it('keeps and charges what came when the upstream is cut or falls silent', async () => {
    const streams = all.filter(([name]) => name.endsWith('.sse'))
    const cases = streams.flatMap(([name, expected]) =>
      (['cut', 'hang'] as const).flatMap((fault) =>
        [0.1, 0.5, 0.9].map((point) => ({ name, expected, fault, point })),
      ),
    )
    // A machine that stalls is no upstream that does: only what hangs is asked for by the hasty one.
    const persons = { cut: await at.richPerson(1_000_000), hang: await hasty.richPerson(1_000_000) }
    await each(cases, 16, async ({ name, expected, fault, point }) => {
      const by = persons[fault]
      const label = `${name} ${fault}=${point}`
      const { chatUid, reply } = await ask(name, `mode=event,delay=0,${fault}=${point}`, by)
      const { status, body } = (await reply()) as { status: number; body: any }
      const [answer] = await messagesOf(chatUid, by)
      expect(['COMPLETED', 'FAILED'], label).toContain(answer.status)
      expect(expected.text.startsWith(answer.message), label).toBe(true)
      if (status !== 200) {
        expect([502, 504], label).toContain(status)
        expect(answer, label).toMatchObject({ status: 'FAILED', creditSpent: 0 })
        return
      }
      expect(answer, label).toEqual(body.assistantMessage)
      if (answer.status === 'FAILED') {
        const cause = fault === 'cut' ? /^upstream_(incomplete|error)$/ : /^upstream_(timeout|error)$/
        expect(answer.finishReason, label).toMatch(cause)
      }
      // Money rule 2, interrupted: never less than the text that came.
      const estimate = expectedCost({
        usage: null,
        text: answer.message,
        reasoning: answer.reasoning ?? '',
      })
      if (answer.status === 'FAILED') expect(micros(body.cost), label).toBeGreaterThanOrEqual(estimate)
      expect(body.cost, label).toBeGreaterThan(0)
    })
    for (const by of Object.values(persons)) {
      const { balance, available } = await account(by)
      expect(available).toBe(balance)
    }
  })
})
