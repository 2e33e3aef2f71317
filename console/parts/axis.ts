/** A scale from 0 that reaches over `most`, in at most five round steps. */
export function axisOf(most: number): { top: number; ticks: number[] } {
  if (!(most > 0)) return { top: 1, ticks: [0] }
  const power = 10 ** Math.floor(Math.log10(most / 4))
  const step =
    [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((size) => most / size <= 4.4) ?? 10 * power
  const count = Math.ceil(most / step)
  const ticks = Array.from({ length: count + 1 }, (_, index) => Number((index * step).toPrecision(6)))
  return { top: count * step, ticks }
}
