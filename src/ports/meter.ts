// The one use of a Node module in src/: who asked a port is not known to the drivers, and workerd brings this one.
import { AsyncLocalStorage } from 'node:async_hooks'

/** What a request asked of the ports, also after its answer has begun. */
export type Meter = Record<Port, { requests: number; ms: number }>
export type Port = 'postgres' | 'redis'

const meters = new AsyncLocalStorage<Meter>()

export const createMeter = (): Meter => ({
  postgres: { requests: 0, ms: 0 },
  redis: { requests: 0, ms: 0 },
})

/** Does the work, and counts on the meter whatever it asks of the ports. */
export const metered = <Result>(meter: Meter, work: () => Result): Result => meters.run(meter, work)

/** Counts one request to a port, and how long it took to be answered. */
export async function measure<Result>(port: Port, request: () => Promise<Result>): Promise<Result> {
  const entry = meters.getStore()?.[port]
  if (!entry) return request()
  entry.requests++
  const start = Date.now()
  try {
    return await request()
  } finally {
    entry.ms += Date.now() - start
  }
}
