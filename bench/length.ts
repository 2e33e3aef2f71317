/**
 * Does a delta of a long answer cost what one of a short answer costs? Chats of 100, 1,000 and 10,000 deltas at the
 * same pace, four at a time, and the same number of deltas in every sample but the shortest. What stands once an
 * answer (auth, hold, settle) is no cost of a delta: it is what grows from one length to the next that is compared.
 */
import { askChat, question, spread } from './asking.ts'
import { cpuPerAnswer } from './cpu.ts'
import { median, memoryKib, watchMemory } from './gauges.ts'
import type { Stage } from './stage.ts'
import type { Figure } from './table.ts'

const WIDTH = 4
const LENGTHS = [
  { deltas: 100, answers: 40 },
  { deltas: 1_000, answers: 12 },
  { deltas: 10_000, answers: 4 },
]

export async function length(stage: Stage, isShort: boolean): Promise<Figure[]> {
  const rounds = isShort ? 2 : 3
  // 10,000 deltas take 20 s then, or 10.
  const delayMs = isShort ? 1 : 2
  const people = await stage.people(WIDTH)
  const costs = new Map<number, number[]>()
  const memories: number[] = []
  for (let round = 0; round < rounds; round++)
    for (const { deltas, answers } of LENGTHS) {
      const message = question(deltas, delayMs)
      const chats = await spread(answers, WIDTH, (index) => stage.chats(people[index % WIDTH]!, 1))
      const before = memoryKib(stage.ours.pid)
      const memory = watchMemory(stage.ours.pid)
      const ms = await cpuPerAnswer(
        stage.ours.pid,
        answers,
        (index) => askChat(stage, people[index % WIDTH]!, chats[index]![0]!, { message }),
        WIDTH,
      )
      const most = memory.stop()
      if (deltas === 10_000) memories.push(most - before)
      costs.set(deltas, [...(costs.get(deltas) ?? []), ms])
    }

  const cost = (deltas: number) => median(costs.get(deltas)!)
  const perDelta = (from: number, to: number) => ((cost(to) - cost(from)) / (to - from)) * 1_000
  const early = perDelta(100, 1_000)
  const late = perDelta(1_000, 10_000)
  return [
    { name: 'CPU of a delta: from the 100th to the 1,000th', value: early, unit: 'µs' },
    { name: 'CPU of a delta: from the 1,000th to the 10,000th', value: late, unit: 'µs' },
    { name: 'CPU of a delta: late over early', value: late / early, unit: '×' },
    {
      name: 'Memory that four answers of 10,000 deltas add, at most',
      value: Math.max(...memories) / 1024,
      unit: 'MiB',
    },
  ]
}
