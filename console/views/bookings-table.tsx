import type { Signal } from '@preact/signals'
import { Choice, Field } from '../parts/form.tsx'
import { inBooks, momentOf, signed } from '../parts/words.ts'
import type { Transaction } from '../wire/api.ts'

export interface Filter {
  type: string
  /** Dates as their fields hold them: `2026-11-22`, or nothing. Both days are part of the range. */
  from: string
  to: string
}
export const noFilter: Filter = { type: '', from: '', to: '' }

export const kinds: Record<Transaction['type'], string> = {
  PURCHASE: 'Purchase',
  REFUND: 'Refund',
  GENERATION_COST: 'Answer',
  ADJUSTMENT: 'Adjustment',
}

export function Filters({ filter }: { filter: Signal<Filter> }) {
  const take = (event: Event) => {
    const form = new FormData(event.currentTarget as HTMLFormElement)
    const next = {
      type: String(form.get('type')),
      from: String(form.get('from')),
      to: String(form.get('to')),
    }
    filter.value = next.type || next.from || next.to ? next : noFilter
  }
  return (
    <form
      key={filter.value === noFilter ? 'none' : 'some'}
      class="filters"
      aria-label="Filter"
      onChange={take}
      onSubmit={(event) => event.preventDefault()}
    >
      <Choice label="Kind" name="type">
        <option value="">All</option>
        {Object.entries(kinds).map(([value, name]) => (
          <option key={value} value={value} selected={filter.value.type === value}>
            {name}
          </option>
        ))}
      </Choice>
      <Field label="From" name="from" type="date" defaultValue={filter.value.from} />
      <Field label="To" name="to" type="date" defaultValue={filter.value.to} />
    </form>
  )
}

export const bookingHead = ({ withPerson = false } = {}) => (
  <>
    <th scope="col" class="wide-only">
      When
    </th>
    {withPerson && (
      <th scope="col" class="wide-only">
        Who
      </th>
    )}
    <th scope="col">What</th>
    <th scope="col" class="amount">
      Amount
    </th>
    <th scope="col" class="amount wide-only">
      Balance after
    </th>
  </>
)

export function BookingRow({ row, person }: { row: Transaction; person?: string }) {
  return (
    <tr>
      <td class="when wide-only">
        <time dateTime={row.createdAt}>{momentOf(row.createdAt)}</time>
      </td>
      {person !== undefined && <td class="wide-only">{person}</td>}
      <td class="what">
        {row.description}
        {row.type !== 'GENERATION_COST' && <span class="kind">{kinds[row.type]}</span>}
        <span class="narrow-only muted">
          {person && `${person}, `}
          {momentOf(row.createdAt)}
        </span>
      </td>
      <td class={row.amount > 0 ? 'amount more' : 'amount'}>{signed(row.amount)}</td>
      <td class="amount wide-only muted">{inBooks(row.balanceAfter)}</td>
    </tr>
  )
}
