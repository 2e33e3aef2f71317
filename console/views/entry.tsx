import { useSignal } from '@preact/signals'
import { Field, Problem, Submit, useForm } from '../parts/form.tsx'
import { Mark } from '../parts/icon.tsx'
import { farewell, signIn, signUp } from '../state/session.ts'

/** Sign in or sign up: one calm page, and the place that was asked for opens behind it. */
export function Entry() {
  const isNew = useSignal(false)
  return (
    <main class="entry">
      <section class="entry-card">
        <div class="brand">
          <Mark /> bothub edge
        </div>
        <h1>{isNew.value ? 'Create your account' : 'Welcome back'}</h1>
        <p class="muted">
          {farewell.value ??
            'Talk to any model, watch the answer arrive, and pay exactly for what was written.'}
        </p>
        {isNew.value ? <SignUp key="up" /> : <SignIn key="in" />}
        <p class="entry-other">
          {isNew.value ? 'You have an account?' : 'New here?'}{' '}
          <button
            type="button"
            class="link"
            onClick={() => {
              isNew.value = !isNew.value
            }}
          >
            {isNew.value ? 'Sign in' : 'Create an account'}
          </button>
        </p>
      </section>
      <p class="entry-foot">
        For programs: <a href="/docs">the API</a>
      </p>
    </main>
  )
}

function SignIn() {
  const { form, onSubmit, isBusy, fields, problem } = useForm(
    ({ mail = '', password = '' }) => signIn(mail, password),
    { bad_credentials: 'The mail address or the password is wrong.' },
  )
  return (
    <form ref={form} onSubmit={onSubmit} class="stack" noValidate>
      <Field
        label="Mail"
        name="mail"
        type="email"
        autocomplete="username"
        required
        autofocus
        error={fields.value.mail}
      />
      <Field
        label="Password"
        name="password"
        type="password"
        autocomplete="current-password"
        required
        error={fields.value.password}
      />
      <Problem text={problem.value} />
      <Submit isBusy={isBusy.value}>Sign in</Submit>
    </form>
  )
}

function SignUp() {
  const { form, onSubmit, isBusy, fields, problem } = useForm(
    ({ firstName = '', lastName = '', mail = '', password = '', role }) =>
      signUp({ firstName, lastName, mail, password, role: role === 'ADMIN' ? role : 'USER' }),
    { mail_taken: 'There is an account with this mail address already. Sign in instead?' },
  )
  return (
    <form ref={form} onSubmit={onSubmit} class="stack" noValidate>
      <div class="pair">
        <Field
          label="First name"
          name="firstName"
          autocomplete="given-name"
          required
          autofocus
          error={fields.value.firstName}
        />
        <Field
          label="Last name"
          name="lastName"
          autocomplete="family-name"
          required
          error={fields.value.lastName}
        />
      </div>
      <Field
        label="Mail"
        name="mail"
        type="email"
        autocomplete="username"
        required
        error={fields.value.mail}
      />
      <Field
        label="Password"
        name="password"
        type="password"
        autocomplete="new-password"
        required
        hint="8 characters or more."
        error={fields.value.password}
      />
      <details class="aside">
        <summary>Setting up this service?</summary>
        <label class="check">
          <input type="checkbox" name="role" value="ADMIN" /> Make me its administrator
        </label>
        <p class="hint">
          Whether that is allowed is decided by the service: usually for the first account only.
        </p>
      </details>
      <Problem text={problem.value} />
      <Submit isBusy={isBusy.value}>Create account</Submit>
    </form>
  )
}
