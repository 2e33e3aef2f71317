import { useSignal } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import { Confirm } from '../parts/dialog.tsx'
import { Icon } from '../parts/icon.tsx'
import { Menu, type MenuItem } from '../parts/menu.tsx'
import { complain, say } from '../parts/notices.tsx'
import { Badge, Empty, Listing, Page } from '../parts/page.tsx'
import { usePaged } from '../parts/paged.ts'
import { dateOf, exactly, inBooks } from '../parts/words.ts'
import { profile } from '../state/session.ts'
import { call, type User } from '../wire/api.ts'
import { Book } from './book.tsx'

const DEBOUNCE_MS = 200
type Change = { role?: User['role']; status?: 'ACTIVE' | 'BLOCKED' }

/** For administrators: everybody, and what can be done for and to them. */
export function Users() {
  const words = useSignal('')
  const search = useSignal('')
  const turn = useSignal(0)
  const booking = useSignal<User | undefined>(undefined)
  const blocking = useSignal<User | undefined>(undefined)
  useEffect(() => {
    const timer = setTimeout(() => {
      search.value = words.value.trim()
    }, DEBOUNCE_MS)
    return () => clearTimeout(timer)
  }, [words.value])
  const paged = usePaged<User>(`${search.value} ${turn.value}`, (cursor) =>
    call('get', '/api/user/all', {
      query: { search: search.value, ...(cursor ? { cursor } : {}), limit: 50 },
    }),
  )
  const change = async (user: User, body: Change, done: string) => {
    await call('patch', '/api/user/{userUid}', { params: { userUid: user.uid }, body })
    turn.value++
    say(done)
  }
  return (
    <Page title="People" lead="Everybody who has an account here.">
      <search class="filters">
        <div class="control">
          <Icon name="search" />
          <input
            type="search"
            aria-label="Search by name or mail"
            placeholder="Search by name or mail"
            value={words.value}
            onInput={(event) => {
              words.value = event.currentTarget.value
            }}
          />
        </div>
      </search>
      <Listing
        paged={paged}
        label="Accounts, newest first"
        head={
          <>
            <th scope="col">Person</th>
            <th scope="col" class="wide-only">
              Standing
            </th>
            <th scope="col" class="amount">
              Balance
            </th>
            <th scope="col" class="wide-only">
              Since
            </th>
            <th scope="col">
              <span class="unseen">Actions</span>
            </th>
          </>
        }
        row={(user) => (
          <tr key={user.uid}>
            <td>
              <Name user={user} />
            </td>
            <td class="wide-only">
              <Standing user={user} />
            </td>
            <td class="amount" title={`${exactly(user.available)} available`}>
              {inBooks(user.balance)}
            </td>
            <td class="wide-only muted">{dateOf(user.createdAt)}</td>
            <td class="actions-cell">
              {user.status !== 'DELETED' && (
                <Menu
                  label={`What to do with ${user.firstName} ${user.lastName}`}
                  items={actionsFor(user, {
                    book: () => {
                      booking.value = user
                    },
                    block: () => {
                      blocking.value = user
                    },
                    change: (body, done) => void change(user, body, done).catch(complain),
                  })}
                />
              )}
            </td>
          </tr>
        )}
        empty={
          <Empty icon="search" title="Nobody fits">
            Search for a part of the name or of the mail address.
          </Empty>
        }
      />
      {booking.value && (
        <Book
          user={booking.value}
          onClose={() => {
            booking.value = undefined
          }}
          onBooked={() => turn.value++}
        />
      )}
      {blocking.value && (
        <Confirm
          title={`Block ${blocking.value.firstName} ${blocking.value.lastName}?`}
          action="Block"
          onClose={() => {
            blocking.value = undefined
          }}
          onConfirm={() => {
            const user = blocking.value!
            void change(user, { status: 'BLOCKED' }, `${user.firstName} is blocked.`).catch(complain)
          }}
        >
          <p>
            They are signed out at once, running answers stop, and every request is refused until you unblock
            them.
          </p>
        </Confirm>
      )}
    </Page>
  )
}

function actionsFor(
  { role, status, uid, firstName }: User,
  {
    book,
    block,
    change,
  }: { book: () => void; block: () => void; change: (body: Change, done: string) => void },
): MenuItem[] {
  const isSelf = uid === profile.value?.uid
  const asAdministrator: MenuItem = {
    name: 'Make administrator',
    icon: 'key',
    act: () => change({ role: 'ADMIN' }, `${firstName} is an administrator now.`),
  }
  const asUser: MenuItem = {
    name: 'Take the role away',
    icon: 'person',
    act: () => change({ role: 'USER' }, `${firstName} is no administrator any more.`),
  }
  const unblock: MenuItem = {
    name: 'Unblock',
    icon: 'check',
    act: () => change({ status: 'ACTIVE' }, `${firstName} may sign in again.`),
  }
  return [
    { name: 'Book credits', icon: 'wallet', act: book },
    role === 'ADMIN' ? asUser : asAdministrator,
    ...(isSelf
      ? []
      : [
          status === 'BLOCKED'
            ? unblock
            : ({ name: 'Block', icon: 'close', isBad: true, act: block } as const),
        ]),
  ]
}

function Name({ user }: { user: User }) {
  const { firstName, lastName, mail, status } = user
  if (status === 'DELETED') return <span class="muted">A closed account</span>
  return (
    <span class="two-lines">
      <span>
        {firstName} {lastName}
      </span>
      <span class="muted">{mail}</span>
      <span class="narrow-only">
        <Standing user={user} />
      </span>
    </span>
  )
}

function Standing({ user: { role, status } }: { user: User }) {
  return (
    <span class="badges">
      {status === 'BLOCKED' && <Badge tone="bad">Blocked</Badge>}
      {status === 'DELETED' && <Badge tone="plain">Closed</Badge>}
      {role === 'ADMIN' && <Badge tone="warn">Administrator</Badge>}
      {status === 'ACTIVE' && role === 'USER' && <Badge tone="good">Active</Badge>}
    </span>
  )
}
