// One clock and one switch for one answer.
import type { UpstreamFaultKind } from './port.ts'

export type StopKind = Extract<UpstreamFaultKind, `${string}_timeout` | 'aborted'>

export interface Watch {
  /** For `fetch`: aborted when stopped. */
  signal: AbortSignal
  /** Resolves when stopped; never rejects. */
  whenStopped: Promise<void>
  stopped(): StopKind | undefined
  /** Milliseconds since the watch began. */
  elapsed(): number
  /** From now on, `ms` without another call stop it, 0 at once. Cheap: a clock is read, seldom is a timer set. */
  arm(kind: StopKind, ms: number): void
  /** No limit but the total, until armed again: somebody else is being waited for. */
  rest(): void
  stop(kind: StopKind): void
  /** Called once when stopped; replaces what was set before. */
  onStop(act: () => void): void
  /** Ends the watch without stopping anything. */
  close(): void
  /** Closes the connection behind `signal`. */
  sever(): void
}

// Above this setTimeout fires at once.
const LONGEST_TIMER_MS = 2_147_483_647

/** A watch that also stops when `outer` is aborted ('aborted') or after `totalMs` ('total_timeout'). */
export function createWatch(outer: AbortSignal, totalMs: number): Watch {
  const control = new AbortController()
  const start = performance.now()
  const totalAt = start + totalMs
  let kind: StopKind = 'total_timeout'
  let deadline = totalAt
  let timer: ReturnType<typeof setTimeout> | undefined
  let timerAt = Number.POSITIVE_INFINITY
  let stopped: StopKind | undefined
  let act: (() => void) | undefined
  let release = (): void => {}
  const whenStopped = new Promise<void>((resolve) => {
    release = resolve
  })

  function clear(): void {
    if (timer !== undefined) clearTimeout(timer)
    timer = undefined
    timerAt = Number.POSITIVE_INFINITY
  }

  function setTimer(now: number): void {
    if (timer !== undefined) clearTimeout(timer)
    timerAt = deadline
    timer = setTimeout(check, Math.min(Math.max(Math.ceil(deadline - now), 0), LONGEST_TIMER_MS))
  }

  // The deadline moves with every read, the timer does not: when it fires early it is set to the rest.
  function check(): void {
    timer = undefined
    timerAt = Number.POSITIVE_INFINITY
    const now = performance.now()
    // A timer may fire a fraction of a millisecond early.
    if (now + 1 >= deadline) stop(deadline === totalAt ? 'total_timeout' : kind)
    else setTimer(now)
  }

  function until(at: number): void {
    if (stopped !== undefined) return
    deadline = Math.min(at, totalAt)
    if (deadline < timerAt) setTimer(performance.now())
  }

  function close(): void {
    clear()
    outer.removeEventListener('abort', onAbort)
  }

  function stop(why: StopKind): void {
    if (stopped !== undefined) return
    stopped = why
    close()
    control.abort()
    act?.()
    release()
  }

  function onAbort(): void {
    stop('aborted')
  }

  if (outer.aborted) stop('aborted')
  else {
    outer.addEventListener('abort', onAbort)
    until(totalAt)
  }

  return {
    signal: control.signal,
    whenStopped,
    stopped: () => stopped,
    elapsed: () => performance.now() - start,
    arm(why, ms) {
      const now = performance.now()
      // Timers do not fire while an upstream talks without a pause.
      if (ms <= 0 || now >= totalAt) return stop(now >= totalAt ? 'total_timeout' : why)
      kind = why
      until(now + ms)
    },
    rest: () => until(totalAt),
    stop,
    onStop(next) {
      act = next
      if (stopped !== undefined) next()
    },
    close,
    sever: () => control.abort(),
  }
}
