import { useSignal } from '@preact/signals'
import { useEffect, useId, useRef } from 'preact/hooks'
import { axisOf } from './axis.ts'

export interface Series {
  name: string
  /** One for each column. */
  values: number[]
}

const HEIGHT = 210
const EDGE = { top: 12, right: 18, bottom: 24, left: 52 }
const LABEL_PX = 68

/**
 * Columns over time, stacked by series. A picture for who sees it, with what a column holds in words below it; the
 * same numbers as a table for everybody else.
 */
export function Columns({
  title,
  unit,
  labels,
  series,
  write,
}: {
  title: string
  unit: string
  /** Of the columns, oldest first. */
  labels: string[]
  series: Series[]
  write: (value: number) => string
}) {
  const holder = useRef<HTMLDivElement>(null)
  const width = useSignal(640)
  const at = useSignal<number | undefined>(undefined)
  const id = useId()
  useEffect(() => {
    const watcher = new ResizeObserver(([entry]) => {
      width.value = Math.max(240, Math.floor(entry?.contentRect.width ?? 640))
    })
    if (holder.current) watcher.observe(holder.current)
    return () => watcher.disconnect()
  }, [])

  const sums = labels.map((_, index) => series.reduce((sum, { values }) => sum + (values[index] ?? 0), 0))
  const total = sums.reduce((sum, value) => sum + value, 0)
  const most = Math.max(...sums, 0)
  const { top, ticks } = axisOf(most)
  const plot = { width: width.value - EDGE.left - EDGE.right, height: HEIGHT - EDGE.top - EDGE.bottom }
  const step = plot.width / Math.max(1, labels.length)
  const bar = Math.max(1, Math.min(34, step * 0.64))
  const y = (value: number) => EDGE.top + plot.height * (1 - value / top)
  const every = Math.max(1, Math.ceil(LABEL_PX / step))
  const busiest = labels[sums.indexOf(most)]
  const said = `${title}: ${write(total)} ${unit} in all${most > 0 ? `, most on ${busiest} with ${write(most)}` : ''}.`

  return (
    <figure class="chart">
      <figcaption id={id}>
        <h2>{title}</h2>
        {series.length > 1 && (
          <ul class="legend-list">
            {series.map(({ name }, index) => (
              <li key={name} class={`tone${index + 1}`}>
                {name}
              </li>
            ))}
          </ul>
        )}
      </figcaption>
      <div ref={holder} class="plot">
        <svg
          role="img"
          aria-label={said}
          viewBox={`0 0 ${width.value} ${HEIGHT}`}
          width={width.value}
          height={HEIGHT}
          onPointerMove={({ offsetX }) => {
            const index = Math.floor((offsetX - EDGE.left) / step)
            at.value = index >= 0 && index < labels.length ? index : undefined
          }}
          onPointerLeave={() => {
            at.value = undefined
          }}
        >
          {ticks.map((tick) => (
            <g key={tick} class="tick">
              <line x1={EDGE.left} x2={width.value - EDGE.right} y1={y(tick)} y2={y(tick)} />
              <text x={EDGE.left - 8} y={y(tick) + 4} text-anchor="end">
                {write(tick)}
              </text>
            </g>
          ))}
          {labels.map((label, index) => (
            <Column
              key={label}
              x={EDGE.left + step * index + (step - bar) / 2}
              width={bar}
              isFaint={at.value !== undefined && at.value !== index}
              parts={series.map(({ values }) => values[index] ?? 0)}
              y={y}
            />
          ))}
          {labels.map(
            (label, index) =>
              (labels.length - 1 - index) % every === 0 && (
                <text
                  key={label}
                  class="label"
                  x={EDGE.left + step * (index + 0.5)}
                  y={HEIGHT - 6}
                  text-anchor="middle"
                >
                  {label}
                </text>
              ),
          )}
        </svg>
      </div>
      <p class="chart-word muted" aria-hidden="true">
        {at.value === undefined ? said : wordOf(at.value, { labels, series, sums, unit, write })}
      </p>
      <details class="aside">
        <summary>The same as a table</summary>
        <section class="table-frame low" aria-labelledby={id} tabIndex={0}>
          <table class="table">
            <thead>
              <tr>
                <th scope="col">Day</th>
                {series.map(({ name }) => (
                  <th key={name} scope="col" class="amount">
                    {name}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {labels.map((label, index) => (
                <tr key={label}>
                  <th scope="row">{label}</th>
                  {series.map(({ name, values }) => (
                    <td key={name} class="amount">
                      {write(values[index] ?? 0)}
                    </td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </section>
      </details>
    </figure>
  )
}

function Column({
  x,
  width,
  isFaint,
  parts,
  y,
}: {
  x: number
  width: number
  isFaint: boolean
  parts: number[]
  y: (value: number) => number
}) {
  let below = 0
  return (
    <g class={isFaint ? 'faint' : undefined}>
      {parts.map((value, index) => {
        const from = y(below)
        below += value
        const height = from - y(below)
        return (
          value > 0 && (
            <rect
              key={index}
              class={`tone${index + 1}`}
              x={x}
              y={y(below)}
              width={width}
              height={Math.max(height, 1)}
              rx="1.5"
            />
          )
        )
      })}
    </g>
  )
}

function wordOf(
  index: number,
  {
    labels,
    series,
    sums,
    unit,
    write,
  }: { labels: string[]; series: Series[]; sums: number[]; unit: string; write: (value: number) => string },
): string {
  const parts = series
    .filter(({ values }) => (values[index] ?? 0) > 0)
    .map(({ name, values }) => `${name} ${write(values[index] ?? 0)}`)
  return `${labels[index]}: ${write(sums[index] ?? 0)} ${unit}${parts.length > 1 ? ` (${parts.join(', ')})` : ''}`
}
