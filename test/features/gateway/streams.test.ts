import { connect } from 'node:net'
import { sql } from 'drizzle-orm'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { connectPostgres } from '../../../src/ports/postgres.ts'
import { type CannedUpstream, completion, startCanned } from '../../support/canned.ts'
import { type Program, program } from '../../support/door.ts'
import { type World, world } from '../../support/world.ts'
import { listenTo } from '../inference/dead.ts'

describe('a stream of the door', () => {
  let at: World
  let upstream: CannedUpstream
  let app: Program
  let model: string
  let db: ReturnType<typeof connectPostgres>
  /** Upstreams that are silent for longer than the door is: asked here, looked at last. */
  let silent: Promise<string>
  let failing: Promise<string>
  /** Of an owner who is blocked meanwhile, which is heard with the next lease. */
  let blocked: { owner: Program['owner']; text: Promise<string> }
  beforeAll(async () => {
    at = await world()
    upstream = await startCanned()
    app = await program(at)
    model = (await at.model()).name
    db = connectPostgres('postgres://local:local@localhost/local', at.neon.url)
    const [late, lateToo] = [(await at.model()).name, (await at.model()).name]
    silent = textOf(late, '[[fault:slow-first-token=13000]] Well?')
    const { owner, key } = await program(at, { credits: 100 })
    const story = await post(model, '[[tokens=4000,delay=20]] a long story', { max_tokens: 4000 }, key)
    blocked = { owner, text: story.text() }
    const administrator = await at.administrator()
    expect((await administrator.patch(`/api/user/${owner.uid}`, { status: 'BLOCKED' })).status).toBe(200)
    failing = textOf(lateToo, '[[fault:slow-headers=13000]] [[fault:status=500]]')
  })
  afterAll(() => upstream?.close())

  const post = (name: string, content: string, more: object = {}, key = app.key) =>
    fetch(`${at.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      body: JSON.stringify({ model: name, stream: true, messages: [{ role: 'user', content }], ...more }),
    })
  const textOf = async (name: string, content: string) => {
    const response = await post(name, content)
    return `${response.status} ${response.headers.get('content-type')}\n${await response.text()}`
  }
  const settled = async (name: string) =>
    (
      await db.execute<any>(
        sql`SELECT status, finish_reason, cost::int FROM generations WHERE model_name = ${name}::text AND status <> 'RUNNING'`,
      )
    ).rows

  it('is data lines without names, and ends with [DONE]', async () => {
    const response = await post(model, 'Hello [[tokens=3]]')
    expect(response.headers.get('content-type')).toMatch(/^text\/event-stream/)
    expect(response.headers.get('cache-control')).toBe('no-cache, no-transform')
    const events = (await response.text()).split('\n\n')
    expect(events.slice(-2)).toEqual(['data: [DONE]', ''])
    for (const event of events.slice(0, -2)) expect(event).toMatch(/^data: \{.*\}$/)
  })

  it('takes a whole answer of the upstream for one', async () => {
    const usage = { prompt_tokens: 9, completion_tokens: 4, total_tokens: 13 }
    const whole = await at.model({
      api_link: upstream.link({ type: 'text/event-stream', body: completion({ content: 'All at once.' }) }),
    })
    const stream = await app.client.chat.completions.create({
      ...{ model: whole.name, stream: true, stream_options: { include_usage: true } },
      messages: [{ role: 'user', content: 'Hi' }],
    })
    const [first, last] = await Array.fromAsync(stream)
    expect(first).toMatchObject({ object: 'chat.completion.chunk' })
    expect(first?.choices[0]).toMatchObject({ delta: { content: 'All at once.' }, finish_reason: 'stop' })
    expect(last).toMatchObject({ choices: [], usage: { ...usage, cost: 0.013 } })
    expect(await settled(whole.name)).toEqual([{ status: 'COMPLETED', finish_reason: 'stop', cost: 13_000 }])
  })

  it('what broke off after its first token is delivered whole too, with the reason, and paid', async () => {
    const { name } = await at.model({
      api_link: upstream.link({
        body: 'data: {"choices":[{"index":0,"delta":{"content":"Half of"}}]}\n\ndata: {"error":{"message":"no more"}}\n\n',
      }),
    })
    const { choices, usage } = await app.client.chat.completions.create({
      ...{ model: name, messages: [{ role: 'user', content: 'Hi' }] },
    })
    expect(choices[0]).toMatchObject({
      message: { role: 'assistant', content: 'Half of' },
      finish_reason: 'error',
      error: { code: 'upstream_failed', type: 'api_error' },
    })
    // "Hi" and "Half of" by the estimate: 5 tokens and 2.
    expect(usage).toEqual({
      ...{ prompt_tokens: 5, completion_tokens: 2, total_tokens: 7 },
      ...{ cost: 0.007, source: 'estimated' },
    })
  })

  it('is not held back by who does not read, and is over for them: what came is paid', async () => {
    const { name } = await at.model({ max_output_tokens: 200_000, context_tokens: 400_000 })
    const content = `[[chunks=100000,size=50]] ${name}`
    const body = JSON.stringify({ model: name, stream: true, messages: [{ role: 'user', content }] })
    const socket = connect(Number(new URL(at.url).port), '127.0.0.1')
    socket.write(
      [
        ...['POST /v1/chat/completions HTTP/1.1', 'Host: door', `Authorization: Bearer ${app.key}`],
        ...['Content-Type: application/json', `Content-Length: ${Buffer.byteLength(body)}`, '', body],
      ].join('\r\n'),
    )
    socket.pause()
    // 30 MB: more than the sockets between us take and than anybody may be behind.
    await expect.poll(() => settled(name), { timeout: 30_000 }).toHaveLength(1)
    const [{ cost, ...end }] = await settled(name)
    expect(end).toEqual({ status: 'STOPPED', finish_reason: 'client_gone' })
    expect(cost).toBeGreaterThan(0)
    // All of it would be 12.5 tokens a chunk.
    expect(cost).toBeLessThan(600_000_000)
    socket.destroy()
  })

  it('of a worker that died is settled by the sweep, and its owner hears of the money', async () => {
    const apart = await world({ CLIENT_GONE_S: '11' })
    const dying = await program(apart, { credits: 100 })
    const { name } = await apart.model()
    const feed = await listenTo(at.url, dying.owner)
    const stream = await dying.client.chat.completions.create({
      ...{ model: name, stream: true },
      messages: [{ role: 'user', content: '[[tokens=2000,delay=50]] a long story' }],
    })
    const reading = Array.fromAsync(stream).catch(() => {})
    await expect.poll(() => feed.of('balance').length, { timeout: 30_000 }).toBeGreaterThan(0)
    const mine = sql`model_name = ${name}::text AND status = 'RUNNING'`
    await apart.worker.crash()
    await reading
    await db.execute(sql`UPDATE generations SET lease_until = clock_timestamp() - interval '1 s',
      text_so_far = 'forty characters of text that were saved' WHERE ${mine}`)
    await at.worker.scheduled()
    await expect.poll(() => feed.of('new_transaction'), { timeout: 30_000 }).toHaveLength(1)
    const [{ data }] = feed.of('new_transaction') as [any]
    // The question is 14 tokens by the estimate, what was saved 10.
    expect(data).toMatchObject({ amount: -0.024, newBalance: 99.976, available: 99.976 })
    expect(await settled(name)).toMatchObject([{ status: 'FAILED', cost: 24_000 }])
    const { data: keys } = (await dying.owner.get<any>('/api/key/all')).body
    expect(keys[0]).toMatchObject({ spent: 0.024, held: 0 })
    await feed.close()
  })

  it('of an owner who is blocked ends, and what came is paid', async () => {
    const text = await blocked.text
    expect(text).toContain('data: {"error":{')
    expect(text).not.toContain('[DONE]')
    const [row] = (
      await db.execute<any>(sql`SELECT g.status, g.finish_reason, g.cost::int, a.balance::int, a.held::int
        FROM generations g JOIN accounts a USING (user_uid) WHERE user_uid = ${blocked.owner.uid}::uuid`)
    ).rows
    expect(row).toMatchObject({ status: 'STOPPED', finish_reason: 'stopped', held: 0 })
    expect(row.cost).toBeGreaterThan(0)
    expect(row.balance).toBe(100_000_000 - row.cost)
  })

  it('that is silent for long begins with 200 and a sign of life, and goes on as any other', async () => {
    const text = await silent
    expect(text).toMatch(/^200 text\/event-stream[^\n]*\n: [^\n]+\n\ndata: \{/)
    expect(text).toContain('data: [DONE]\n\n')
  })

  it('that fails after it was silent for long says so in its last event', async () => {
    const text = await failing
    expect(text).toMatch(/^200 /)
    expect(text).not.toContain('[DONE]')
    const last = text.trimEnd().split('\n\n').at(-1) ?? ''
    expect(JSON.parse(last.replace('data: ', ''))).toMatchObject({ error: { code: 'upstream_failed' } })
  })
})
