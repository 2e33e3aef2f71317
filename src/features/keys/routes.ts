import { createRoute } from '@hono/zod-openapi'
import {
  answer,
  BODY,
  body,
  IDEMPOTENT,
  IdempotencyHeader,
  refusals,
  SIGNED_IN,
} from '../../http/contract.ts'
import { guard } from '../../http/guard.ts'
import { onceOf } from '../../http/idempotency.ts'
import { PageQuery } from '../../http/page.ts'
import { createRouter } from '../../http/router.ts'
import { ChangeKey, CreateKey, Key, KeyCreated, KeyPage, KeyRef, KeyUid } from './schema.ts'
import { change, create, list, revoke } from './service.ts'

const tags = ['keys']

const createKey = createRoute({
  operationId: 'createKey',
  tags,
  summary: 'Make an API key',
  description: [
    'For programs, at the OpenAI-compatible door `/v1` and nowhere else: an access token does not work there, and a key',
    'not here. It spends your credits; `budget` bounds how many, `models` on what, `expiresAt` until when. The secret is',
    'in this answer only. Up to 100 keys that are not revoked.',
  ].join('\n'),
  method: 'post',
  path: '/create',
  ...guard.person,
  request: { headers: IdempotencyHeader, body: body(CreateKey) },
  responses: {
    201: answer('The key.', KeyCreated),
    ...refusals(...SIGNED_IN, ...BODY, ...IDEMPOTENT, 'model_not_found', 'too_many_keys'),
  },
})

const listKeys = createRoute({
  operationId: 'listKeys',
  tags,
  summary: 'Your API keys',
  description: 'Newest first, revoked ones too. Never their secrets.',
  method: 'get',
  path: '/all',
  ...guard.person,
  request: { query: PageQuery },
  responses: { 200: answer('A page of keys.', KeyPage), ...refusals(...SIGNED_IN, 'invalid_request') },
})

const changeKey = createRoute({
  operationId: 'changeKey',
  tags,
  summary: 'Change an API key',
  description:
    'Changes the fields that are given, at least one; `null` takes a limit away. A budget may be less than what is spent and held: then nothing new starts, and what runs goes on. A revoked key cannot be changed: 404.',
  method: 'patch',
  path: '/{keyUid}',
  ...guard.person,
  request: { params: KeyUid, body: body(ChangeKey) },
  responses: {
    200: answer('The key as it is now.', Key),
    ...refusals(...SIGNED_IN, ...BODY, 'key_not_found', 'model_not_found'),
  },
})

const revokeKey = createRoute({
  operationId: 'revokeKey',
  tags,
  summary: 'Revoke an API key',
  description:
    'For good, and at once for whatever it asks from now on; what it asked before goes on to its end and is charged. The list keeps it. A second time: 404.',
  method: 'delete',
  path: '/delete/{keyUid}',
  ...guard.person,
  request: { params: KeyUid },
  responses: {
    200: answer('Revoked.', KeyRef),
    ...refusals(...SIGNED_IN, 'invalid_request', 'key_not_found'),
  },
})

export const keyRoutes = () =>
  createRouter()
    .openapi(createKey, async (c) => {
      const once = await onceOf(c)
      return c.json(await create(c.var.services.db, c.var.actor, c.req.valid('json'), once), 201)
    })
    .openapi(listKeys, async (c) =>
      c.json(await list(c.var.services.db, c.var.actor, c.req.valid('query')), 200),
    )
    .openapi(changeKey, async (c) => {
      const { keyUid } = c.req.valid('param')
      return c.json(await change(c.var.services.db, c.var.actor, keyUid, c.req.valid('json')), 200)
    })
    .openapi(revokeKey, async (c) =>
      c.json(await revoke(c.var.services.db, c.var.actor, c.req.valid('param').keyUid), 200),
    )
