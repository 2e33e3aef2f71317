/**
 * How much processor time does an answer cost, over that of a Worker that only passes it on? An answer of 100 deltas,
 * 10 ms apart, sixteen at a time, with everything on: auth, hold, settle, feed. The time is workerd's alone: bridges,
 * upstream and clients are other processes. The samples alternate, and each holds enough answers for its ticks.
 */
import { pause } from '../src/core/pause.ts'
import { askBare, askChat, askGateway, question, spread, watch } from './asking.ts'
import { cpuMs, median } from './gauges.ts'
import type { Person, Stage } from './stage.ts'
import type { Figure } from './table.ts'

const DELTAS = 100
const DELAY_MS = 10
const WIDTH = 16
/** Answers of each kind before any counts: until then the runtime also pays for translating what runs often. */
const WARM_UP = 192
/** What was put off to after an answer is part of it. */
const REST_MS = 300

/** What workerd spends on one answer of so many, in ms. */
export async function cpuPerAnswer(
  pid: number,
  answers: number,
  ask: (index: number, lane: number) => Promise<unknown>,
  width = WIDTH,
): Promise<number> {
  await pause(REST_MS)
  const before = cpuMs(pid)
  await spread(answers, width, ask)
  await pause(REST_MS)
  return (cpuMs(pid) - before) / answers
}

export async function cpu(stage: Stage, isShort: boolean): Promise<Figure[]> {
  const [rounds, answers] = isShort ? [5, 48] : [9, 96]
  const message = question(DELTAS, DELAY_MS)
  const [alone, watching] = [await stage.people(WIDTH), await stage.people(WIDTH)]
  const feeds = await Promise.all(watching.map((person) => watch(stage.ours, person)))

  const inChats = async (people: Person[], count: number) => {
    const chats = await spread(count, 4, (index) => stage.chats(people[index % WIDTH]!, 1))
    return cpuPerAnswer(stage.ours.pid, count, (index) =>
      askChat(stage, people[index % WIDTH]!, chats[index]![0]!, { message }),
    )
  }
  const ways = {
    bare: (count: number) => cpuPerAnswer(stage.bare.pid, count, () => askBare(stage, { message })),
    chat: (count: number) => inChats(alone, count),
    watched: (count: number) => inChats(watching, count),
    gateway: (count: number) =>
      cpuPerAnswer(stage.ours.pid, count, (_, lane) => askGateway(stage, alone[lane]!, { message })),
  }
  type Way = keyof typeof ways
  const names = Object.keys(ways) as Way[]
  const samples: Record<Way, number[]> = { bare: [], chat: [], watched: [], gateway: [] }
  for (const name of names) await ways[name](WARM_UP)
  for (let round = 0; round < rounds; round++)
    for (const name of names) samples[name].push(await ways[name](answers))
  for (const feed of feeds) feed.close()

  const ratio = (way: Way) => median(samples[way].map((ms, round) => ms / samples.bare[round]!))
  return [
    { name: 'CPU of an answer: passed on', value: median(samples.bare), unit: 'ms' },
    { name: 'CPU of an answer: chat', value: median(samples.chat), unit: 'ms' },
    { name: 'CPU of an answer: chat, over passed on', value: ratio('chat'), unit: '×' },
    { name: 'CPU of an answer: chat watched, over passed on', value: ratio('watched'), unit: '×' },
    { name: 'CPU of an answer: /v1, over passed on', value: ratio('gateway'), unit: '×' },
  ]
}
