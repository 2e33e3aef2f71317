import { useSignal } from '@preact/signals'
import type { ComponentChildren, JSX } from 'preact'
import { useId, useRef } from 'preact/hooks'
import { Refusal } from '../wire/api.ts'
import { Icon } from './icon.tsx'

/** The text of a form's fields, by name; what was left empty is absent. */
export type Entered = Record<string, string>

/**
 * Sends a form once at a time. A refusal that names fields is told at these fields, any other above the button.
 * @param words what a code means here, where the service's own sentence would not help
 */
export function useForm(send: (entered: Entered) => Promise<void>, words: Record<string, string> = {}) {
  const isBusy = useSignal(false)
  const fields = useSignal<Record<string, string>>({})
  const problem = useSignal<string | undefined>(undefined)
  const form = useRef<HTMLFormElement>(null)

  const onSubmit = async (event: Event) => {
    event.preventDefault()
    if (isBusy.value || !form.current) return
    const data = [...new FormData(form.current)].map(([name, value]) => [name, String(value)] as const)
    isBusy.value = true
    fields.value = {}
    problem.value = undefined
    try {
      await send(Object.fromEntries(data.filter(([, value]) => value !== '')))
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      fields.value = error.fields
      const named = Object.keys(error.fields).filter((name) => form.current?.elements.namedItem(name))
      problem.value = named.length > 0 ? undefined : (words[error.code] ?? error.message)
      const first = named[0] && form.current?.elements.namedItem(named[0])
      if (first instanceof HTMLElement) first.focus()
    } finally {
      isBusy.value = false
    }
  }
  return { form, onSubmit, isBusy, fields, problem }
}

interface Control {
  name: string
  type?: 'text' | 'email' | 'password' | 'number' | 'date' | 'search' | 'tel' | 'url'
  inputMode?: 'decimal' | 'numeric'
  autocomplete?: string
  placeholder?: string
  defaultValue?: string
  required?: boolean
  autofocus?: boolean
  readOnly?: boolean
  maxLength?: number
  min?: string
  max?: string
  step?: string
  list?: string
}

/** A labelled input, with a hint and what is wrong with it below, both read with it. */
export function Field({
  label,
  hint,
  error,
  unit,
  ...input
}: Control & { label: string; hint?: ComponentChildren; error?: string | undefined; unit?: string }) {
  const id = useId()
  const about = [hint ? `${id}-hint` : '', error ? `${id}-error` : ''].filter(Boolean).join(' ')
  return (
    <div class={error ? 'field wrong' : 'field'}>
      <label for={id}>{label}</label>
      <span class="control">
        <input
          id={id}
          aria-describedby={about || undefined}
          aria-invalid={error ? true : undefined}
          {...(input as object)}
        />
        {unit && <span class="unit">{unit}</span>}
      </span>
      {error && (
        <p class="error" id={`${id}-error`}>
          {error}
        </p>
      )}
      {hint && (
        <p class="hint" id={`${id}-hint`}>
          {hint}
        </p>
      )}
    </div>
  )
}

export function Choice({ label, children, ...select }: JSX.IntrinsicElements['select'] & { label: string }) {
  const id = useId()
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <span class="control">
        <select id={id} {...select}>
          {children}
        </select>
      </span>
    </div>
  )
}

export function Problem({ text }: { text: string | undefined }) {
  return (
    <div role="alert">
      {text && (
        <p class="problem">
          <Icon name="alert" /> <span>{text}</span>
        </p>
      )}
    </div>
  )
}

export function Submit({ isBusy, children }: { isBusy: boolean; children: ComponentChildren }) {
  return (
    <button type="submit" class="button primary" aria-disabled={isBusy}>
      {isBusy && <span class="spinner" aria-hidden="true" />}
      {children}
    </button>
  )
}
