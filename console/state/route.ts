import { computed, signal } from '@preact/signals'

/** Where the person is: a view, and what of it. Every path stands in public/_redirects too, so that a reload finds it. */
export type Route =
  | { view: 'chat'; chatUid: string | undefined }
  | { view: 'statement' | 'usage' | 'keys' | 'account' }
  | { view: 'models' | 'users' | 'bookings' | 'audit'; isAdministration: true }
  | { view: 'nowhere' }

const path = signal(location.pathname)

export const route = computed<Route>(() => routeOf(path.value))

function routeOf(where: string): Route {
  const [, first = '', second = '', ...rest] = where.replace(/\/$/, '').split('/')
  if (rest.length > 0) return { view: 'nowhere' }
  if (first === '') return { view: 'chat', chatUid: undefined }
  if (first === 'chats' && second !== '') return { view: 'chat', chatUid: second.toLowerCase() }
  if (
    second === '' &&
    (first === 'statement' || first === 'usage' || first === 'keys' || first === 'account')
  )
    return { view: first }
  if (
    first === 'admin' &&
    (second === 'models' || second === 'users' || second === 'bookings' || second === 'audit')
  )
    return { view: second, isAdministration: true }
  return { view: 'nowhere' }
}

export const chatPath = (chatUid: string): string => `/chats/${chatUid}`

/** Told after every change of place: focus and title follow. */
const followers = new Set<() => void>()
export const whenMoved = (then: () => void) => {
  followers.add(then)
  return () => followers.delete(then)
}

export function go(to: string, { instead = false } = {}): void {
  if (to === location.pathname) return
  history[instead ? 'replaceState' : 'pushState'](null, '', to)
  arrive()
}

function arrive(): void {
  path.value = location.pathname
  for (const then of followers) then()
}

addEventListener('popstate', arrive)

// Links are plain links; what leads to a place of the console does not load it anew.
document.addEventListener('click', (event) => {
  if (
    event.defaultPrevented ||
    event.button !== 0 ||
    event.metaKey ||
    event.ctrlKey ||
    event.shiftKey ||
    event.altKey
  )
    return
  const link = (event.target as Element).closest?.('a')
  if (!link || link.target || link.origin !== location.origin || link.hasAttribute('download')) return
  if (routeOf(link.pathname).view === 'nowhere') return
  event.preventDefault()
  go(link.pathname)
})
