import { sql } from 'drizzle-orm'
import { beforeAll, describe, expect, it } from 'vitest'
import { connectPostgres } from '../../../src/ports/postgres.ts'
import { callApart, program } from '../../support/door.ts'
import { atOnce, tally } from '../../support/races.ts'
import { type World, world } from '../../support/world.ts'
import { listenTo } from '../inference/dead.ts'

interface Answer {
  usage: { cost: number; total_tokens: number }
}
interface Key {
  uid: string
  budget: number
  spent: number
  held: number
}

describe('a call of a program', () => {
  let at: World
  let db: ReturnType<typeof connectPostgres>
  let model: string
  beforeAll(async () => {
    at = await world()
    db = connectPostgres('postgres://local:local@localhost/local', at.neon.url)
    model = (await at.model()).name
  })

  const ask = (token: string, content: string, more: object = {}) =>
    at.call<Answer>('POST', '/v1/chat/completions', {
      token,
      json: { model, messages: [{ role: 'user', content }], ...more },
    })
  /** 15 + 85 tokens are held. */
  const askApart = (key: string) => {
    const messages = [{ role: 'user', content: `[[tokens=85]] ${'x'.repeat(30)}` }]
    return callApart<Answer>(at, key, { model, messages, max_tokens: 85 })
  }
  const profileOf = async (person: { get: World['call'] | any }) =>
    (await person.get('/api/user/profile')).body as { balance: number; available: number }
  const keyOf = async (app: Awaited<ReturnType<typeof program>>) =>
    (await app.owner.get<{ data: Key[] }>('/api/key/all')).body.data.find(({ uid }) => uid === app.keyUid)!

  it('asks Postgres once before the upstream and once after its end, and Redis nothing before it', async () => {
    for (const stream of [false, true, false]) {
      // Somebody else each time: what is told after an answer may come later than the next one.
      const app = await program(at)
      at.neon.reset()
      at.upstash.reset()
      at.upstream.requests.length = 0
      const { status } = await ask(app.key, 'Count the round trips.', { stream })
      expect(status).toBe(200)
      const called = at.upstream.requests[0]!.at
      expect(at.neon.log.filter(({ at: time }) => time <= called)).toHaveLength(1)
      expect(at.neon.counts.requests).toBe(2)
      const told = () =>
        at.upstash.log.filter(({ commands }) => JSON.stringify(commands).includes(app.owner.uid))
      await expect.poll(() => told().length, { timeout: 30_000 }).toBeGreaterThan(0)
      expect(told().filter(({ at: time }) => time <= called)).toHaveLength(0)
    }
  })

  it('is held and charged as a chat is, and counted on its key', async () => {
    const app = await program(at, { credits: 10, limits: { budget: 5 } })
    const { body } = await ask(app.key, '[[tokens=20]] What does it cost?')
    expect(body.usage.cost).toBe(body.usage.total_tokens / 1000)
    expect(await keyOf(app)).toMatchObject({ budget: 5, spent: body.usage.cost, held: 0 })
    const { data } = (await app.owner.get<{ data: any[] }>('/api/transaction/my')).body
    expect(data[0]).toMatchObject({ amount: -body.usage.cost, type: 'GENERATION_COST' })
    const { rows } = await db.execute<any>(
      sql`SELECT door, key_uid, chat_uid, status, text_so_far FROM generations WHERE uid = ${data[0].generationUid}::uuid`,
    )
    expect(rows).toEqual([
      { door: 'gateway', key_uid: app.keyUid, chat_uid: null, status: 'COMPLETED', text_so_far: '' },
    ])
    expect(await profileOf(app.owner)).toMatchObject({ balance: 10 - body.usage.cost })
  })

  it('is limited to what is there: the smaller of both limits, of the balance, and of the budget', async () => {
    const limitOf = async (token: string, more: object) => {
      expect((await ask(token, 'Hi', more)).status).toBe(200)
      return at.upstream.requests.at(-1)?.body.max_tokens
    }
    // "Hi" is 5 tokens by the estimate; a credit buys 1,000.
    const rich = await program(at)
    expect(await limitOf(rich.key, {})).toBe(4096)
    expect(await limitOf(rich.key, { max_tokens: 900, max_completion_tokens: 70 })).toBe(70)
    const poor = await program(at, { credits: 0.505 })
    expect(await limitOf(poor.key, { n: 2 })).toBe(250)
    const bounded = await program(at, { limits: { budget: 0.305 } })
    expect(await limitOf(bounded.key, {})).toBe(300)
  })

  it('never takes more than the balance: of 200 at once the affordable ones run, the rest get 402', async () => {
    const app = await program(at, { credits: 5 })
    const answers = await atOnce(200, () => askApart(app.key))
    const counts = tally(answers.map(({ status }) => status))
    expect(Object.keys(counts).sort()).toEqual(['200', '402'])
    // So many fit at once, and more as they end.
    expect(counts[200]).toBeGreaterThanOrEqual(50)
    const costs = answers.reduce((sum, { body }) => sum + Math.round((body.usage?.cost ?? 0) * 1e6), 0)
    const { balance, available } = await profileOf(app.owner)
    expect(Math.round(balance * 1e6)).toBe(5_000_000 - costs)
    expect(available).toBe(balance)
  })

  it('never takes more than the budget of its key, whatever the owner has', async () => {
    const app = await program(at, { credits: 1000, limits: { budget: 2 } })
    const answers = await atOnce(200, () => askApart(app.key))
    const refused = answers.filter(({ status }) => status !== 200)
    expect(tally(refused.map(({ body }) => (body as any).error.code))).toEqual({
      key_budget_exceeded: refused.length,
    })
    const costs = answers.reduce((sum, { body }) => sum + Math.round((body.usage?.cost ?? 0) * 1e6), 0)
    const { spent, held } = await keyOf(app)
    expect(Math.round(spent * 1e6)).toBe(costs)
    expect(costs).toBeLessThanOrEqual(2_000_000)
    // So many fit at once by what each holds.
    expect(200 - refused.length).toBeGreaterThanOrEqual(20)
    expect(held).toBe(0)
  })

  it('tells the feeds of its owner what is held and what was charged, after it was booked', async () => {
    const app = await program(at, { credits: 10 })
    const feed = await listenTo(at.url, app.owner)
    const { body } = await ask(app.key, '[[tokens=20,delay=20]] Slowly.', { max_tokens: 100 })
    await expect.poll(() => feed.of('new_transaction'), { timeout: 30_000 }).toHaveLength(1)
    const [{ data: held }] = feed.of('balance') as [any]
    const [{ data: charged }] = feed.of('new_transaction') as [any]
    expect(held).toMatchObject({ balance: 10 })
    expect(held.available).toBeLessThan(10)
    const newBalance = (10_000_000 - Math.round(body.usage.cost * 1e6)) / 1e6
    expect(charged).toMatchObject({ amount: -body.usage.cost, newBalance, available: newBalance })
    expect(charged.seq).toBeGreaterThan(held.seq)
    await feed.close()
  })

  it('mends what Postgres and JSON cannot hold before it is counted or sent', async () => {
    const app = await program(at)
    const { status } = await ask(app.key, 'a\u0000b\ud800c [[tokens=3]]')
    expect(status).toBe(200)
    const { messages } = at.upstream.requests.at(-1)!.body as { messages: { content: string }[] }
    expect(messages[0]?.content).toBe('a\uFFFDb\uFFFDc [[tokens=3]]')
  })
})
