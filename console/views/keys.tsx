import { useSignal } from '@preact/signals'
import { Confirm } from '../parts/dialog.tsx'
import { Icon } from '../parts/icon.tsx'
import { Menu } from '../parts/menu.tsx'
import { complain, say } from '../parts/notices.tsx'
import { Badge, Empty, Listing, Page } from '../parts/page.tsx'
import { usePaged } from '../parts/paged.ts'
import { dateOf, exactly, momentOf } from '../parts/words.ts'
import { nameOf } from '../state/models.ts'
import { call, type Schemas } from '../wire/api.ts'
import { KeyForm, KeySecret } from './key-form.tsx'

type Key = Schemas['Key']

/** Keys for programs, at the OpenAI-compatible door. */
export function Keys() {
  /** `null`: a new one. */
  const editing = useSignal<Key | null | undefined>(undefined)
  const revoking = useSignal<Key | undefined>(undefined)
  const secret = useSignal<string | undefined>(undefined)
  const turn = useSignal(0)
  const paged = usePaged<Key>(String(turn.value), (cursor) =>
    call('get', '/api/key/all', { query: { ...(cursor ? { cursor } : {}), limit: 50 } }),
  )
  const revoke = async ({ uid, name }: Key) => {
    await call('delete', '/api/key/delete/{keyUid}', { params: { keyUid: uid } })
    turn.value++
    say(`“${name}” opens nothing any more.`)
  }
  return (
    <Page
      title="API keys"
      lead={
        <>
          For programs: the same models through an OpenAI-compatible door, at{' '}
          <code>{location.origin}/v1</code>.
        </>
      }
      actions={
        <button
          type="button"
          class="button primary"
          onClick={() => {
            editing.value = null
          }}
        >
          <Icon name="plus" /> New key
        </button>
      }
    >
      {secret.value && (
        <KeySecret
          secret={secret.value}
          onDone={() => {
            secret.value = undefined
          }}
        />
      )}
      <Listing
        paged={paged}
        label="Your keys, newest first"
        head={
          <>
            <th scope="col">Key</th>
            <th scope="col">Standing</th>
            <th scope="col">Spent</th>
            <th scope="col" class="wide-only">
              Last used
            </th>
            <th scope="col">
              <span class="unseen">Actions</span>
            </th>
          </>
        }
        row={(key) => (
          <tr key={key.uid}>
            <td>
              <span class="two-lines">
                <span>{key.name}</span>
                <span class="muted mono">…{key.hint}</span>
              </span>
            </td>
            <td>
              <Standing apiKey={key} />
            </td>
            <td>
              <Spent apiKey={key} />
            </td>
            <td class="wide-only muted">{key.lastUsedAt ? momentOf(key.lastUsedAt) : 'never'}</td>
            <td class="actions-cell">
              {key.status !== 'REVOKED' && (
                <Menu
                  label={`What to do with “${key.name}”`}
                  items={[
                    {
                      name: 'Edit',
                      icon: 'edit',
                      act: () => {
                        editing.value = key
                      },
                    },
                    {
                      name: 'Revoke',
                      icon: 'trash',
                      isBad: true,
                      act: () => {
                        revoking.value = key
                      },
                    },
                  ]}
                />
              )}
            </td>
          </tr>
        )}
        empty={
          <Empty icon="key" title="No keys yet">
            A key lets a program spend your credits, with a budget if you set one.
          </Empty>
        }
      />
      {editing.value !== undefined && (
        <KeyForm
          apiKey={editing.value}
          onClose={() => {
            editing.value = undefined
          }}
          onSaved={(made) => {
            editing.value = undefined
            secret.value = made
            turn.value++
          }}
        />
      )}
      {revoking.value && (
        <Confirm
          title={`Revoke “${revoking.value.name}”?`}
          action="Revoke"
          onClose={() => {
            revoking.value = undefined
          }}
          onConfirm={() => void revoke(revoking.value!).catch(complain)}
        >
          <p>
            It is refused from now on, for good. What it has asked already goes on to its end and is charged.
          </p>
        </Confirm>
      )}
    </Page>
  )
}

function Standing({ apiKey: { status, expiresAt, models } }: { apiKey: Key }) {
  return (
    <span class="two-lines">
      <span>
        {status === 'ACTIVE' && <Badge tone="good">Active</Badge>}
        {status === 'EXPIRED' && <Badge tone="warn">Expired</Badge>}
        {status === 'REVOKED' && <Badge tone="plain">Revoked</Badge>}
      </span>
      <span class="muted">
        {expiresAt && status === 'ACTIVE' && `until ${dateOf(lastDayOf(expiresAt))} `}
        {models && `for ${models.map(nameOf).join(', ')}`}
      </span>
    </span>
  )
}

/** An expiry at midnight is the end of the day before. */
const lastDayOf = (iso: string): string => new Date(new Date(iso).getTime() - 1).toISOString()

function Spent({ apiKey: { spent, held, budget } }: { apiKey: Key }) {
  const words =
    budget === null ? `${exactly(spent)} credits` : `${exactly(spent)} of ${exactly(budget)} credits`
  return (
    <span class="spent">
      <span title={held > 0 ? `${exactly(held)} on hold` : undefined}>{words}</span>
      {budget !== null && (
        <meter min={0} max={budget} value={Math.min(budget, spent + held)} aria-label={words} />
      )}
    </span>
  )
}
