import { createRoute } from '@hono/zod-openapi'
import {
  ADMINISTRATOR,
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
import {
  CreateModel,
  Model,
  ModelPage,
  ModelRef,
  ModelUid,
  OfferedTypes,
  TestResult,
  UpdateModel,
} from './schema.ts'
import { all, create, one, remove, update } from './service.ts'
import { offered, test } from './upstreams.ts'

const tags = ['models']

const createModel = createRoute({
  operationId: 'createModel',
  tags,
  summary: 'Register a model',
  description:
    'Any OpenAI-compatible upstream. Tokens are paid for by `token_cost`, or, when `input_price` and `output_price` are given, by those. `auth_token` is encrypted and never shown again.',
  method: 'post',
  path: '/create',
  ...guard.administrator,
  request: { headers: IdempotencyHeader, body: body(CreateModel) },
  responses: {
    201: answer('Registered.', ModelRef),
    ...refusals(...ADMINISTRATOR, ...BODY, ...IDEMPOTENT, 'model_name_taken'),
  },
})

const listModels = createRoute({
  operationId: 'listModels',
  tags,
  summary: 'Models',
  description:
    'Newest first. People see those that are enabled; administrators see all of them, and more of each.',
  method: 'get',
  path: '/all',
  ...guard.person,
  request: { query: PageQuery },
  responses: { 200: answer('A page.', ModelPage), ...refusals(...SIGNED_IN, 'invalid_request') },
})

const getModel = createRoute({
  operationId: 'getModel',
  tags,
  summary: 'One model',
  description: 'A disabled model is there for administrators only.',
  method: 'get',
  path: '/one/{modelUid}',
  ...guard.person,
  request: { params: ModelUid },
  responses: {
    200: answer('The model.', Model),
    ...refusals(...SIGNED_IN, 'invalid_request', 'model_not_found'),
  },
})

const updateModel = createRoute({
  operationId: 'updateModel',
  tags,
  summary: 'Change a model',
  description:
    'Changes what is named and leaves the rest; `null` takes a price, a limit or the secret away. Running answers keep the prices that they began with.',
  method: 'put',
  path: '/update',
  ...guard.administrator,
  request: { body: body(UpdateModel) },
  responses: {
    200: answer('The model as it is now.', Model),
    ...refusals(...ADMINISTRATOR, ...BODY, 'model_not_found', 'model_name_taken'),
  },
})

const deleteModel = createRoute({
  operationId: 'deleteModel',
  tags,
  summary: 'Delete a model',
  description: 'Frees its name and forgets its secret. History keeps it, and running answers finish.',
  method: 'delete',
  path: '/delete/{modelUid}',
  ...guard.administrator,
  request: { params: ModelUid },
  responses: {
    200: answer('Deleted.', ModelRef),
    ...refusals(...ADMINISTRATOR, 'invalid_request', 'model_not_found'),
  },
})

const listTypes = createRoute({
  operationId: 'listOfferedTypes',
  tags,
  summary: 'What the upstreams offer',
  description:
    'Asks every registered upstream for its model ids, live and side by side; one that fails is named in `failed`. The answer is kept for up to a minute.',
  method: 'get',
  path: '/types/all',
  ...guard.administrator,
  responses: { 200: answer('By upstream.', OfferedTypes), ...refusals(...ADMINISTRATOR) },
})

const testModel = createRoute({
  operationId: 'testModel',
  tags,
  summary: 'Try a model',
  description:
    'One tiny completion, not billed. A failing upstream is an answer too: `ok: false` and the reason.',
  method: 'post',
  path: '/test/{modelUid}',
  ...guard.administrator,
  request: { params: ModelUid },
  responses: {
    200: answer('What came of it.', TestResult),
    ...refusals(...ADMINISTRATOR, 'invalid_request', 'model_not_found'),
  },
})

export const modelRoutes = () =>
  createRouter()
    .openapi(createModel, async (c) => {
      const once = await onceOf(c)
      return c.json(await create(c.var.services, c.var.actor, c.req.valid('json'), once), 201)
    })
    .openapi(listModels, async (c) =>
      c.json(await all(c.var.services, c.var.actor, c.req.valid('query')), 200),
    )
    .openapi(getModel, async (c) =>
      c.json(await one(c.var.services, c.var.actor, c.req.valid('param').modelUid), 200),
    )
    .openapi(updateModel, async (c) =>
      c.json(await update(c.var.services, c.var.actor, c.req.valid('json')), 200),
    )
    .openapi(deleteModel, async (c) =>
      c.json(await remove(c.var.services, c.var.actor, c.req.valid('param').modelUid), 200),
    )
    .openapi(listTypes, async (c) => c.json(await offered(c.var.services), 200))
    .openapi(testModel, async (c) => c.json(await test(c.var.services, c.req.valid('param').modelUid), 200))
