/**
 * How many answers a second, at 1, 16 and 64 in parallel, and how many through the pass-through? Whole answers of 20
 * deltas that come as fast as they can, each asked for as soon as one before it has ended. Postgres, Redis, upstream and
 * clients share the machine.
 */
import { askBare, askChat, askGateway, question, spread } from './asking.ts'
import type { Stage } from './stage.ts'
import type { Figure } from './table.ts'

const WIDTHS = [1, 16, 64]
const MOST = 64

export async function throughput(stage: Stage, isShort: boolean): Promise<Figure[]> {
  const answers = isShort ? 64 : 320
  const people = await stage.people(MOST)
  const message = question(20, 0)
  const figures: Figure[] = []
  for (const width of WIDTHS) {
    const count = width === 1 ? answers / 4 : answers
    const chats = await spread(count, 4, (index) => stage.chats(people[index % MOST]!, 1))
    const rate = async (ask: (index: number) => Promise<unknown>) => {
      const began = performance.now()
      await spread(count, width, ask)
      return (count / (performance.now() - began)) * 1_000
    }
    const ways = {
      'passed on': await rate(() => askBare(stage, { message })),
      chats: await rate((index) => askChat(stage, people[index % MOST]!, chats[index]![0]!, { message })),
      '/v1': await rate((index) => askGateway(stage, people[index % MOST]!, { message })),
    }
    for (const [way, value] of Object.entries(ways))
      figures.push({ name: `Answers a second: ${way}, ${width} at once, ${stage.postgres}`, value, unit: '' })
  }
  return figures
}
