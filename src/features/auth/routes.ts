import { createRoute } from '@hono/zod-openapi'
import { getCookie } from 'hono/cookie'
import { Failure } from '../../core/failure.ts'
import { type Ctx, defer } from '../../http/context.ts'
import { answer, BODY, body, refusals, SIGNED_IN } from '../../http/contract.ts'
import { clearSessionCookies, setSessionCookies } from '../../http/cookies.ts'
import { ACCESS_COOKIE, actorOf, guard, REFRESH_COOKIE, requireAllowedOrigin } from '../../http/guard.ts'
import { countAttempt, forgiveAccount } from '../../http/limit.ts'
import { createRouter } from '../../http/router.ts'
import { ask, standing } from '../../ports/postgres.ts'
import { recheck } from '../feeds/bus.ts'
import { Credentials, RefreshTokenIn, Registration, SignedIn, Ticket } from './schema.ts'
import { login, logout, over, refresh, register, SESSION_S } from './service.ts'
import { issueTicket, TICKET_S } from './tickets.ts'

const signUp = createRoute({
  operationId: 'register',
  tags: ['auth'],
  summary: 'Register',
  description:
    'Makes an account and signs in: tokens in the answer, and the same as cookies. With the bearer of somebody signed in (an administrator making another one) the answer is the same but no cookies are set, so that nobody is signed out of their own account.',
  method: 'post',
  path: '/register',
  ...guard.anyone,
  security: [{}, { bearer: [] }] as Record<string, string[]>[],
  request: { body: body(Registration) },
  responses: {
    201: answer('Registered.', SignedIn),
    ...refusals(
      ...BODY,
      'unauthenticated',
      'admin_registration_closed',
      'mail_taken',
      'phone_taken',
      'too_many_attempts',
    ),
  },
})

const signIn = createRoute({
  operationId: 'login',
  tags: ['auth'],
  summary: 'Sign in',
  description:
    'By mail or by phone, exactly one of them. A wrong password and an unknown account get the same answer. Attempts are limited per account and per address.',
  method: 'post',
  path: '/login',
  ...guard.anyone,
  request: { body: body(Credentials) },
  responses: {
    200: answer('Signed in.', SignedIn),
    ...refusals(...BODY, 'bad_credentials', 'account_blocked', 'too_many_attempts'),
  },
})

const rotate = createRoute({
  operationId: 'refresh',
  tags: ['auth'],
  summary: 'Get new tokens',
  description:
    'For the refresh token in the body or in the cookie. It is replaced; for 10 s a repeat gets the same successor, later it ends the whole session. A session lives 30 days from its last refresh.',
  method: 'post',
  path: '/refresh',
  ...guard.anyone,
  request: { body: { ...body(RefreshTokenIn), required: false } },
  responses: {
    200: answer('The next tokens.', SignedIn),
    ...refusals(...BODY, 'unauthenticated', 'origin_not_allowed'),
  },
})

const signOut = createRoute({
  operationId: 'logout',
  tags: ['auth'],
  summary: 'Sign out',
  description:
    'Ends the session of the bearer, of the refresh token in the body, or else of the cookies, and clears them. An expired token will do, and so will one whose session is over.',
  method: 'post',
  path: '/logout',
  ...guard.anyone,
  request: { body: { ...body(RefreshTokenIn), required: false } },
  responses: { 204: { description: 'Signed out.' }, ...refusals(...BODY, 'origin_not_allowed') },
})

const ticket = createRoute({
  operationId: 'createTicket',
  tags: ['auth'],
  summary: 'Get a ticket for feeds',
  description:
    'For `?ticket=` on a feed, where an `EventSource` of another origin can send neither header nor cookie. It must be used within 30 s; from then on it reopens feeds, and nothing else, until its session ends, at most 12 hours.',
  method: 'post',
  path: '/ticket',
  ...guard.person,
  responses: { 201: answer('The ticket.', Ticket), ...refusals(...SIGNED_IN) },
})

export const authRoutes = () =>
  createRouter()
    .openapi(signUp, async (c) => {
      // The bearer alone, not the cookie: a browser that registers somebody means to become them.
      const by = c.req.header('authorization') === undefined ? undefined : await actorOf(c)
      await countAttempt(c, { address: true })
      const signedIn = await register(c.var.services, c.req.valid('json'), by)
      if (!by) setSessionCookies(c, { ...signedIn, sessionS: SESSION_S })
      return c.json(signedIn, 201)
    })
    .openapi(signIn, async (c) => {
      const credentials = c.req.valid('json')
      const account = credentials.mail ?? credentials.phone ?? ''
      await countAttempt(c, { account, address: true })
      const signedIn = await login(c.var.services, credentials)
      defer(c, forgiveAccount(c, account))
      setSessionCookies(c, { ...signedIn, sessionS: SESSION_S })
      return c.json(signedIn, 200)
    })
    .openapi(rotate, async (c) => {
      const given = c.req.valid('json').refreshToken
      const token = given ?? getCookie(c, REFRESH_COOKIE)
      if (token === undefined) throw over()
      if (given === undefined) requireAllowedOrigin(c)
      const signedIn = await refresh(c.var.services, token).catch((error: unknown) => {
        // A browser would send a dead cookie for the rest of its life.
        if (given === undefined && error instanceof Failure && error.code === 'unauthenticated')
          clearSessionCookies(c)
        throw error
      })
      setSessionCookies(c, { ...signedIn, sessionS: SESSION_S })
      return c.json(signedIn, 200)
    })
    .openapi(signOut, async (c) => {
      const tokens = namedIn(c, c.req.valid('json').refreshToken)
      const signedOut = await Promise.all(tokens.map((token) => logout(c.var.services, token)))
      const userUids = new Set(signedOut.filter((userUid) => userUid !== undefined))
      for (const userUid of userUids) defer(c, recheck(c.var.services.redis, userUid))
      // Nothing named, nothing cleared: a foreign page's form comes without cookies and would sign people out.
      if (userUids.size > 0 || tokens.some((token) => token === getCookie(c, REFRESH_COOKIE)))
        clearSessionCookies(c)
      return c.body(null, 204)
    })

    .openapi(ticket, async (c) => {
      const { db, redis } = c.var.services
      await ask(standing(db, c.var.actor))
      return c.json({ ticket: await issueTicket(redis, c.var.actor), expiresIn: TICKET_S }, 201)
    })

/** The tokens by which a request names a session: those it carries on purpose, else its cookies. */
function namedIn(c: Ctx, given: string | undefined): string[] {
  const bearer = /^Bearer +(\S+) *$/i.exec(c.req.header('authorization') ?? '')?.[1]
  const named = [bearer, given].filter((token) => token !== undefined)
  if (named.length > 0) return named
  const cookies = [getCookie(c, REFRESH_COOKIE), getCookie(c, ACCESS_COOKIE)].filter(
    (token) => token !== undefined,
  )
  if (cookies.length > 0) requireAllowedOrigin(c)
  return cookies
}
