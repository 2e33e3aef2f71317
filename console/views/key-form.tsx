import { useSignal } from '@preact/signals'
import { useEffect, useRef } from 'preact/hooks'
import { dayEnd } from '../parts/csv.ts'
import { Dialog } from '../parts/dialog.tsx'
import { Field, Problem, Submit, useForm } from '../parts/form.tsx'
import { Icon } from '../parts/icon.tsx'
import { say } from '../parts/notices.tsx'
import { usable } from '../state/models.ts'
import { createWish } from '../state/wish.ts'
import { call, type Schemas } from '../wire/api.ts'

type Key = Schemas['Key']

/** A new key, or changes to one. */
export function KeyForm({
  apiKey,
  onClose,
  onSaved,
}: {
  apiKey: Key | null
  onClose: () => void
  /** With the secret of a new one. */
  onSaved: (secret: string | undefined) => void
}) {
  const wish = useRef(createWish())
  const { form, onSubmit, isBusy, fields, problem } = useForm(async ({ name = '', budget, expires = '' }) => {
    const models = new FormData(form.current!).getAll('models').map(String)
    const expiresAt = dayEnd(expires)
    if (apiKey) {
      const changed = {
        name,
        budget: budget ? Number(budget) : null,
        models: models.length > 0 ? models : null,
        // A date field is only as fine as a day: what was not touched stays to the second.
        ...(expires === dayOf(apiKey.expiresAt) ? {} : { expiresAt: expiresAt ?? null }),
      }
      await call('patch', '/api/key/{keyUid}', { params: { keyUid: apiKey.uid }, body: changed })
      say(`“${name}” is saved.`)
      onSaved(undefined)
      return
    }
    const body = {
      name,
      ...(budget ? { budget: Number(budget) } : {}),
      ...(expiresAt ? { expiresAt } : {}),
      ...(models.length > 0 ? { models } : {}),
    }
    const { key } = await call('post', '/api/key/create', {
      body,
      idempotencyKey: wish.current.keyOf(JSON.stringify(body)),
    })
    // A repeat of a request whose answer was lost: the key is there, its secret is told only once.
    if (!key)
      say(`“${name}” was made, but its secret was lost on the way. Revoke it and make another.`, {
        isBad: true,
      })
    onSaved(key)
  })
  return (
    <Dialog title={apiKey ? `Edit “${apiKey.name}”` : 'New key'} onClose={onClose}>
      <form ref={form} onSubmit={onSubmit} class="stack" noValidate>
        <Field
          label="Name"
          name="name"
          autofocus
          maxLength={100}
          placeholder="What it is for"
          defaultValue={apiKey?.name ?? ''}
          error={fields.value.name}
        />
        <div class="pair">
          <Field
            label="Budget"
            name="budget"
            type="number"
            inputMode="decimal"
            step="any"
            unit="credits"
            hint="In all. Empty: no limit."
            defaultValue={apiKey?.budget == null ? '' : String(apiKey.budget)}
            error={fields.value.budget}
          />
          <Field
            label="Last day"
            name="expires"
            type="date"
            hint="Empty: until it is revoked."
            defaultValue={dayOf(apiKey?.expiresAt)}
            error={fields.value.expiresAt}
          />
        </div>
        <fieldset class="checks">
          <legend class="legend">Models</legend>
          <p class="hint">None chosen: every model.</p>
          {usable.value.map(({ uid, name }) => (
            <label class="check" key={uid}>
              <input
                type="checkbox"
                name="models"
                value={uid}
                defaultChecked={apiKey?.models?.includes(uid) ?? false}
              />
              {name}
            </label>
          ))}
        </fieldset>
        <Problem text={problem.value} />
        <footer class="actions">
          <button type="button" class="button" onClick={onClose}>
            Cancel
          </button>
          <Submit isBusy={isBusy.value}>{apiKey ? 'Save' : 'Make the key'}</Submit>
        </footer>
      </form>
    </Dialog>
  )
}

/** As a date field writes a day of this place. */
function dayOf(iso: string | null | undefined): string {
  if (!iso) return ''
  const last = new Date(new Date(iso).getTime() - 1)
  return [last.getFullYear(), last.getMonth() + 1, last.getDate()]
    .map((part) => String(part).padStart(2, '0'))
    .join('-')
}

/** A secret, shown this one time. */
export function KeySecret({ secret, onDone }: { secret: string; onDone: () => void }) {
  const box = useRef<HTMLElement>(null)
  const isCopied = useSignal(false)
  useEffect(() => box.current?.focus(), [])
  const example = [
    'from openai import OpenAI',
    '',
    `client = OpenAI(base_url="${location.origin}/v1", api_key="…")`,
  ].join('\n')
  return (
    <section class="card secret" ref={box} tabIndex={-1} aria-labelledby="secret-title">
      <h2 id="secret-title">Keep this key now</h2>
      <p>It is shown this one time. The service keeps a digest of it, which nobody can turn back.</p>
      <div class="secret-line">
        <code>{secret}</code>
        <button
          type="button"
          class="button"
          onClick={async () => {
            await navigator.clipboard.writeText(secret)
            isCopied.value = true
          }}
        >
          <Icon name={isCopied.value ? 'check' : 'copy'} /> {isCopied.value ? 'Copied' : 'Copy'}
        </button>
      </div>
      <pre class="mono">{example}</pre>
      <footer class="actions">
        <button type="button" class="button" onClick={onDone}>
          I have kept it
        </button>
      </footer>
    </section>
  )
}
