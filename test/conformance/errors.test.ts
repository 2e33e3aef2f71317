/** The official client, unmodified: its error classes, its own tries again, and leaving. */
import OpenAI, { type APIError } from 'openai'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type CannedUpstream, startCanned } from '../support/canned.ts'
import { openai, type Program, program } from '../support/door.ts'
import { startTurns } from '../support/turns.ts'
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

const messages = [{ role: 'user' as const, content: 'Hello [[tokens=6]]' }]
const ask = (client: OpenAI, model: string, more: object = {}) =>
  client.chat.completions.create({ model, messages, stream: false, ...more })
/** The error that a promise ends with. */
const errorOf = (work: PromiseLike<unknown>): Promise<APIError> =>
  Promise.resolve(work).then(
    () => Promise.reject(new Error('it worked')),
    (error) => error,
  )

describe('its error classes', () => {
  test('AuthenticationError without a key that stands', async () => {
    const revoked = await program(at, { owner: app.owner })
    await app.owner.delete(`/api/key/delete/${revoked.keyUid}`)
    for (const key of ['nonsense', app.owner.token, `sk-bh-${'A'.repeat(43)}`, revoked.key]) {
      const error = await errorOf(ask(openai(at, key), demo))
      expect(error).toBeInstanceOf(OpenAI.AuthenticationError)
      expect(error).toMatchObject({ status: 401, code: 'invalid_api_key', type: 'authentication_error' })
      expect(error.headers?.get('www-authenticate')).toBe('Bearer')
      expect(error.requestID).toMatch(/^[0-9a-f-]{36}$/)
    }
  })

  test('PermissionDeniedError when its owner is blocked', async () => {
    const other = await program(at)
    const administrator = await at.administrator()
    await administrator.patch(`/api/user/${other.owner.uid}`, { status: 'BLOCKED' })
    const error = await errorOf(ask(other.client, demo))
    expect(error).toBeInstanceOf(OpenAI.PermissionDeniedError)
    expect(error.code).toBe('account_blocked')
  })

  test('NotFoundError for a model, BadRequestError for a parameter, each named', async () => {
    const missing = await errorOf(ask(app.client, 'no-such-model'))
    expect(missing).toBeInstanceOf(OpenAI.NotFoundError)
    expect(missing).toMatchObject({ code: 'model_not_found', type: 'invalid_request_error', param: null })
    for (const [param, value] of Object.entries({ messages: [], max_tokens: 0, n: 99, stream: 'yes' })) {
      const error = await errorOf(ask(app.client, demo, { [param]: value }))
      expect(error, param).toBeInstanceOf(OpenAI.BadRequestError)
      expect(error).toMatchObject({ param, type: 'invalid_request_error' })
    }
  })

  test('BadRequestError with the words of the upstream when it refuses the request itself', async () => {
    const refusal = {
      message: "This model's maximum context length is 8192 tokens. sk-upstream-secret-1234",
      type: 'invalid_request_error',
      ...{ param: 'messages', code: 'context_length_exceeded' },
    }
    for (const status of [400, 422]) {
      const api_link = upstream.link({ status, body: JSON.stringify({ error: refusal }) })
      const { name } = await at.model({ api_link })
      for (const stream of [false, true]) {
        const error = await errorOf(ask(app.client, name, { stream }))
        expect(error).toBeInstanceOf(OpenAI.BadRequestError)
        expect(error).toMatchObject({ param: 'messages', code: 'context_length_exceeded' })
        expect(error.message).toContain('maximum context length is 8192 tokens')
        expect(error.message).not.toContain('secret')
      }
    }
    // A wrong key there is not the program's fault, and none of its business.
    const { name } = await at.model({ api_link: upstream.link({ status: 401, body: '{"error":"bad key"}' }) })
    const error = await errorOf(ask(app.client, name))
    expect(error).toBeInstanceOf(OpenAI.InternalServerError)
    expect(error).toMatchObject({ status: 502, code: 'upstream_failed' })
    expect(error.message).not.toContain('bad key')
  })

  test('APIError for 402, said once and with what is missing; asking again would be in vain', async () => {
    let asked = 0
    const counting: typeof fetch = (...args) => {
      asked++
      return fetch(...args)
    }
    const poor = await program(at, { credits: 0.01, client: { maxRetries: 2, fetch: counting } })
    const error = await errorOf(ask(poor.client, demo))
    expect(asked).toBe(1)
    expect(error).toMatchObject({ status: 402, code: 'insufficient_quota', type: 'insufficient_quota' })
    expect(error.error).toMatchObject({ available: 0.01, held: 0 })
    expect(error.headers?.get('x-should-retry')).toBe('false')
    const spent = await program(at, { limits: { budget: 0.001 } })
    expect(await errorOf(ask(spent.client, demo))).toMatchObject({ status: 402, code: 'key_budget_exceeded' })
  })

  test('RateLimitError with Retry-After and what is left', async () => {
    const narrow = await world({ SENDS_PER_MINUTE: '2' })
    const { name } = await narrow.model()
    const { client } = await program(narrow)
    for (const left of ['1', '0']) {
      const { response } = await client.chat.completions.create({ model: name, messages }).withResponse()
      expect(response.headers.get('x-ratelimit-limit-requests')).toBe('2')
      expect(response.headers.get('x-ratelimit-remaining-requests')).toBe(left)
      expect(response.headers.get('x-ratelimit-reset-requests')).toMatch(/^\d+(\.\d+)?s$/)
    }
    const error = await errorOf(ask(client, name))
    expect(error).toBeInstanceOf(OpenAI.RateLimitError)
    expect(error).toMatchObject({ code: 'rate_limit_exceeded', type: 'rate_limit_error' })
    expect(Number(error.headers?.get('retry-after'))).toBeGreaterThan(0)
    expect(error.headers?.get('x-ratelimit-remaining-requests')).toBe('0')
    expect(Number.parseFloat(error.headers?.get('x-ratelimit-reset-requests') ?? '')).toBeGreaterThan(30)
  })

  test('ConflictError for a used Idempotency-Key, naming what it stands for, and no try again', async () => {
    const careful = openai(at, app.key, { maxRetries: 2 })
    const headers = { 'Idempotency-Key': crypto.randomUUID() }
    const { id } = await careful.chat.completions.create({ model: demo, messages }, { headers })
    const count = at.upstream.requests.length
    const error = await errorOf(careful.chat.completions.create({ model: demo, messages }, { headers }))
    expect(error).toBeInstanceOf(OpenAI.ConflictError)
    expect(error).toMatchObject({ code: 'idempotency_repeated' })
    expect(`chatcmpl-${(error.error as { generationUid: string }).generationUid}`).toBe(id)
    const other = await errorOf(
      careful.chat.completions.create({ model: demo, messages, seed: 1 }, { headers }),
    )
    expect(other).toBeInstanceOf(OpenAI.UnprocessableEntityError)
    expect(at.upstream.requests.length).toBe(count)
  })
})

describe('a stream that fails', () => {
  test('before the first token: a real status, and nothing is paid', async () => {
    const before = (await app.owner.get<{ balance: number }>('/api/user/profile')).body.balance
    // A model of its own each: one that fails may rest.
    const fail = async (fault: string) =>
      errorOf(
        app.client.chat.completions.create({
          ...{ model: (await at.model()).name, stream: true },
          messages: [{ role: 'user', content: `[[${fault}]]` }],
        }),
      )
    expect(await fail('fault:status=500')).toMatchObject({ status: 502, code: 'upstream_failed' })
    expect(await fail('fault:status=429,retry-after=30')).toMatchObject({
      status: 503,
      code: 'upstream_rate_limited',
    })
    expect(await fail('fault:error-after=0')).toMatchObject({ status: 502, code: 'upstream_failed' })
    expect(await fail('fault:cut-after=0')).toMatchObject({ status: 502, code: 'upstream_incomplete' })
    expect((await app.owner.get<{ balance: number }>('/api/user/profile')).body.balance).toBe(before)
  })

  test.each(['error-after=3', 'cut-after=3'])(
    'after it (%s): the client throws, and what came is paid',
    async (fault) => {
      const { name } = await at.model()
      const before = (await app.owner.get<{ balance: number }>('/api/user/profile')).body.balance
      const stream = await app.client.chat.completions.create({
        ...{ model: name, stream: true },
        messages: [{ role: 'user', content: `[[fault:${fault}]]` }],
      })
      let text = ''
      const error = await errorOf(
        (async () => {
          for await (const { choices } of stream) text += choices[0]?.delta.content ?? ''
        })(),
      )
      expect(error).toBeInstanceOf(OpenAI.APIError)
      expect(error).toMatchObject({
        type: 'api_error',
        code: expect.stringMatching(/^upstream_(failed|incomplete)$/),
      })
      expect(text).not.toBe('')
      const { balance } = (await app.owner.get<{ balance: number }>('/api/user/profile')).body
      expect(balance).toBeLessThan(before)
    },
  )
})

describe('its own tries again', () => {
  test('a 5xx is asked anew and answered', async () => {
    const turns = await startTurns({ status: 500 }, 'answer')
    const { name } = await at.model({ api_link: turns.link })
    const patient = openai(at, app.key, { maxRetries: 2 })
    const stream = await patient.chat.completions.create({ model: name, messages, stream: true })
    const chunks = await Array.fromAsync(stream)
    expect(chunks[0]?.choices[0]?.delta.content).toBe('Well.')
    expect(turns.asked).toHaveLength(2)
    turns.close()
  })

  test('a 429 is asked anew when Retry-After says so', async () => {
    const narrow = await world({ RUNNING_PER_USER: '1' })
    const { name } = await narrow.model()
    const { client, key } = await program(narrow)
    const slow = await client.chat.completions.create({
      ...{ model: name, stream: true },
      messages: [{ role: 'user', content: '[[tokens=1000,delay=30]]' }],
    })
    expect(await errorOf(ask(client, name))).toMatchObject({ status: 429, code: 'too_many_generations' })
    const heard: number[] = []
    const second = openai(narrow, key, {
      maxRetries: 5,
      fetch: async (...asked) => {
        const answer = await fetch(...asked)
        heard.push(answer.status)
        if (answer.status === 429) slow.controller.abort()
        return answer
      },
    })
    expect((await ask(second, name)).choices[0]?.finish_reason).toBe('stop')
    expect([heard[0], heard.at(-1)]).toEqual([429, 200])
  })
})

describe('leaving', () => {
  const endOf = async () =>
    (await app.owner.get<{ balance: number; available: number }>('/api/user/profile')).body

  test('a stream is cancelled at once, and what came is paid', async () => {
    const before = await endOf()
    // So long that, however busy the machine, it is not over when the leaving is noticed.
    const content = `[[tokens=3000,delay=20]] ${crypto.randomUUID()}`
    const stream = await app.client.chat.completions.create({
      ...{ model: demo, stream: true, messages: [{ role: 'user' as const, content }] },
    })
    const asked = at.upstream.requests.find(({ body }) => JSON.stringify(body).includes(content))!
    let seen = 0
    for await (const chunk of stream)
      if (chunk.choices[0]?.delta.content && ++seen === 3) stream.controller.abort()
    await expect.poll(() => asked.clientGone, { timeout: 30_000 }).toBe(true)
    // Settled: nothing is held any more.
    const isSettled = async () => (await endOf()).available === (await endOf()).balance
    await expect.poll(isSettled, { timeout: 30_000 }).toBe(true)
    const paid = before.balance - (await endOf()).balance
    expect(paid).toBeGreaterThan(0)
    expect(paid).toBeLessThan(2)
  })

  test('a whole answer is read on to its end, and paid', async () => {
    const before = await endOf()
    const content = `[[tokens=30,delay=20]] ${crypto.randomUUID()}`
    const leave = new AbortController()
    const work = app.client.chat.completions.create(
      { model: demo, messages: [{ role: 'user', content }] },
      { signal: leave.signal },
    )
    const find = () => at.upstream.requests.find(({ body }) => JSON.stringify(body).includes(content))
    await expect.poll(find, { timeout: 30_000 }).toBeDefined()
    leave.abort()
    expect(await errorOf(work)).toBeInstanceOf(OpenAI.APIUserAbortError)
    await expect.poll(async () => (await endOf()).balance, { timeout: 30_000 }).toBeLessThan(before.balance)
    expect(find()?.clientGone).toBe(false)
  })
})
