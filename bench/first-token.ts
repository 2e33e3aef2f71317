/**
 * How much later does the first token come than through the pass-through, and how does that grow when the database
 * is farther away? One question at a time, ours and the pass-through in turn. The slope (ms later for each ms of the
 * database's latency) is the number of round trips in a row before the first token. It goes by the quickest tenth of
 * the questions, which nothing else on the machine has held up, and by a database that is 100 ms away as well.
 */
import { askBare, askChat, askGateway, question } from './asking.ts'
import { median, quantile, slope } from './gauges.ts'
import type { Person, Stage } from './stage.ts'
import type { Figure } from './table.ts'

const LATENCIES_MS = [0, 5, 20, 100]
/** What is told of: beyond it nobody would put a database. */
const TOLD_MS = 20
const WARM = 3

export async function firstToken(stage: Stage, isShort: boolean): Promise<Figure[]> {
  const turns = isShort ? 15 : 40
  const [person] = (await stage.people(1)) as [Person]
  const chats = await stage.chats(person, (turns + WARM) * LATENCIES_MS.length)
  // Pauses between the deltas, so that the first one is a write of its own.
  const message = question(3, 10)
  const times = {
    bare: [] as number[],
    chat: new Map<number, number[]>(),
    '/v1': new Map<number, number[]>(),
  }
  const keep = (of: Map<number, number[]>, latency: number, ms: number) =>
    of.set(latency, [...(of.get(latency) ?? []), ms])

  for (let turn = 0; turn < turns + WARM; turn++)
    for (const latency of LATENCIES_MS) {
      const bare = await askBare(stage, { message })
      stage.stack.neon.latencyMs = latency
      const chat = await askChat(stage, person, chats.pop()!, { message })
      const gateway = await askGateway(stage, person, { message })
      stage.stack.neon.latencyMs = 0
      if (turn < WARM) continue
      times.bare.push(bare.firstMs)
      keep(times.chat, latency, chat.firstMs)
      keep(times['/v1'], latency, gateway.firstMs)
    }

  return (['chat', '/v1'] as const).flatMap((way) => {
    const of = (latency: number) => times[way].get(latency)!
    const told = LATENCIES_MS.filter((latency) => latency <= TOLD_MS).map((latency) => ({
      name: `Added to the first token: ${way}, database ${latency} ms away`,
      value: median(of(latency)) - median(times.bare),
      unit: 'ms',
    }))
    const points = LATENCIES_MS.map((latency) => ({ x: latency, y: quantile(of(latency), 0.1) }))
    return [
      ...told,
      { name: `Slope of it over the database's latency: ${way}`, value: slope(points), unit: '' },
    ]
  })
}
