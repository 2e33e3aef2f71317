import { useSignal } from '@preact/signals'
import { Dialog } from '../parts/dialog.tsx'
import { Choice, Field, Problem, Submit, useForm } from '../parts/form.tsx'
import { say } from '../parts/notices.tsx'
import { exactly, signed } from '../parts/words.ts'
import { bookings } from '../state/money.ts'
import { createWish } from '../state/wish.ts'
import { call, type Transaction, type User } from '../wire/api.ts'
import { kinds } from './bookings-table.tsx'

const explained: Record<Transaction['type'], string> = {
  PURCHASE: 'Credits were bought: they are added.',
  REFUND: 'Something is given back: credits are added.',
  ADJUSTMENT: 'A correction: an amount below 0 takes credits away.',
  GENERATION_COST: 'An answer is charged by hand: credits are taken away.',
}

/** The same entry sent again is the same booking, until it was made: also when the dialog was closed in between. */
const wish = createWish()

/** An administrator books on somebody's account. */
export function Book({ user, onClose, onBooked }: { user: User; onClose: () => void; onBooked: () => void }) {
  const type = useSignal<Transaction['type']>('PURCHASE')
  const { form, onSubmit, isBusy, fields, problem } = useForm(async ({ amount, description = '' }) => {
    const body = { userUid: user.uid, amount: Number(amount), type: type.value, description }
    const { newBalance } = await call('post', '/api/transaction/make', {
      body,
      idempotencyKey: wish.keyOf(JSON.stringify(body)),
    })
    wish.granted()
    onClose()
    onBooked()
    bookings.value++
    say(`Booked ${signed(body.amount)}. The balance of ${user.firstName} is ${exactly(newBalance)}.`)
  })
  return (
    <Dialog title={`Book for ${user.firstName} ${user.lastName}`} onClose={onClose}>
      <form ref={form} onSubmit={onSubmit} class="stack" noValidate>
        <div class="pair">
          <Choice
            label="Kind"
            name="type"
            value={type.value}
            onChange={(event) => {
              type.value = event.currentTarget.value as Transaction['type']
            }}
          >
            {(['PURCHASE', 'REFUND', 'ADJUSTMENT', 'GENERATION_COST'] as const).map((each) => (
              <option key={each} value={each}>
                {kinds[each]}
              </option>
            ))}
          </Choice>
          <Field
            label="Amount"
            name="amount"
            type="number"
            inputMode="decimal"
            step="any"
            unit="credits"
            autofocus
            error={fields.value.amount}
          />
        </div>
        <p class="hint">
          {explained[type.value]} The balance is {exactly(user.balance)} now, {exactly(user.available)} of it
          available.
        </p>
        <Field
          label="Description"
          name="description"
          maxLength={500}
          placeholder="What it is for; the person sees it"
          error={fields.value.description}
        />
        <Problem text={problem.value} />
        <footer class="actions">
          <button type="button" class="button" onClick={onClose}>
            Cancel
          </button>
          <Submit isBusy={isBusy.value}>Book</Submit>
        </footer>
      </form>
    </Dialog>
  )
}
