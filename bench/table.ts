/** Figures, what they should be and what they may be at most, as one table. */

export interface Figure {
  name: string
  value: number
  /** '' for a plain number. */
  unit: string
}

/** `budget`: what it should be at most. `limit`: what it may be at most, which is enforced. */
export interface Bounds {
  budget?: number
  limit?: number
}

export type Budget = Record<string, Bounds>

/** Over its limit, or no number at all. */
export const isBroken = ({ name, value }: Figure, budget: Budget): boolean =>
  !Number.isFinite(value) || value > (budget[name]?.limit ?? Number.POSITIVE_INFINITY)

/** A Markdown table whose columns also line up as plain text. The ratio is value ÷ budget. */
export function tableOf(figures: Figure[], budget: Budget): string {
  const rows = figures.map((figure) => {
    const { name, value, unit } = figure
    const bounds = budget[name] ?? {}
    const said = (bound: number | undefined) => (bound === undefined ? '' : amount(bound, unit))
    const ratio = bounds.budget ? (value / bounds.budget).toFixed(2) : ''
    const mark = isBroken(figure, budget) ? ' (over)' : ''
    return [name, amount(value, unit) + mark, said(bounds.budget), said(bounds.limit), ratio]
  })
  const all = [['Figure', 'Value', 'Budget', 'Limit', 'Ratio'], ...rows]
  const widths = all[0]!.map((_, column) => Math.max(...all.map((row) => row[column]!.length)))
  const line = (row: string[]) =>
    `| ${row.map((cell, at) => (at === 0 ? cell.padEnd(widths[at]!) : cell.padStart(widths[at]!))).join(' | ')} |`
  const rule = `|${widths.map((width, at) => (at === 0 ? '-'.repeat(width + 2) : `${'-'.repeat(width + 1)}:`)).join('|')}|`
  return [line(all[0]!), rule, ...all.slice(1).map(line)].join('\n')
}

/** Three digits that count: more would be noise. */
function amount(value: number, unit: string): string {
  const digits =
    Number.isInteger(value) || Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : value === 0 ? 0 : 2
  return `${value.toFixed(digits)}${unit === '' ? '' : ` ${unit}`}`
}
