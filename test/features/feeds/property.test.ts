import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Script, startScripted } from '../../support/scripted.ts'
import { Watcher } from '../../support/watcher.ts'
import { type Person, type World, world } from '../../support/world.ts'

const RUNS = Number(process.env.FEED_RUNS ?? 50)
const AT_ONCE = 5
const SEED = Number(process.env.FEED_SEED ?? Math.floor(Math.random() * 1e9))

/** mulberry32: the same seed, the same run. */
function randomFrom(seed: number) {
  let state = seed | 0
  const next = () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
  const upTo = (most: number) => Math.floor(next() * (most + 1))
  return { next, upTo, pick: <T>(list: readonly T[]): T => list[upTo(list.length - 1)]! }
}
type Random = ReturnType<typeof randomFrom>

const ALPHABET = [
  'a',
  'Z',
  ' ',
  '\n',
  '"',
  '\\',
  'é',
  'ß',
  '你',
  '好',
  '🙂',
  '👩‍👩‍👧‍👦',
  '\u0000',
  '\ud83d',
  '\ude42',
  '\u2028',
  '\u200f',
  'data: ',
  'event: x\n\n',
]

function scriptOf(random: Random): Script {
  const deltas = random.pick([1, 3, 40, 400, 1 + random.upTo(4_999)])
  const text = (count: number) =>
    Array.from({ length: count }, () =>
      Array.from({ length: 1 + random.upTo(5) }, () => random.pick(ALPHABET)).join(''),
    )
  return {
    pieces: text(deltas),
    reasoning: random.next() < 0.3 ? text(1 + random.upTo(100)) : [],
    together: 1 + random.upTo(Math.max(1, Math.ceil(deltas / 20))),
    pauseMs: random.pick([0, 1, 10, 30]),
  }
}

describe('feeds, through whatever happens to their readers', () => {
  let at: World
  let upstream: Awaited<ReturnType<typeof startScripted>>
  let modelUid: string
  beforeAll(async () => {
    at = await world({ SILENCE_MS: '60000', CLIENT_GONE_S: '25' })
    upstream = await startScripted()
    modelUid = (
      await at.model({
        api_link: upstream.link,
        max_output_tokens: 500_000,
        context_tokens: 4_000_000,
        token_cost: 1_000_000,
      })
    ).modelUid
  })
  afterAll(() => upstream?.close())

  async function run(seed: number): Promise<void> {
    const random = randomFrom(seed)
    const person: Person = await at.richPerson(1_000)
    const chats = await Promise.all(
      Array.from(
        { length: 1 + random.upTo(1) },
        async () => ((await person.post<any>('/api/chat/create', {})).body as { chatUid: string }).chatUid,
      ),
    )
    const headers = { authorization: `Bearer ${person.token}` }
    const watchers = Array.from({ length: 2 + random.upTo(1) }, (_, index) => {
      const chatUid = index === 0 ? chats[0] : random.pick([...chats, undefined])
      const path = chatUid ? `/api/chat/sse/${chatUid}` : random.pick(['/api/feed', '/api/chat/sse'])
      return { chatUid, watcher: new Watcher(at.url + path, headers) }
    })

    let over = false
    const sends = chats.map(async (chatUid) => {
      for (let turn = 0; turn < 1 + random.upTo(1); turn++) {
        await sleep(random.upTo(60))
        const message = JSON.stringify(scriptOf(random))
        const reply = await person.post<any>('/api/chat/message', {
          role: 'user',
          message,
          chatUid,
          modelUid,
        })
        expect(reply.status).toBe(200)
      }
    })
    const flicker = watchers.map(async ({ watcher }) => {
      await sleep(random.upTo(50))
      let id: string | undefined
      let wakeUp = watcher.checkpoint()
      while (!over) {
        watcher.open(id, random.pick([0, 0, 0, 2]))
        await sleep(random.upTo(400))
        if (random.next() < 0.2) return // and stays
        await watcher.drop()
        if (random.next() < 0.2) wakeUp()
        else if (random.next() < 0.3) wakeUp = watcher.checkpoint()
        // Back with its own id, or with none, one that is malformed, of another epoch, or from the future.
        const own = watcher.lastEventId
        id = random.pick([
          own,
          own,
          own,
          own,
          undefined,
          'nonsense',
          'ffff-7',
          own?.replace(/-\d+/, '-999999'),
        ])
        await sleep(random.upTo(100))
      }
      watcher.open(watcher.lastEventId)
    })
    await Promise.all(sends)
    over = true
    await Promise.all(flicker)

    const stored = new Map<string, any>()
    for (const chatUid of chats)
      for (const row of (await person.get<any>(`/api/chat/${chatUid}/messages`)).body.data)
        stored.set(row.uid, row)
    // Every reader is open now. What it knows must become what is stored, and of one chat it must know all.
    for (const { watcher, chatUid } of watchers) {
      const { messages } = watcher
      const expected = Array.from(stored.values()).filter((row) => row.chatUid === chatUid)
      const isThere = () =>
        Array.from(messages).every(([uid, { status }]) => status === stored.get(uid)?.status) &&
        (chatUid === undefined || messages.size === expected.length)
      const end = Date.now() + 60_000
      for (let still = 0; still < 5 && watcher.fault === undefined && Date.now() < end; ) {
        await sleep(20)
        still = isThere() ? still + 1 : 0
      }
      // In the same breath: a reader of all chats may be about to hear of the next answer.
      await watcher.drop()
      if (chatUid) {
        expect(messages.size, `seed ${seed}`).toBe(expected.length)
        expect(
          Array.from(watcher.chatsSeen).filter((uid) => uid !== chatUid),
          `seed ${seed}`,
        ).toEqual([])
      }
      expect(watcher.fault, `seed ${seed}`).toBeUndefined()
      for (const [uid, seen] of watcher.messages) {
        const row = stored.get(uid)
        expect(seen.text === row.message, `seed ${seed}: the text of ${uid}`).toBe(true)
        expect(seen.reasoning, `seed ${seed}`).toBe(row.reasoning ?? '')
        expect(seen.status, `seed ${seed}`).toBe(row.status)
      }
    }
  }

  it(
    `${RUNS} runs: every reader ends with exactly the stored text (seed ${SEED})`,
    async () => {
      const seeds = Array.from({ length: RUNS }, (_, index) => SEED + index).values()
      let restarts = 0
      let done = false
      // Redis is restarted in between: everything in it is gone, and so is every connection.
      const unrest = (async () => {
        while (!done) {
          await sleep(3_000)
          if (done) return
          at.upstash.down = true
          await at.upstash.wipe()
          await sleep(150)
          at.upstash.down = false
          restarts++
        }
      })()
      const worker = async () => {
        for (const seed of seeds) await run(seed)
      }
      try {
        await Promise.all(Array.from({ length: AT_ONCE }, worker))
      } finally {
        done = true
        await unrest
      }
      expect(restarts).toBeGreaterThan(0)
    },
    30 * 60_000,
  )
})
