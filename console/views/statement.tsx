import { useSignal } from '@preact/signals'
import { dayEnd, dayStart, saveCsv } from '../parts/csv.ts'
import { Icon } from '../parts/icon.tsx'
import { complain } from '../parts/notices.tsx'
import { Empty, Listing, Page } from '../parts/page.tsx'
import { usePaged } from '../parts/paged.ts'
import { inBooks } from '../parts/words.ts'
import { isTopUpOpen } from '../state/appearance.ts'
import { bookings, held, money } from '../state/money.ts'
import { call, type Transaction } from '../wire/api.ts'
import { BookingRow, bookingHead, type Filter, Filters, noFilter } from './bookings-table.tsx'

/** Everything that came to the account and went from it. */
export function Statement() {
  const filter = useSignal<Filter>(noFilter)
  const { type, from, to } = filter.value
  const query = { type: type || undefined, from: dayStart(from), to: dayEnd(to) } as {
    type?: Transaction['type']
    from?: string
    to?: string
  }
  const paged = usePaged<Transaction>(`${JSON.stringify(query)} ${bookings.value}`, (cursor) =>
    call('get', '/api/transaction/my', { query: { ...query, ...(cursor ? { cursor } : {}), limit: 50 } }),
  )
  return (
    <Page
      title="Statement"
      lead="Your balance is the sum of these rows, always. None of them is ever changed."
      actions={
        <>
          <button
            type="button"
            class="button"
            onClick={() => void saveCsv('/api/transaction/my', query, 'statement.csv').catch(complain)}
          >
            <Icon name="download" /> CSV
          </button>
          <button
            type="button"
            class="button primary"
            onClick={() => {
              isTopUpOpen.value = true
            }}
          >
            Top up
          </button>
        </>
      }
    >
      <dl class="figures">
        <div>
          <dt>Balance</dt>
          <dd>{inBooks(money.value.balance)}</dd>
        </div>
        <div>
          <dt>On hold for running answers</dt>
          <dd>{inBooks(held.value)}</dd>
        </div>
        <div>
          <dt>Available</dt>
          <dd>{inBooks(money.value.available)}</dd>
        </div>
      </dl>
      <Filters filter={filter} />
      <Listing
        paged={paged}
        label="Your transactions, newest first, in credits"
        head={bookingHead()}
        row={(row) => <BookingRow key={row.uid} row={row} />}
        empty={
          filter.value === noFilter ? (
            <Empty icon="receipt" title="Nothing booked yet">
              Top up, ask something, and every credit shows up here.
            </Empty>
          ) : (
            <Empty icon="search" title="Nothing fits">
              <button
                type="button"
                class="link"
                onClick={() => {
                  filter.value = noFilter
                }}
              >
                Show everything
              </button>
            </Empty>
          )
        }
      />
    </Page>
  )
}
