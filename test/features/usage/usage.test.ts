import { sql } from 'drizzle-orm'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { newId } from '../../../src/core/id.ts'
import type { UsageFigures, UsageRow } from '../../../src/features/usage/schema.ts'
import type { Person } from '../../support/world.ts'
import { micros, openRoom, type Room, sum } from './room.ts'

let room: Room
let admin: Person
let modelUid: string
beforeAll(async () => {
  room = await openRoom()
  admin = await room.at.administrator()
  modelUid = (await room.at.model()).modelUid
})
afterAll(() => room?.close())

const NOTHING: UsageFigures = {
  ...{ requests: 0, failures: 0, promptTokens: 0, completionTokens: 0, totalTokens: 0 },
  ...{ cachedTokens: 0, reasoningTokens: 0, credits: 0 },
}
const DAY = 86_400_000

const chatOf = async (person: Person) =>
  (await person.post<{ chatUid: string }>('/api/chat/create')).body.chatUid
const send = async (person: Person, by: string, message: string) => {
  const json = { role: 'user', message, chatUid: await chatOf(person), modelUid: by }
  return (await person.post<any>('/api/chat/message', json)).body
}

/** The sums of answers as the answers themselves told them. */
function figuresOf(answers: any[]): UsageFigures {
  const tokens = (name: string) => sum(answers.map(({ usage }) => usage?.[name] ?? 0))
  return {
    requests: answers.length,
    failures: answers.filter(({ assistantMessage }) => assistantMessage?.status !== 'COMPLETED').length,
    promptTokens: tokens('promptTokens'),
    completionTokens: tokens('completionTokens'),
    totalTokens: tokens('totalTokens'),
    cachedTokens: tokens('cachedTokens'),
    reasoningTokens: tokens('reasoningTokens'),
    credits: sum(answers.map(({ cost }) => micros(cost ?? 0))) / 1_000_000,
  }
}

describe('what is told of answers', () => {
  test('is exactly what each of them said, in all, by model and by day, and what the ledger took', async () => {
    const person = await room.at.richPerson(1_000)
    // 1,000,000 / 7 and 1,000,000 / 3 micro-credits a token: every answer is rounded up, no sum is.
    const sevenths = await room.at.model({ token_cost: 7 })
    const thirds = await room.at.model({ token_cost: 3, type: 'demo-reasoner' })
    const bySevenths = [
      await send(person, sevenths.modelUid, '[[say:one two three]]'),
      await send(person, sevenths.modelUid, '[[tokens=8]]'),
      await send(person, sevenths.modelUid, '[[fault:cut-after=3]] this breaks off'),
    ]
    const refused = await send(person, thirds.modelUid, '[[fault:status=400]]')
    expect(refused.code).toBe('upstream_failed')
    const byThirds = [await send(person, thirds.modelUid, '[[tokens=5]][[delay=0]] think'), refused]

    const total = figuresOf([...bySevenths, ...byThirds])
    expect(total).toMatchObject({ requests: 5, failures: 2 })
    expect(total.reasoningTokens).toBeGreaterThan(0)
    const byModel = await room.usage(person, 'by=model')
    expect(byModel.total).toEqual(total)
    const rows = [
      { modelUid: sevenths.modelUid, model: sevenths.name, ...figuresOf(bySevenths) },
      { modelUid: thirds.modelUid, model: thirds.name, ...figuresOf(byThirds) },
    ]
    expect(byModel.data).toEqual(rows.toSorted((a, b) => b.credits - a.credits))

    const byDay = await room.usage(person)
    expect(byDay).toMatchObject({ by: 'day', total, truncated: false })
    expect(byDay.data).toHaveLength(30)
    for (const name of ['requests', 'failures', 'totalTokens'] as const)
      expect(sum(byDay.data.map((row) => row[name]))).toBe(total[name])
    expect(sum(byDay.data.map(({ credits }) => micros(credits)))).toBe(micros(total.credits))
    const { data } = (await person.get<{ data: { type: string; amount: number }[] }>('/api/transaction/my'))
      .body
    const charged = data.filter(({ type }) => type === 'GENERATION_COST')
    expect(-sum(charged.map(({ amount }) => micros(amount)))).toBe(micros(total.credits))
  })

  test('is nothing while they run; a stopped one is no failure', async () => {
    const person = await room.at.richPerson(10)
    const slow = await room.at.model({ type: 'demo' })
    const answer = send(person, slow.modelUid, '[[tokens=2000]] go on')
    const running = async () =>
      (
        await room.rows<{ uid: string }>(
          sql`SELECT message_uid AS uid FROM generations WHERE user_uid = ${person.uid}::uuid`,
        )
      )[0]?.uid
    await expect.poll(running).toBeDefined()
    expect((await room.usage(person)).total).toEqual(NOTHING)
    await person.post('/api/chat/stop', { messageUid: await running() })
    const { assistantMessage, cost } = await answer
    expect(assistantMessage.status).toBe('STOPPED')
    expect((await room.usage(person)).total).toMatchObject({ requests: 1, failures: 0, credits: cost })
  })

  test('is asked in one round trip', async () => {
    for (const [who, query] of [
      [await room.at.person(), 'by=model'],
      [admin, 'scope=all&by=key'],
    ] as const) {
      const before = room.at.neon.counts.requests
      await room.usage(who, query)
      expect(room.at.neon.counts.requests - before).toBe(1)
    }
  })
})

describe('days', () => {
  test('begin and end in UTC; `from` is in, `to` is out, and none is left out', async () => {
    const person = await room.at.person()
    const cost = (n: number) => 10 ** n
    const instants = [
      '2024-02-28T23:59:59.999999Z',
      '2024-02-29T00:00:00Z',
      '2024-02-29T23:59:59.999999Z',
      '2024-03-01T00:00:00Z',
      '2024-03-03T01:00:00+02:00',
    ]
    await room.past(person.uid, ...instants.map((at, n) => ({ at, modelUid, cost: cost(n) })))
    const days = async (query: string) => {
      const { data, total } = await room.usage(person, query)
      expect(sum(data.map(({ credits }) => micros(credits)))).toBe(micros(total.credits))
      expect(sum(data.map(({ requests }) => requests))).toBe(total.requests)
      return Object.fromEntries(data.map(({ day, credits }) => [day, micros(credits)]))
    }
    expect(await days('from=2024-02-28&to=2024-03-04')).toEqual({
      '2024-02-28': 1,
      '2024-02-29': 110,
      '2024-03-01': 1_000,
      '2024-03-02': 10_000,
      '2024-03-03': 0,
    })
    expect(await days('from=2024-02-29&to=2024-03-01')).toEqual({ '2024-02-29': 110 })
    expect(await days('from=2024-02-29T00:00:00.001Z&to=2024-03-01T00:00:00.001Z')).toEqual({
      '2024-02-29': 100,
      '2024-03-01': 1_000,
    })
    // The same instant in another zone is in the same day.
    expect(await days('from=2024-02-29T05:30:00%2B05:30&to=2024-02-29T19:00:00-05:00')).toEqual({
      '2024-02-29': 110,
    })
    expect(await days('from=2024-03-05&to=2024-03-07')).toEqual({ '2024-03-05': 0, '2024-03-06': 0 })
  })

  test('are the last thirty when nobody says which, and the thirty before `to`', async () => {
    const person = await room.at.person()
    const before = Math.floor(Date.now() / DAY)
    const { from, to, data } = await room.usage(person)
    const today = Date.parse(to) / DAY - 1
    expect([before, Math.floor(Date.now() / DAY)]).toContain(today)
    expect(Date.parse(from)).toBe((today - 29) * DAY)
    expect(data.map(({ day }) => Date.parse(day!) / DAY)).toEqual(
      Array.from({ length: 30 }, (_, n) => today - 29 + n),
    )
    expect(await room.usage(person, 'to=2024-03-01')).toMatchObject({
      from: '2024-01-31T00:00:00.000Z',
      to: '2024-03-01T00:00:00.000Z',
    })
    expect((await room.usage(person, 'to=0001-01-15')).from).toBe('0001-01-01T00:00:00.000Z')
    expect((await room.usage(person, 'from=2024-01-01&to=2025-01-01')).data).toHaveLength(366)
  })

  test.each([
    ['from=yesterday', 'from'],
    ['from=2024-02-30', 'from'],
    ['from=2024-02-01T00:00:00', 'from'],
    ['from=0000-01-01', 'from'],
    ['to=', 'to'],
    ['from=2024-01-02&to=2024-01-02', 'to'],
    ['from=2024-01-02&to=2024-01-01', 'to'],
    ['from=2024-01-01&to=2025-01-01T00:00:00.001Z', 'to'],
    ['from=2024-01-01', 'to'],
    ['from=9999-01-01', 'to'],
    ['by=hour', 'by'],
    ['by=', 'by'],
    ['scope=own', 'scope'],
    ['userUid=1', 'userUid'],
    [`scope=all&userUid=${newId()}`, 'userUid'],
  ])('refuses ?%s', async (query, path) => {
    const { status, body } = await room.ask(admin, query)
    expect([status, body.code, body.errors[0]?.path]).toEqual([422, 'invalid_request', path])
  })
})

test('by model and by key, the dearest first; no key is the chats', async () => {
  const person = await room.at.person()
  const nightly = await room.key(person.uid, 'Nightly')
  const named = await room.at.model()
  const use = (cost: number, day: number, more = {}) => ({
    at: `2023-05-0${day}T12:00:00Z`,
    ...{ modelUid, cost, tokens: { prompt: 1, completion: 2, cached: 1, reasoning: 2 }, ...more },
  })
  await room.past(
    person.uid,
    use(5, 1),
    use(6, 2, { keyUid: nightly }),
    use(7, 2, { keyUid: nightly, modelUid: named.modelUid }),
    use(0, 3, { keyUid: nightly, status: 'FAILED', tokens: undefined }),
  )
  // What is shown is the name of today, also of a model that is gone.
  const name = `renamed ${newId()}`
  await admin.put('/api/model/update', { uid: named.modelUid, name })
  await admin.delete(`/api/model/delete/${named.modelUid}`)

  const told = async (by: string) => {
    const { data } = await room.usage(person, `by=${by}&from=2023-05-01&to=2023-06-01`)
    const short = ({ day, model, key, requests, failures, credits }: UsageRow) =>
      [day, model, key, requests, failures, micros(credits)].filter((value) => value !== undefined)
    return data.map(short)
  }
  expect(await told('key')).toEqual([
    ['Nightly', 3, 1, 13],
    [null, 1, 0, 5],
  ])
  const [, other] = await told('model')
  expect(await told('model')).toEqual([
    [expect.stringMatching(/^model-/), 3, 1, 11],
    [name, 1, 0, 7],
  ])
  expect(await told('day,key')).toEqual([
    ['2023-05-01', null, 1, 0, 5],
    ['2023-05-02', 'Nightly', 2, 0, 13],
    ['2023-05-03', 'Nightly', 1, 1, 0],
  ])
  expect((await told('day,model')).map(([day, model]) => [day, model === other?.[0]])).toEqual([
    ['2023-05-01', false],
    ['2023-05-02', true],
    ['2023-05-02', false],
    ['2023-05-03', false],
  ])
  const { data, total } = await room.usage(person, 'by=key&from=2023-05-01&to=2023-06-01')
  expect(data[0]).toMatchObject({ keyUid: nightly, totalTokens: 6, cachedTokens: 2, reasoningTokens: 4 })
  expect(total).toMatchObject({ requests: 4, promptTokens: 3, completionTokens: 6, totalTokens: 9 })
})

test("one's own is everybody's right, others' an administrator's, by the database's word", async () => {
  const [one, other, fallen] = [await room.at.person(), await room.at.person(), await room.at.administrator()]
  await room.rows(sql`UPDATE users SET role = 'USER' WHERE uid = ${fallen.uid}`)
  // A year that no other test uses.
  const at = '1987-07-01T00:00:00Z'
  const range = 'from=1987-01-01&to=1988-01-01&by=model'
  await room.past(one.uid, { at, modelUid, cost: 1 })
  await room.past(other.uid, { at, modelUid, cost: 20 }, { at, modelUid, cost: 300 })
  const credits = async (person: Person, query: string) =>
    micros((await room.usage(person, `${range}${query}`)).total.credits)

  expect(await credits(one, '')).toBe(1)
  expect(await credits(one, `&userUid=${one.uid.toUpperCase()}`)).toBe(1)
  expect(await credits(admin, '')).toBe(0)
  expect(await credits(admin, `&userUid=${other.uid}`)).toBe(320)
  expect(await credits(admin, `&userUid=${newId()}`)).toBe(0)
  expect(await credits(admin, '&scope=all')).toBe(321)
  for (const person of [one, fallen])
    for (const query of ['&scope=all', `&userUid=${other.uid}`, `&userUid=${newId()}`]) {
      const { status, body } = await room.ask(person, `${range}${query}`)
      expect([status, body.code, body.total]).toEqual([403, 'forbidden', undefined])
    }
})

test('of more than 10,000 rows the dearest are shown, and the total is of all', async () => {
  const person = await room.at.person()
  await room.past(person.uid, { at: '2019-03-01T00:00:00Z', modelUid, cost: 1 })
  const mine = sql`user_uid = ${person.uid}::uuid`
  await room.rows(sql`INSERT INTO keys (uid, user_uid, name, digest, hint, revoked_at)
    SELECT gen_random_uuid(), ${person.uid}::uuid, 'k', gen_random_uuid()::text, 'h', now() FROM generate_series(1, 10000)`)
  await room.rows(sql`
    INSERT INTO generations (uid, user_uid, door, model_uid, model_name, key_uid, status, input_rate, cached_input_rate,
      output_rate, rate_per, prompt_estimate, allowed_tokens, hold, lease_until, cost, created_at, settled_at)
    SELECT gen_random_uuid(), ${person.uid}::uuid, 'gateway', ${modelUid}::uuid, 'm', uid, 'FAILED', 1, 1, 1, 1, 1, 1, 0, now(), 0,
      '2019-02-01', now() FROM keys WHERE ${mine}`)
  try {
    const range = 'from=2019-01-01&to=2019-12-31&by=key'
    const { data, total, truncated } = await room.usage(person, range)
    expect([data.length, truncated, total.requests]).toEqual([10_000, true, 10_001])
    expect(data[0]).toMatchObject({ keyUid: null, credits: 0.000001 })
    const file = await room.ask(person, range, { Accept: 'text/csv' })
    expect(file.headers.get('x-truncated')).toBe('true')
    expect(String(file.body).split('\r\n')).toHaveLength(10_002)
  } finally {
    await room.rows(sql`DELETE FROM generations WHERE ${mine} AND key_uid IS NOT NULL`)
    await room.rows(sql`DELETE FROM keys WHERE ${mine}`)
  }
})
