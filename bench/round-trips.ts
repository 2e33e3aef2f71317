/**
 * How often are Postgres and Redis asked for a send, before the first token and in all? Counted where they are
 * asked, at the bridges: answers that are over at once, and two of 21 s, which renew their lease once.
 */

import type { LocalWorker } from '../dev/stack.ts'
import { pause } from '../src/core/pause.ts'
import { askChat, askGateway, type Heard, question, watch } from './asking.ts'
import type { Served } from './bare.ts'
import type { Person, Stage } from './stage.ts'
import type { Figure } from './table.ts'

type Counted = Pick<LocalWorker, 'neon' | 'upstash'> & Served
interface Counts {
  postgres: number
  redis: number
}

/**
 * Each is asked so often. No send may ask Postgres more often than the others; of Redis's commands the least counts, for
 * what a flush finds to tell, and whether one comes before the first token, is left to chance on a busy machine.
 */
const TRIES = 5
/** What is told after the end of an answer. */
const REST_MS = 500
const LONG = question(1_050, 20)

export async function roundTrips(stage: Stage): Promise<Figure[]> {
  const [person, watcher] = (await stage.people(2)) as [Person, Person]
  const { neon, upstash } = stage.stack
  const at: Counted = { ...stage.ours, neon, upstash }
  const ways = ['chat, JSON', 'chat, stream', '/v1, stream'] as const
  const figures: Figure[] = []
  const note = (what: string, { postgres, redis }: Counts) =>
    figures.push(
      { name: `Postgres requests: ${what}`, value: postgres, unit: '' },
      { name: `Redis commands: ${what}`, value: redis, unit: '' },
    )

  for (const way of ways) {
    const seen: { before: Counts; all: Counts }[] = []
    for (const chatUid of await stage.chats(person, TRIES)) {
      await pause(REST_MS)
      seen.push(
        await counted(at, (onToken) => {
          const wish = { message: question(20, 0), onToken }
          if (way === '/v1, stream') return askGateway(stage, person, wish)
          return askChat(stage, person, chatUid, wish, way === 'chat, stream')
        }),
      )
    }
    // A JSON answer has no first token that its caller could see.
    if (way !== 'chat, JSON') note(`${way}, before the first token`, worst(seen.map(({ before }) => before)))
    note(`${way}, in all`, worst(seen.map(({ all }) => all)))
  }

  const lonely = await stage.another()
  const watched = await stage.another()
  const feed = await watch(watched, watcher)
  const [unseenChat, seenChat] = [await stage.chats(person, 1), await stage.chats(watcher, 1)]
  await pause(REST_MS)
  const [unseen, seen] = await Promise.all([
    counted(lonely, () => askChat(stage, person, unseenChat[0]!, { message: LONG, at: lonely })),
    counted(watched, () => askChat(stage, watcher, seenChat[0]!, { message: LONG, at: watched })),
  ])
  feed.close()
  note('chat of 21 s, unwatched', unseen.all)
  note('chat of 21 s, watched', seen.all)
  await Promise.all([lonely.close(), watched.close()])
  return figures
}

async function counted(
  { neon, upstash }: Counted,
  ask: (onToken: () => void) => Promise<Heard>,
): Promise<{ before: Counts; all: Counts }> {
  neon.reset()
  upstash.reset()
  const now = (): Counts => ({ postgres: neon.counts.requests, redis: upstash.counts.commands })
  let before: Counts | undefined
  await ask(() => {
    before ??= now()
  })
  await pause(REST_MS)
  const all = now()
  return { before: before ?? all, all }
}

const worst = (all: Counts[]): Counts => ({
  postgres: Math.max(...all.map(({ postgres }) => postgres)),
  redis: Math.min(...all.map(({ redis }) => redis)),
})
