/**
 * How large is the Worker, and how long does it take to serve? Bytes as they are deployed, compressed; then, over a
 * Worker of one line, what workerd works and takes until the first `/health`, and what the first answer of a cold
 * isolate takes over a warm one.
 */
import { gzipSync } from 'node:zlib'
import { bundle } from '../dev/build.ts'
import { askChat, question } from './asking.ts'
import { PASS_THROUGH, type Served, startBare } from './bare.ts'
import { cpuMs, median } from './gauges.ts'
import type { Person, Stage } from './stage.ts'
import type { Figure } from './table.ts'

const WARM_ANSWERS = 3

export async function bundleAndStart(stage: Stage, isShort: boolean): Promise<Figure[]> {
  const rounds = isShort ? 3 : 7
  const { modules } = await bundle()
  const kib = (type: string) =>
    gzipSync(Buffer.concat(modules.filter((each) => each.type === type).map(({ contents }) => contents)))
      .length / 1024

  const [person] = (await stage.people(1)) as [Person]
  const over: Record<'cpu' | 'ms', number[]> = { cpu: [], ms: [] }
  const cold: number[] = []
  const warm: number[] = []
  for (let round = 0; round < rounds; round++) {
    const bare = await started(
      () => startBare(PASS_THROUGH, { UPSTREAM: `${stage.ours.url}/health` }),
      '/health',
    )
    await bare.served.close()
    const ours = await started(stage.another, '/health')
    over.cpu.push(ours.cpu - bare.cpu)
    over.ms.push(ours.ms - bare.ms)
    await ours.served.close()

    // Another one, which has served nothing yet.
    const at = await stage.another()
    const chats = await stage.chats(person, 1 + WARM_ANSWERS)
    const wish = { message: question(3, 10), at }
    const times: number[] = []
    for (const chatUid of chats) times.push((await askChat(stage, person, chatUid, wish)).firstMs)
    cold.push(times[0]!)
    warm.push(median(times.slice(1)))
    await at.close()
  }

  return [
    { name: 'Bundle, gzip', value: kib('ESModule') + kib('CompiledWasm'), unit: 'KiB' },
    { name: '… of it: the WebAssembly for passwords', value: kib('CompiledWasm'), unit: 'KiB' },
    { name: 'Start to the first /health: work, over a bare Worker', value: median(over.cpu), unit: 'ms' },
    { name: 'Start to the first /health: time, over a bare Worker', value: median(over.ms), unit: 'ms' },
    { name: 'First token of a cold isolate', value: median(cold), unit: 'ms' },
    { name: 'First token of a warm one', value: median(warm), unit: 'ms' },
  ]
}

/** Starts a Worker and asks it once. */
async function started<At extends Served>(
  start: () => Promise<At>,
  path: string,
): Promise<{ served: At; cpu: number; ms: number }> {
  const began = performance.now()
  const served = await start()
  const answer = await fetch(served.url + path)
  await answer.arrayBuffer()
  return { served, cpu: cpuMs(served.pid), ms: performance.now() - began }
}
