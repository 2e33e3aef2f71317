import { getCookie, setCookie } from 'hono/cookie'
import { createMiddleware } from 'hono/factory'
import type { Actor } from '../core/actor.ts'
import { Failure } from '../core/failure.ts'
import { ask, standing } from '../ports/postgres.ts'
import { type App, type Ctx, isLocal } from './context.ts'

export const ACCESS_COOKIE = 'access_token'
export const REFRESH_COOKIE = 'refresh_token'
const SAFE = new Set(['GET', 'HEAD', 'OPTIONS'])

/** Who calls, by bearer or cookie; undefined when nobody says so. A bad bearer is refused, not ignored. */
export async function actorOf(c: Ctx): Promise<Actor | undefined> {
  const { identity } = c.var.services
  const header = c.req.header('authorization')
  if (header !== undefined) {
    const token = /^Bearer +(\S+) *$/i.exec(header)?.[1]
    const actor = token === undefined ? undefined : await identity.verify(token)
    if (!actor) throw new Failure('unauthenticated', 'The bearer token is not valid or has expired.')
    return actor
  }
  const access = getCookie(c, ACCESS_COOKIE)
  const refresh = getCookie(c, REFRESH_COOKIE)
  if (access === undefined && refresh === undefined) return undefined
  requireAllowedOrigin(c)
  const actor = access === undefined ? undefined : await identity.verify(access)
  if (actor || refresh === undefined) return actor
  const renewed = await identity.renew(refresh)
  if (!renewed) return undefined
  setAccessCookie(c, renewed.accessToken)
  return renewed.actor
}

/** Cookies travel by themselves, so with them an unsafe method must come from a page that we trust. */
export function requireAllowedOrigin(c: Ctx): void {
  if (SAFE.has(c.req.method)) return
  const origin = c.req.header('origin')
  if (origin === new URL(c.req.url).origin) return
  if (origin !== undefined && c.var.services.env.CORS_ORIGINS.includes(origin)) return
  throw new Failure(
    'origin_not_allowed',
    'With cookies, this needs the Origin of a page that the service trusts.',
  )
}

export function setAccessCookie(c: Ctx, token: string): void {
  setCookie(c, ACCESS_COOKIE, token, cookieOptions(c, '/'))
}

/** No Max-Age on purpose for the access token: its own expiry rules, the refresh token brings the next. */
export const cookieOptions = (c: Ctx, path: string) =>
  ({ httpOnly: true, sameSite: 'Lax', secure: !isLocal(c.req.url), path }) as const

const requirePerson = createMiddleware<App>(async (c, next) => {
  const actor = await actorOf(c)
  if (!actor) throw new Failure('unauthenticated')
  c.set('actor', actor)
  await next()
})

/** As a person, or by the ticket in the address: an `EventSource` of another origin can send nothing else. */
const requireReader = createMiddleware<App>(async (c, next) => {
  const word = c.req.query('ticket')
  const actor = word === undefined ? await actorOf(c) : await c.var.services.identity.redeem(word)
  if (!actor) throw new Failure('unauthenticated')
  c.set('actor', actor)
  await next()
})

/** Asks the database: a role that was taken or given counts at once. */
const requireAdministrator = createMiddleware<App>(async (c, next) => {
  const actor = await actorOf(c)
  if (!actor) throw new Failure('unauthenticated')
  await assertAdministrator(c, actor)
  c.set('actor', { ...actor, role: 'ADMIN' })
  await next()
})

export async function assertAdministrator(c: Ctx, actor: Actor): Promise<void> {
  const { db } = c.var.services
  await ask(standing(db, actor, { administrator: true }))
}

const credentials: Record<string, string[]>[] = [{ bearer: [] }, { cookie: [] }]

/** Every route spreads exactly one of these into its contract. */
export const guard = {
  anyone: { 'x-guard': 'anyone', security: [] as Record<string, string[]>[] },
  person: { 'x-guard': 'person', security: credentials, middleware: [requirePerson] },
  feed: {
    'x-guard': 'feed',
    security: [...credentials, { ticket: [] }],
    middleware: [requireReader],
  },
  administrator: {
    'x-guard': 'administrator',
    security: credentials,
    middleware: [requireAdministrator],
  },
}
