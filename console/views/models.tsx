import { useSignal } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import { Confirm } from '../parts/dialog.tsx'
import { Icon } from '../parts/icon.tsx'
import { Menu } from '../parts/menu.tsx'
import { complain, say } from '../parts/notices.tsx'
import { Badge, Empty, Page } from '../parts/page.tsx'
import { priceOf } from '../parts/price.ts'
import { count, timeOf } from '../parts/words.ts'
import { loadModels, models } from '../state/models.ts'
import { call, type Model, type Refusal, type Schemas } from '../wire/api.ts'
import { ModelForm } from './model-form.tsx'

type Tested = Schemas['TestResult'] | 'running'

/** For administrators: which models there are, where they live, what they cost and whether they answer. */
export function Models() {
  /** `null`: a new one. */
  const editing = useSignal<Model | null | undefined>(undefined)
  const deleting = useSignal<Model | undefined>(undefined)
  const tested = useSignal<Record<string, Tested>>({})
  useEffect(() => void loadModels().catch(complain), [])

  const test = async ({ uid }: Pick<Model, 'uid'>) => {
    tested.value = { ...tested.value, [uid]: 'running' }
    const result = await call('post', '/api/model/test/{modelUid}', { params: { modelUid: uid } }).catch(
      (refusal: Refusal) => ({ ok: false, latencyMs: 0, error: refusal.message }),
    )
    tested.value = { ...tested.value, [uid]: result }
  }
  const enable = async ({ uid, name }: Model, enabled: boolean) => {
    await call('put', '/api/model/update', { body: { uid, enabled } })
    await loadModels()
    say(enabled ? `${name} can be used now.` : `${name} is switched off.`)
  }
  const remove = async ({ uid, name }: Model) => {
    await call('delete', '/api/model/delete/{modelUid}', { params: { modelUid: uid } })
    await loadModels()
    say(`${name} is deleted.`)
  }
  const add = (
    <button
      type="button"
      class="button primary"
      onClick={() => {
        editing.value = null
      }}
    >
      <Icon name="plus" /> Add a model
    </button>
  )
  const all = models.value
  return (
    <Page
      title="Models"
      lead="Any OpenAI-compatible upstream can be one. People see those that are on."
      actions={add}
    >
      {all?.length === 0 && (
        <Empty icon="cube" title="No model yet">
          Give one a name, the address of its upstream and a price, and everybody can talk to it.
        </Empty>
      )}
      <ul class="cards">
        {all?.map((model) => (
          <ModelCard
            key={model.uid}
            model={model}
            tested={tested.value[model.uid]}
            onTest={() => void test(model)}
            onEnable={(enabled) => void enable(model, enabled).catch(complain)}
            onEdit={() => {
              editing.value = model
            }}
            onDelete={() => {
              deleting.value = model
            }}
          />
        ))}
      </ul>
      {editing.value !== undefined && (
        <ModelForm
          model={editing.value}
          onClose={() => {
            editing.value = undefined
          }}
          onSaved={(uid) => {
            editing.value = undefined
            void loadModels().catch(complain)
            void test({ uid })
          }}
        />
      )}
      {deleting.value && (
        <Confirm
          title={`Delete ${deleting.value.name}?`}
          action="Delete"
          onClose={() => {
            deleting.value = undefined
          }}
          onConfirm={() => void remove(deleting.value!).catch(complain)}
        >
          <p>
            Its name becomes free and its secret is forgotten. Chats keep what it said; running answers
            finish.
          </p>
        </Confirm>
      )}
    </Page>
  )
}

function ModelCard({
  model,
  tested,
  onTest,
  onEnable,
  onEdit,
  onDelete,
}: {
  model: Model
  tested: Tested | undefined
  onTest: () => void
  onEnable: (enabled: boolean) => void
  onEdit: () => void
  onDelete: () => void
}) {
  const { name, description, type, api_link, enabled, hasAuthToken, context_tokens, cooldownUntil } = model
  const isResting = cooldownUntil != null && new Date(cooldownUntil) > new Date()
  return (
    <li class={enabled ? 'card model' : 'card model off'}>
      <header>
        <h2>{name}</h2>
        <span class="badges">
          {!enabled && <Badge tone="plain">Off</Badge>}
          {isResting && <Badge tone="warn">Resting until {timeOf(cooldownUntil)}</Badge>}
        </span>
        <label class="switch">
          <input
            type="checkbox"
            role="switch"
            aria-label={`${name} can be used`}
            aria-checked={enabled}
            checked={enabled}
            onChange={(event) => onEnable(event.currentTarget.checked)}
          />
          <span aria-hidden="true" />
        </label>
        <Menu
          label={`What to do with ${name}`}
          items={[
            { name: 'Edit', icon: 'edit', act: onEdit },
            { name: 'Delete', icon: 'trash', isBad: true, act: onDelete },
          ]}
        />
      </header>
      {description && <p class="muted">{description}</p>}
      <p>{priceOf(model)}</p>
      <dl class="facts">
        <div>
          <dt>Upstream</dt>
          <dd class="mono">{api_link}</dd>
        </div>
        <div>
          <dt>Asked for as</dt>
          <dd class="mono">{type}</dd>
        </div>
        <div>
          <dt>Context</dt>
          <dd>{count(context_tokens)} tokens</dd>
        </div>
        <div>
          <dt>Secret</dt>
          <dd>{hasAuthToken ? 'kept, sealed' : 'none'}</dd>
        </div>
      </dl>
      <footer>
        <button type="button" class="button small" disabled={tested === 'running'} onClick={onTest}>
          Test
        </button>
        <span role="status">
          <TestWord tested={tested} />
        </span>
      </footer>
    </li>
  )
}

function TestWord({ tested }: { tested: Tested | undefined }) {
  if (!tested) return null
  if (tested === 'running')
    return (
      <span class="muted">
        <span class="spinner" aria-hidden="true" /> Asking it…
      </span>
    )
  if (tested.ok)
    return (
      <span class="said good">
        <Icon name="check" /> It answers, in {count(tested.latencyMs)} ms.
      </span>
    )
  return (
    <span class="said bad">
      <Icon name="alert" /> {tested.error ?? 'It does not answer.'}
    </span>
  )
}
