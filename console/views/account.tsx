import { useSignal } from '@preact/signals'
import { Confirm } from '../parts/dialog.tsx'
import { Field, Problem, Submit, useForm } from '../parts/form.tsx'
import { complain, say } from '../parts/notices.tsx'
import { Page } from '../parts/page.tsx'
import { dateOf } from '../parts/words.ts'
import { setTheme, type Theme, theme } from '../state/appearance.ts'
import { changeProfile, profile, signOut } from '../state/session.ts'
import { call } from '../wire/api.ts'

export function Account() {
  const person = profile.value
  if (!person) return null
  return (
    <Page title="Account" lead={`Yours since ${dateOf(person.createdAt)}.`}>
      <ProfileForm />
      <Appearance />
      <PasswordForm />
      <Closing />
    </Page>
  )
}

function ProfileForm() {
  const { form, onSubmit, isBusy, fields, problem } = useForm(
    async ({ firstName, lastName, mail, phone }) => {
      const body = { firstName, lastName, mail, phone: phone ?? null } as {
        firstName?: string
        phone?: string | null
      }
      changeProfile(await call('patch', '/api/user/profile', { body }))
      say('Your profile is saved.')
    },
  )
  const { firstName, lastName, mail, phone } = profile.value!
  return (
    <form ref={form} onSubmit={onSubmit} class="card stack" noValidate aria-labelledby="profile-title">
      <h2 id="profile-title">Profile</h2>
      <div class="pair">
        <Field
          label="First name"
          name="firstName"
          autocomplete="given-name"
          defaultValue={firstName}
          error={fields.value.firstName}
        />
        <Field
          label="Last name"
          name="lastName"
          autocomplete="family-name"
          defaultValue={lastName}
          error={fields.value.lastName}
        />
      </div>
      <div class="pair">
        <Field
          label="Mail"
          name="mail"
          type="email"
          autocomplete="email"
          defaultValue={mail ?? ''}
          error={fields.value.mail}
        />
        <Field
          label="Phone"
          name="phone"
          type="tel"
          autocomplete="tel"
          placeholder="+31 20 123 4567"
          defaultValue={phone ?? ''}
          error={fields.value.phone}
        />
      </div>
      <Problem text={problem.value} />
      <footer class="actions">
        <Submit isBusy={isBusy.value}>Save</Submit>
      </footer>
    </form>
  )
}

const themes: [Theme, string][] = [
  ['system', 'As the system'],
  ['light', 'Light'],
  ['dark', 'Dark'],
]

function Appearance() {
  return (
    <fieldset class="card row">
      <legend class="unseen">Appearance</legend>
      <h2>Appearance</h2>
      <div class="segments">
        {themes.map(([value, name]) => (
          <label key={value}>
            <input
              type="radio"
              name="theme"
              class="unseen"
              checked={theme.value === value}
              onChange={() => setTheme(value)}
            />
            {name}
          </label>
        ))}
      </div>
    </fieldset>
  )
}

function PasswordForm() {
  const { form, onSubmit, isBusy, fields, problem } = useForm(
    async ({ currentPassword = '', newPassword = '' }) => {
      await call('post', '/api/user/password', { body: { currentPassword, newPassword } })
      form.current?.reset()
      say('Your password is changed. Other devices are signed out.')
    },
    { bad_credentials: 'The current password is wrong.' },
  )
  return (
    <form ref={form} onSubmit={onSubmit} class="card stack" noValidate aria-labelledby="password-title">
      <h2 id="password-title">Password</h2>
      <div class="pair">
        <Field
          label="Current password"
          name="currentPassword"
          type="password"
          autocomplete="current-password"
          error={fields.value.currentPassword}
        />
        <Field
          label="New password"
          name="newPassword"
          type="password"
          autocomplete="new-password"
          hint="8 characters or more. Ends your sessions on other devices."
          error={fields.value.newPassword}
        />
      </div>
      <Problem text={problem.value} />
      <footer class="actions">
        <Submit isBusy={isBusy.value}>Change password</Submit>
      </footer>
    </form>
  )
}

function Closing() {
  const isAsking = useSignal(false)
  const close = async () => {
    await call('delete', '/api/user/profile')
    await signOut()
  }
  return (
    <section class="card row" aria-labelledby="closing-title">
      <div>
        <h2 id="closing-title">Close the account</h2>
        <p class="muted">Your name, mail, chats and keys go for good. The ledger stays, without your name.</p>
      </div>
      <button
        type="button"
        class="button"
        onClick={() => {
          isAsking.value = true
        }}
      >
        Close…
      </button>
      {isAsking.value && (
        <Confirm
          title="Close your account for good?"
          action="Close it"
          onClose={() => {
            isAsking.value = false
          }}
          onConfirm={() => void close().catch(complain)}
        >
          <p>This cannot be undone. Credits that are left are lost.</p>
        </Confirm>
      )}
    </section>
  )
}
