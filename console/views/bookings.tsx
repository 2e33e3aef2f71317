import { useSignal } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import { dayEnd, dayStart } from '../parts/csv.ts'
import { Empty, Listing, Page } from '../parts/page.tsx'
import { usePaged } from '../parts/paged.ts'
import { bookings } from '../state/money.ts'
import { call, type Transaction } from '../wire/api.ts'
import { BookingRow, bookingHead, type Filter, Filters, noFilter } from './bookings-table.tsx'

/** For administrators: the whole ledger. */
export function Bookings() {
  const filter = useSignal<Filter>(noFilter)
  const names = useSignal<Record<string, string>>({})
  const { type, from, to } = filter.value
  const query = { type: type || undefined, from: dayStart(from), to: dayEnd(to) } as {
    type?: Transaction['type']
    from?: string
    to?: string
  }
  const paged = usePaged<Transaction>(`${JSON.stringify(query)} ${bookings.value}`, (cursor) =>
    call('get', '/api/transaction/all', { query: { ...query, ...(cursor ? { cursor } : {}), limit: 50 } }),
  )
  useEffect(() => {
    call('get', '/api/user/all', { query: { limit: 100 } }).then(
      ({ data }) => {
        names.value = Object.fromEntries(
          data.map(({ uid, firstName, lastName }) => [uid, `${firstName} ${lastName}`]),
        )
      },
      () => {},
    )
  }, [])
  return (
    <Page
      title="Bookings"
      lead="Everybody's transactions. Nothing here can be changed; a correction is a new row."
    >
      <Filters filter={filter} />
      <Listing
        paged={paged}
        label="Transactions of everybody, newest first, in credits"
        head={bookingHead({ withPerson: true })}
        row={(row) => (
          <BookingRow key={row.uid} row={row} person={names.value[row.userUid] ?? row.userUid.slice(-12)} />
        )}
        empty={
          <Empty icon="wallet" title="Nothing booked">
            {filter.value === noFilter ? 'The ledger is empty.' : 'Nothing fits this filter.'}
          </Empty>
        }
      />
    </Page>
  )
}
