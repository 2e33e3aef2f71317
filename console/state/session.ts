import { computed, signal } from '@preact/signals'
import { call, type Profile, type Schemas, whenSignedOut } from '../wire/api.ts'
import { forgetDrafts } from './drafts.ts'
import { money } from './money.ts'

// Who is signed in. The session itself lives in HttpOnly cookies that no script can read.

/** undefined: not known yet. null: nobody. */
export const profile = signal<Profile | null | undefined>(undefined)
export const isAdministrator = computed(() => profile.value?.role === 'ADMIN')
/** Said above the form when a session came to its end. */
export const farewell = signal<string | undefined>(undefined)

const REFRESHED = 'refreshed'
const DAY_MS = 24 * 3600_000
/** Tabs of one browser share its cookies: they must show the same person. */
const tabs = new BroadcastChannel('session')
tabs.onmessage = ({ data }: MessageEvent<string | null>) => {
  if (data !== (profile.value?.uid ?? null)) location.reload()
}

whenSignedOut(() => {
  if (profile.value) farewell.value = 'Your session has ended. Sign in to go on where you were.'
  leave()
})

/** Finds out who is signed in. @throws Refusal when the service cannot be reached */
export async function open(): Promise<void> {
  const found = await call('get', '/api/user/profile').catch((refusal) => {
    if (refusal.status === 401 || refusal.status === 403) return null
    throw refusal
  })
  if (!found) {
    profile.value = null
    return
  }
  enter(found)
  void prolong()
}

export async function signIn(mail: string, password: string): Promise<void> {
  const { user } = await call('post', '/api/auth/login', { body: { mail, password } })
  arrive(user)
}

export async function signUp(registration: Schemas['Registration']): Promise<void> {
  const { user } = await call('post', '/api/auth/register', { body: registration })
  arrive(user)
}

export async function signOut(): Promise<void> {
  await call('post', '/api/auth/logout', { body: {} })
  farewell.value = undefined
  forgetDrafts()
  tabs.postMessage(null)
  leave()
}

/**
 * Whether the session is still good; signs out when it is not, and begins anew when it has become another person's
 * (the cookies are the browser's, and this page is not the only one that can change them).
 * @throws Refusal when the service cannot be reached
 */
export async function isStillGood(): Promise<boolean> {
  const found = await call('get', '/api/user/profile').catch((refusal) => {
    if (refusal.status !== 401 && refusal.status !== 403) throw refusal
    if (profile.value && refusal.code === 'account_blocked') farewell.value = refusal.message
    leave()
  })
  if (found && profile.value && found.uid !== profile.value.uid) location.reload()
  return profile.value != null
}

export function changeProfile(changed: Profile): void {
  profile.value = changed
}

function arrive(user: Profile): void {
  farewell.value = undefined
  localStorage.setItem(REFRESHED, String(Date.now()))
  tabs.postMessage(user.uid)
  enter(user)
}

function enter(user: Profile): void {
  money.value = { balance: user.balance, available: user.available, seq: -1 }
  profile.value = user
}

function leave(): void {
  profile.value = null
}

/** A session lives 30 days from its last refresh: one a day keeps it alive for whoever comes back. */
async function prolong(): Promise<void> {
  if (Date.now() - Number(localStorage.getItem(REFRESHED) ?? 0) < DAY_MS) return
  localStorage.setItem(REFRESHED, String(Date.now()))
  await call('post', '/api/auth/refresh', { body: {} }).catch(() => {})
}
