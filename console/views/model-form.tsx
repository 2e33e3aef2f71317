import { useSignal } from '@preact/signals'
import { useEffect, useId, useRef } from 'preact/hooks'
import { Dialog } from '../parts/dialog.tsx'
import { type Entered, Field, Problem, Submit, useForm } from '../parts/form.tsx'
import { priceOf } from '../parts/price.ts'
import { createWish } from '../state/wish.ts'
import { call, type Model, type Schemas } from '../wire/api.ts'

type Wish = Schemas['CreateModel']
type Pricing = 'token_cost' | 'prices'

/** A new model, or changes to one. Its secret is written and never read. */
export function ModelForm({
  model,
  onClose,
  onSaved,
}: {
  model: Model | null
  onClose: () => void
  onSaved: (uid: string) => void
}) {
  const pricing = useSignal<Pricing>(model?.input_price != null ? 'prices' : 'token_cost')
  const example = useSignal(model ? priceOf(model) : '')
  const sent = useRef(createWish())
  const { form, onSubmit, isBusy, fields, problem } = useForm(async (entered) => {
    const wish = wishOf(entered, pricing.value, model)
    if (model) {
      await call('put', '/api/model/update', { body: { uid: model.uid, ...wish } })
      onSaved(model.uid)
      return
    }
    const { modelUid } = await call('post', '/api/model/create', {
      body: wish,
      idempotencyKey: sent.current.keyOf(JSON.stringify(wish)),
    })
    onSaved(modelUid)
  })
  const think = () => {
    if (form.current) example.value = exampleOf(new FormData(form.current), pricing.value)
  }
  useEffect(think, [pricing.value])
  const text = (value: number | string | null | undefined) => (value == null ? '' : String(value))

  return (
    <Dialog title={model ? `Edit ${model.name}` : 'Add a model'} onClose={onClose} size="wide">
      <form ref={form} onSubmit={onSubmit} onInput={think} class="stack" noValidate>
        <div class="pair">
          <Field
            label="Name"
            name="name"
            autofocus
            maxLength={128}
            hint="What people and programs call it."
            defaultValue={model?.name ?? ''}
            error={fields.value.name}
          />
          <Field
            label="Description"
            name="description"
            hint="A line for those who choose."
            defaultValue={model?.description ?? ''}
            error={fields.value.description}
          />
        </div>
        <Field
          label="Address of the upstream"
          name="api_link"
          type="url"
          placeholder="https://api.example.com/v1"
          hint="An OpenAI-compatible base URL, or the whole …/chat/completions."
          defaultValue={model?.api_link ?? ''}
          error={fields.value.api_link}
        />
        <div class="pair">
          <Offered error={fields.value.type} defaultValue={model?.type ?? ''} />
          <Field
            label="Secret"
            name="auth_token"
            type="password"
            autocomplete="off"
            hint={
              model?.hasAuthToken
                ? 'One is kept. Leave empty to keep it.'
                : 'Sealed when saved; never shown again.'
            }
            error={fields.value.auth_token}
          />
        </div>
        <fieldset class="stack">
          <legend class="legend">Price</legend>
          <div class="segments">
            <Segment
              name="By tokens"
              isChosen={pricing.value === 'token_cost'}
              choose={() => {
                pricing.value = 'token_cost'
              }}
            />
            <Segment
              name="Read and written apart"
              isChosen={pricing.value === 'prices'}
              choose={() => {
                pricing.value = 'prices'
              }}
            />
          </div>
          {pricing.value === 'token_cost' ? (
            <Field
              label="One credit buys"
              name="token_cost"
              type="number"
              inputMode="decimal"
              step="any"
              unit="tokens"
              defaultValue={text(model?.token_cost ?? 1000)}
              error={fields.value.token_cost}
            />
          ) : (
            <div class="pair three">
              {priceFields.map(([name, label]) => (
                <Field
                  key={name}
                  label={label}
                  name={name}
                  type="number"
                  inputMode="decimal"
                  step="any"
                  unit="per million"
                  defaultValue={text(model?.[name])}
                  error={fields.value[name]}
                />
              ))}
            </div>
          )}
          <p class="example" aria-live="polite">
            {example.value}
          </p>
        </fieldset>
        <details class="aside">
          <summary>Limits</summary>
          <div class="pair">
            <Field
              label="Context"
              name="context_tokens"
              type="number"
              unit="tokens"
              placeholder="16384"
              defaultValue={text(model?.context_tokens)}
              error={fields.value.context_tokens}
            />
            <Field
              label="Longest answer"
              name="max_output_tokens"
              type="number"
              unit="tokens"
              placeholder="4096"
              defaultValue={text(model?.max_output_tokens)}
              error={fields.value.max_output_tokens}
            />
          </div>
        </details>
        <Problem text={problem.value} />
        <footer class="actions">
          <button type="button" class="button" onClick={onClose}>
            Cancel
          </button>
          <Submit isBusy={isBusy.value}>Save and test</Submit>
        </footer>
      </form>
    </Dialog>
  )
}

const priceFields = [
  ['input_price', 'Read'],
  ['output_price', 'Written'],
  ['cached_input_price', 'Read from cache'],
] as const

function Segment({ name, isChosen, choose }: { name: string; isChosen: boolean; choose: () => void }) {
  return (
    <label>
      <input type="radio" name="pricing" class="unseen" checked={isChosen} onChange={choose} /> {name}
    </label>
  )
}

/** The model's id at its upstream, with what the registered upstreams offer as suggestions. */
function Offered({ defaultValue, error }: { defaultValue: string; error: string | undefined }) {
  const types = useSignal<string[]>([])
  const id = useId()
  useEffect(() => {
    call('get', '/api/model/types/all').then(
      ({ data }) => {
        types.value = [...new Set(data.flatMap((upstream) => upstream.types))].toSorted()
      },
      () => {},
    )
  }, [])
  return (
    <>
      <Field
        label="Asked for as"
        name="type"
        list={id}
        hint="The id at the upstream. Empty: the name."
        defaultValue={defaultValue}
        error={error}
      />
      <datalist id={id}>
        {types.value.map((type) => (
          <option key={type} value={type} />
        ))}
      </datalist>
    </>
  )
}

/** What was left empty is taken away from a model that had it, and left out of a new one. */
function wishOf(entered: Entered, pricing: Pricing, model: Model | null): Wish {
  const number = (name: string): number | undefined => (entered[name] ? Number(entered[name]) : undefined)
  const none = model ? null : undefined
  const { name = '', description = '', api_link = '', type, auth_token } = entered
  const context = number('context_tokens')
  return {
    name,
    description,
    api_link,
    token_cost: number('token_cost') ?? model?.token_cost ?? 1000,
    ...(type ? { type } : {}),
    ...(auth_token ? { auth_token } : {}),
    ...(context ? { context_tokens: context } : {}),
    max_output_tokens: number('max_output_tokens') ?? none,
    input_price: pricing === 'prices' ? (number('input_price') ?? none) : none,
    output_price: pricing === 'prices' ? (number('output_price') ?? none) : none,
    cached_input_price: pricing === 'prices' ? (number('cached_input_price') ?? none) : none,
  }
}

function exampleOf(data: FormData, pricing: Pricing): string {
  const number = (name: string): number => Number(data.get(name) || Number.NaN)
  const prices =
    pricing === 'prices'
      ? { token_cost: 1, input_price: number('input_price'), output_price: number('output_price') }
      : { token_cost: number('token_cost'), input_price: null, output_price: null }
  const isSound = [prices.token_cost, prices.input_price ?? 1, prices.output_price ?? 1].every(
    (price) => price > 0,
  )
  return isSound ? priceOf(prices) : 'Enter a price to see what 1,000 tokens cost.'
}
