/** What the system says of a process (Linux), and what many numbers come to. */
import { readdirSync, readFileSync } from 'node:fs'

/** Milliseconds in one tick of `/proc/<pid>/stat`: 100 a second wherever Linux runs today. */
const TICK_MS = 10

/**
 * Processor time that a process has used so far, in ms to the tick, in its own code and in the kernel on its behalf.
 * Threads that have ended are in it.
 */
export function cpuMs(pid: number): number {
  // The name, in brackets, may hold spaces: what follows it is counted from its end.
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS
}

/** Memory of its own that a process holds, in KiB: what would be free again without it. */
export function memoryKib(pid: number): number {
  const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8')
  const field = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(rollup)?.[1] ?? 0)
  return field('Private_Clean') + field('Private_Dirty')
}

/** Looks at a process's memory now and then; `stop` tells the most that was seen, in KiB. */
export function watchMemory(pid: number): { stop(): number } {
  let most = memoryKib(pid)
  const look = () => {
    most = Math.max(most, memoryKib(pid))
  }
  const timer = setInterval(look, 50)
  return {
    stop() {
      clearInterval(timer)
      look()
      return most
    },
  }
}

/** Files, sockets among them, that a process has open. */
export const openFiles = (pid: number | 'self'): number => readdirSync(`/proc/${pid}/fd`).length

export const median = (values: number[]): number => {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  if (sorted.length % 2 === 1) return sorted[middle]!
  return ((sorted[middle - 1] ?? Number.NaN) + (sorted[middle] ?? Number.NaN)) / 2
}

/** The value that `share` (0 to 1) of all do not exceed. */
export const quantile = (values: number[], share: number): number =>
  values.toSorted((a, b) => a - b)[Math.max(0, Math.ceil(values.length * share) - 1)] ?? Number.NaN

/** How much `y` grows with `x`: the line that fits the points best. */
export function slope(points: { x: number; y: number }[]): number {
  const mean = (of: (point: { x: number; y: number }) => number) =>
    points.reduce((sum, point) => sum + of(point), 0) / points.length
  const [x, y] = [mean((point) => point.x), mean((point) => point.y)]
  const above = points.reduce((sum, point) => sum + (point.x - x) * (point.y - y), 0)
  return above / points.reduce((sum, point) => sum + (point.x - x) ** 2, 0)
}
