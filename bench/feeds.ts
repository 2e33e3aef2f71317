/**
 * What do 1,000 feeds cost that are open and idle (in a short run 250), and how soon does each of them hear of an
 * event? Memory is workerd's, over that of as many streams that a bare Worker holds open, without and with a
 * subscription behind each: that is what a feed is made of. Then events of 100 people go to all the feeds of each.
 */
import { pause } from '../src/core/pause.ts'
import { type Held, hold, spread, watch } from './asking.ts'
import { HELD_STREAM, HELD_SUBSCRIPTION, type Served, startBare } from './bare.ts'
import { memoryKib, quantile } from './gauges.ts'
import type { Stage } from './stage.ts'
import type { Figure } from './table.ts'

const PEOPLE = 100
/** Opened at a time. */
const WIDTH = 10
/** Longer than a heartbeat takes to come round. */
const IDLE_MS = 16_000
const SETTLE_MS = 3_000
const EVENTS = 300
const BETWEEN_EVENTS_MS = 20
const HEARD_WITHIN_MS = 30_000

export async function feeds(stage: Stage, isShort: boolean): Promise<Figure[]> {
  const count = isShort ? 250 : 1_000
  const { upstash } = stage.stack
  const streams = await heldOpen(count, HELD_STREAM, 'open', {})
  const subscriptions = await heldOpen(count, HELD_SUBSCRIPTION, 'subscribe,', {
    REDIS: upstash.url,
    TOKEN: upstash.token,
  })

  const people = await stage.people(PEOPLE)
  const worker = await stage.another()
  const sentAt = people.map(() => 0)
  const late: number[] = []
  const heard = Array.from({ length: count }, () => 0)
  const { kib, held } = await memoryOf(count, worker, (index) =>
    watch(worker, people[index % PEOPLE]!, (text) => {
      for (let n = text.split('event: new_transaction').length; n > 1; n--) {
        heard[index]!++
        late.push(performance.now() - sentAt[index % PEOPLE]!)
      }
    }),
  )
  worker.upstash.reset()
  await pause(IDLE_MS)
  const idle = worker.upstash.counts.requests

  const told = []
  for (let event = 0; event < EVENTS; event++) {
    const who = event % PEOPLE
    sentAt[who] = performance.now()
    const purchase = { amount: 1, type: 'PURCHASE', description: 'For the feeds to tell.' }
    told.push(stage.call('POST', '/api/transaction/my/make', people[who]!.token, purchase))
    await pause(BETWEEN_EVENTS_MS)
  }
  await Promise.all(told)
  // One that comes twice does not make up for one that is missed.
  const wrong = () => heard.reduce((sum, times, index) => sum + Math.abs(times - wantedBy(index)), 0)
  const end = Date.now() + HEARD_WITHIN_MS
  while (wrong() > 0 && Date.now() < end) await pause(50)
  for (const feed of held) feed.close()
  await worker.close()

  return [
    { name: 'Redis requests of idle feeds', value: idle, unit: '' },
    { name: 'Memory of an idle feed', value: kib, unit: 'KiB' },
    { name: '… of it: an open stream', value: streams, unit: 'KiB' },
    { name: '… of it: a subscription', value: subscriptions - streams, unit: 'KiB' },
    { name: '… of it: the rest', value: kib - subscriptions, unit: 'KiB' },
    { name: 'Events that did not reach a feed', value: wrong(), unit: '' },
    { name: 'From a request to a feed: p50', value: quantile(late, 0.5), unit: 'ms' },
    { name: 'From a request to a feed: p99', value: quantile(late, 0.99), unit: 'ms' },
  ]
}

/** How many events a feed hears of, when person by person has one. */
const wantedBy = (index: number): number => Math.ceil((EVENTS - (index % PEOPLE)) / PEOPLE)

/** What one open stream of a bare Worker takes, in KiB. */
async function heldOpen(
  count: number,
  script: string,
  ready: string,
  bindings: Record<string, string>,
): Promise<number> {
  const bare = await startBare(script, bindings)
  const { kib, held } = await memoryOf(count, bare, () => hold(`${bare.url}/api/feed`, {}, ready))
  for (const stream of held) stream.close()
  await bare.close()
  return kib
}

/** Opens them all; how much memory each took, in KiB. */
async function memoryOf(
  count: number,
  { pid }: Served,
  open: (index: number) => Promise<Held>,
): Promise<{ kib: number; held: Held[] }> {
  // What is made once, with the first ones, is no cost of one.
  const first = await spread(WIDTH, WIDTH, open)
  await pause(500)
  const before = memoryKib(pid)
  const more = await spread(count - WIDTH, WIDTH, (index) => open(WIDTH + index))
  await pause(SETTLE_MS)
  return { kib: (memoryKib(pid) - before) / more.length, held: [...first, ...more] }
}
