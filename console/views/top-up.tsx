import { Dialog } from '../parts/dialog.tsx'
import { Field, Problem, Submit, useForm } from '../parts/form.tsx'
import { say } from '../parts/notices.tsx'
import { exactly } from '../parts/words.ts'
import { isTopUpOpen } from '../state/appearance.ts'
import { takeBalance } from '../state/money.ts'
import { profile } from '../state/session.ts'
import { createWish } from '../state/wish.ts'
import { call } from '../wire/api.ts'

const AMOUNTS = [5, 10, 25, 100]
const close = () => {
  isTopUpOpen.value = false
}

/** The same amount again is the same wish, until it was granted: also when the dialog was closed in between. */
const wish = createWish()

export function TopUp() {
  const { form, onSubmit, isBusy, fields, problem } = useForm(
    async ({ amount = '' }) => {
      const body = { amount: Number(amount), type: 'PURCHASE' as const, description: 'Top-up in the console' }
      const { newBalance } = await call('post', '/api/transaction/my/make', {
        body,
        idempotencyKey: wish.keyOf(`${profile.value?.uid} ${amount}`),
      })
      wish.granted()
      takeBalance(newBalance)
      close()
      say(`${exactly(Number(amount))} credits are yours. Your balance is ${exactly(newBalance)}.`)
    },
    {
      self_top_up_closed: 'On this service an administrator books credits. Ask the one who runs it.',
      unreachable: 'No answer came. The credits may be booked: the same amount again is booked only once.',
      invalid_request: 'Enter an amount above 0, with at most 6 decimals.',
    },
  )
  return (
    <Dialog title="Top up" onClose={close} size="small">
      <form ref={form} onSubmit={onSubmit} class="stack" noValidate>
        <fieldset class="amounts">
          <legend class="unseen">Common amounts</legend>
          {AMOUNTS.map((amount) => (
            <button
              key={amount}
              type="button"
              class="button"
              onClick={() => {
                const input = form.current?.elements.namedItem('amount') as HTMLInputElement
                input.value = String(amount)
                input.focus()
              }}
            >
              {amount}
            </button>
          ))}
        </fieldset>
        <Field
          label="Amount"
          name="amount"
          type="number"
          inputMode="decimal"
          min="0.000001"
          max="10000000"
          step="any"
          defaultValue="10"
          autofocus
          unit="credits"
          error={fields.value.amount}
        />
        <p class="hint">Credits are booked at once. They never expire, and only answers take from them.</p>
        <Problem text={problem.value} />
        <footer class="actions">
          <button type="button" class="button" onClick={close}>
            Cancel
          </button>
          <Submit isBusy={isBusy.value}>Add credits</Submit>
        </footer>
      </form>
    </Dialog>
  )
}
