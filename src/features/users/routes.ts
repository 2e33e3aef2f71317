import { createRoute, z } from '@hono/zod-openapi'
import { type Ctx, defer } from '../../http/context.ts'
import { ADMINISTRATOR, answer, BODY, body, Id, refusals, SIGNED_IN } from '../../http/contract.ts'
import { clearSessionCookies } from '../../http/cookies.ts'
import { guard } from '../../http/guard.ts'
import { countAttempt, forgiveAccount } from '../../http/limit.ts'
import { createRouter } from '../../http/router.ts'
import { askToStop, forget, recheck } from '../feeds/bus.ts'
import { PasswordChange, Profile, ProfileChange, User, UserChange, UserPage, UserQuery } from './schema.ts'
import { change, changePassword, close, list, manage, read } from './service.ts'

const profile = createRoute({
  operationId: 'readProfile',
  tags: ['users'],
  summary: 'Your profile',
  description: 'Your name, how you are reached, your role, and your balance.',
  method: 'get',
  path: '/profile',
  ...guard.person,
  responses: { 200: answer('You.', Profile), ...refusals(...SIGNED_IN) },
})

const changeOwn = createRoute({
  operationId: 'changeProfile',
  tags: ['users'],
  summary: 'Change your profile',
  description: 'Changes the fields that are given, at least one. `phone: null` removes the number.',
  method: 'patch',
  path: '/profile',
  ...guard.person,
  request: { body: body(ProfileChange) },
  responses: {
    200: answer('You, as changed.', Profile),
    ...refusals(...SIGNED_IN, ...BODY, 'mail_taken', 'phone_taken'),
  },
})

const password = createRoute({
  operationId: 'changePassword',
  tags: ['users'],
  summary: 'Change your password',
  description:
    'Ends every other session of yours at once and keeps this one. Guessing the current password is limited, as signing in is.',
  method: 'post',
  path: '/password',
  ...guard.person,
  request: { body: body(PasswordChange) },
  responses: {
    204: { description: 'Changed.' },
    ...refusals(...SIGNED_IN, ...BODY, 'bad_credentials', 'too_many_attempts'),
  },
})

const closeOwn = createRoute({
  operationId: 'closeAccount',
  tags: ['users'],
  summary: 'Close your account',
  description:
    'For good: your name, mail, phone and password are removed, sessions and keys end, chats and their texts go, running answers are asked to stop. The ledger stays, without your name. The last administrator cannot go.',
  method: 'delete',
  path: '/profile',
  ...guard.person,
  responses: { 204: { description: 'Closed.' }, ...refusals(...SIGNED_IN, 'last_administrator') },
})

const all = createRoute({
  operationId: 'listUsers',
  tags: ['users'],
  summary: 'Everybody',
  description: 'For administrators: every account, newest first, closed ones without their names.',
  method: 'get',
  path: '/all',
  ...guard.administrator,
  request: { query: UserQuery },
  responses: { 200: answer('A page of users.', UserPage), ...refusals(...ADMINISTRATOR, 'invalid_request') },
})

const manageOne = createRoute({
  operationId: 'manageUser',
  tags: ['users'],
  summary: 'Change a role, block or unblock',
  description:
    'For administrators. Blocking ends the sessions, asks running answers to stop, and refuses every request from then on; after unblocking the person signs in anew. The last active administrator stays one.',
  method: 'patch',
  path: '/{userUid}',
  ...guard.administrator,
  request: { params: z.object({ userUid: Id }), body: body(UserChange) },
  responses: {
    200: answer('The user, as changed.', User),
    ...refusals(...ADMINISTRATOR, ...BODY, 'user_not_found', 'last_administrator'),
  },
})

export const userRoutes = () =>
  createRouter()
    .openapi(profile, async (c) => c.json(await read(c.var.services.db, c.var.actor), 200))
    .openapi(changeOwn, async (c) =>
      c.json(await change(c.var.services.db, c.var.actor, c.req.valid('json')), 200),
    )
    .openapi(password, async (c) => {
      const { db, passwords } = c.var.services
      const { actor } = c.var
      await countAttempt(c, { account: actor.userUid })
      await changePassword(db, passwords, actor, c.req.valid('json'))
      defer(c, forgiveAccount(c, actor.userUid))
      defer(c, recheck(c.var.services.redis, actor.userUid))
      return c.body(null, 204)
    })
    .openapi(closeOwn, async (c) => {
      const stopping = await close(c.var.services.db, c.var.actor)
      tellGone(c, c.var.actor.userUid, stopping)
      clearSessionCookies(c)
      return c.body(null, 204)
    })
    .openapi(all, async (c) => c.json(await list(c.var.services.db, c.var.actor, c.req.valid('query')), 200))
    .openapi(manageOne, async (c) => {
      const { userUid } = c.req.valid('param')
      const { user, stopping } = await manage(c.var.services.db, c.var.actor, userUid, c.req.valid('json'))
      tellGone(c, userUid, stopping)
      return c.json(user, 200)
    })

/** Feeds and running answers of somebody who may no longer have any hear of it at once. */
function tellGone(c: Ctx, userUid: string, stopping: string[]): void {
  const { redis } = c.var.services
  defer(
    c,
    recheck(redis, userUid).finally(() => forget(redis, userUid)),
  )
  for (const messageUid of stopping) defer(c, askToStop(redis, messageUid))
}
