import { pause } from '../../core/pause.ts'
import type { Redis } from '../../ports/redis.ts'
import { serviceState } from '../../ports/redis-keys.ts'

// Whether the sweep may leave the database alone. One value says it: when something was sent last (epoch ms), or
// 'idle'. Skipping is safe only if no hold can stand, or still come, that the last sweep did not see:
// - A mark is written beside each hold, or was AGAIN_AFTER_MS ago at most. It overwrites 'idle'.
// - Only a sweep writes 'idle': it ended well, nothing was open, and the newest mark, unchanged since it began, is
//   older than QUIET_MS. So whatever relied on that mark has committed long before, and was seen.
// - A value that is not there (Redis is new, or lost it) counts as a mark of this moment: what an isolate still
//   remembers to have marked is older than AGAIN_AFTER_MS before anybody can call the service idle.
// Left open: a worker that dies while it cannot reach a Redis that says 'idle', or whose Redis goes back to a moment
// when it said so. Twice an hour the sweep looks whatever Redis says.

/** An isolate that marked so lately need not again. */
const AGAIN_AFTER_MS = 600_000
/** Far more than that and what a hold and a sweep may take, and more than an answer may last. */
const QUIET_MS = 1_800_000
const FIRST_WAIT_MS = 1_000
const LONGEST_WAIT_MS = 15_000

export type ServiceState = 'idle' | number

/** When an isolate's last mark was acknowledged. */
const marked = new WeakMap<Redis, number>()

const isFresh = (redis: Redis): boolean => Date.now() - (marked.get(redis) ?? 0) < AGAIN_AFTER_MS

/** To be called right before a hold is asked for: nothing waits for it. */
export function markSent({ redis, defer }: { redis: Redis; defer(work: Promise<unknown>): void }): void {
  if (!isFresh(redis)) defer(mark(redis))
}

/** With Redis away it goes on trying, for as long as what it stands for could make the service anything but idle. */
async function mark(redis: Redis): Promise<void> {
  const until = Date.now() + QUIET_MS
  for (let wait = FIRST_WAIT_MS; Date.now() < until; wait = Math.min(2 * wait, LONGEST_WAIT_MS)) {
    const at = Date.now()
    try {
      await redis.set(serviceState(), String(at))
      marked.set(redis, at)
      return
    } catch {
      await pause(wait)
    }
    // Another request of this isolate got through meanwhile.
    if (isFresh(redis)) return
  }
}

/** To be asked before a sweep begins. @returns undefined when Redis cannot be asked: then nobody knows */
export async function stateOf(redis: Redis): Promise<ServiceState | undefined> {
  try {
    const value = await redis.get<string>(serviceState())
    if (value === 'idle') return value
    if (value !== null) return Number(value)
    const now = Date.now()
    await redis.set(serviceState(), String(now), { nx: true })
    return now
  } catch {
    return undefined
  }
}

const CALL_IDLE = `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return '0' end
redis.call('SET', KEYS[1], 'idle')
return '1'`

/**
 * Says what a sweep has found, after it ended well. @param seen the state before it began
 * @param isOpen asks the database, once it matters, whether something runs or waits there
 * @throws Error when Redis or Postgres cannot be asked; the state stays as it is
 */
export async function noteSwept(
  redis: Redis,
  seen: ServiceState,
  isOpen: () => Promise<boolean>,
): Promise<void> {
  if (seen === 'idle') {
    if (await isOpen()) await redis.set(serviceState(), String(Date.now()))
  } else if (Date.now() - seen > QUIET_MS && !(await isOpen()))
    await redis.eval(CALL_IDLE, [serviceState()], [String(seen)])
}
