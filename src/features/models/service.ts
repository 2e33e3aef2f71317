import type { Actor } from '../../core/actor.ts'
import { Failure, type FieldError } from '../../core/failure.ts'
import { newId } from '../../core/id.ts'
import type { Services } from '../../http/context.ts'
import type { Once } from '../../http/idempotency.ts'
import { type PageRequest, page } from '../../http/page.ts'
import { batch, batchAs, lockAccount, violated } from '../../ports/postgres.ts'
import { type Prior, replayOf } from '../idempotency/once.ts'
import { checkLink } from './link.ts'
import { pricesOut } from './price.ts'
import {
  type Clashes,
  changeModel,
  hideModel,
  insertModel,
  lockModel,
  type ModelRow,
  type ModelValues,
  modelSeenBy,
  modelsSeenBy,
} from './queries.ts'
import { type CreateModel, DEFAULT_CONTEXT_TOKENS, type Model, type UpdateModel } from './schema.ts'
import { sealSecret } from './secrets.ts'

type House = Pick<Services, 'env' | 'db'>

/**
 * Registers a model. A repeat with the same key answers the first model.
 * @throws invalid_request, model_name_taken, idempotency_mismatch
 */
export async function create(
  { env, db }: House,
  actor: Actor,
  input: CreateModel,
  once: Once | undefined,
): Promise<{ modelUid: string }> {
  requireLink(env, input.api_link)
  const uid = newId()
  const values: ModelValues = {
    name: input.name,
    description: input.description,
    type: input.type ?? input.name,
    apiLink: input.api_link,
    authTokenSealed: input.auth_token ? await sealSecret(env.MODEL_SECRET_KEYS, uid, input.auth_token) : null,
    tokenCostMicros: input.token_cost,
    inputPrice: input.input_price ?? null,
    outputPrice: input.output_price ?? null,
    cachedInputPrice: input.cached_input_price ?? null,
    contextTokens: input.context_tokens ?? DEFAULT_CONTEXT_TOKENS,
    maxOutputTokens: input.max_output_tokens ?? null,
    limitParam: input.limit_param ?? 'max_tokens',
    enabled: input.enabled ?? true,
  }
  requireNoClash(clashesOf(values))
  try {
    const [, made] = await batch(db, [
      lockAccount(db, actor.userUid),
      insertModel(db, actor.userUid, once, uid, values),
    ])
    const replay = replayOf(made.rows[0]?.prior as Prior | null | undefined, once)
    return replay ? (replay.body as { modelUid: string }) : { modelUid: uid }
  } catch (error) {
    throw named(error)
  }
}

/** The models that the actor may see, newest first; administrators see disabled ones and more of each. */
export async function all({ db }: House, actor: Actor, request: PageRequest) {
  const [rows] = await batchAs(db, actor, [modelsSeenBy(db, actor.userUid, request)])
  const { data, nextCursor } = page(rows, request.limit, ({ at, uid }) => ({ at, uid }))
  return { data: data.map(present), nextCursor }
}

/** @throws model_not_found */
export async function one({ db }: House, actor: Actor, uid: string): Promise<Model> {
  const [rows] = await batchAs(db, actor, [modelSeenBy(db, actor.userUid, uid)])
  if (!rows[0]) throw new Failure('model_not_found')
  return present(rows[0])
}

/**
 * Changes what is named and leaves the rest; the rules between fields hold for the row as it then is.
 * @throws invalid_request, model_not_found, model_name_taken
 */
export async function update({ env, db }: House, actor: Actor, input: UpdateModel): Promise<Model> {
  const { uid } = input
  if (input.api_link !== undefined) requireLink(env, input.api_link)
  const patch: Partial<ModelValues> = {
    name: input.name,
    description: input.description,
    type: input.type,
    apiLink: input.api_link,
    authTokenSealed: input.auth_token
      ? await sealSecret(env.MODEL_SECRET_KEYS, uid, input.auth_token)
      : input.auth_token,
    tokenCostMicros: input.token_cost,
    inputPrice: input.input_price,
    outputPrice: input.output_price,
    cachedInputPrice: input.cached_input_price,
    contextTokens: input.context_tokens,
    maxOutputTokens: input.max_output_tokens,
    limitParam: input.limit_param,
    enabled: input.enabled,
  }
  try {
    const [, changed, rows] = await batch(db, [
      lockModel(db, uid),
      changeModel(db, uid, patch),
      modelSeenBy(db, actor.userUid, uid),
    ])
    const clashes = changed.rows[0] as unknown as Clashes | undefined
    if (!clashes || !rows[0]) throw new Failure('model_not_found')
    requireNoClash(clashes)
    return present(rows[0])
  } catch (error) {
    throw named(error)
  }
}

/** @throws model_not_found */
export async function remove({ db }: House, actor: Actor, uid: string): Promise<{ modelUid: string }> {
  const [hidden] = await batchAs(db, actor, [hideModel(db, uid)], { administrator: true })
  if (!hidden.rows[0]) throw new Failure('model_not_found')
  return { modelUid: uid }
}

const present = (row: ModelRow): Model => ({
  uid: row.uid,
  name: row.name,
  description: row.description,
  type: row.type,
  ...pricesOut(row),
  context_tokens: row.contextTokens,
  max_output_tokens: row.maxOutputTokens,
  enabled: row.enabled,
  createdAt: row.createdAt.toISOString(),
  ...(row.administrator && {
    api_link: row.apiLink,
    hasAuthToken: row.hasAuthToken,
    limit_param: row.limitParam,
    cooldownUntil: row.cooldownUntil?.toISOString() ?? null,
    updatedAt: row.updatedAt.toISOString(),
  }),
})

const refuse = (errors: FieldError[]): never => {
  throw new Failure('invalid_request', { detail: 'The body does not fit its schema.', errors })
}

function requireLink(env: House['env'], link: string): void {
  const check = checkLink(link, { privateAllowed: env.PRIVATE_UPSTREAMS })
  if (!check.ok) refuse([{ path: 'api_link', message: check.reason }])
}

/** The same rules that `changeModel` asks of a merged row. */
const clashesOf = (values: ModelValues): Clashes => ({
  prices_apart: (values.inputPrice === null) !== (values.outputPrice === null),
  cached_alone: values.cachedInputPrice !== null && values.inputPrice === null,
  output_too_long: values.maxOutputTokens !== null && values.maxOutputTokens >= values.contextTokens,
  secret_carried: false,
})

const clashErrors: Record<keyof Clashes, FieldError> = {
  secret_carried: {
    path: 'auth_token',
    message: 'must be given again, or null, when api_link moves to another host',
  },
  prices_apart: {
    path: 'output_price',
    message: 'input_price and output_price are given together or not at all',
  },
  cached_alone: { path: 'cached_input_price', message: 'needs input_price and output_price' },
  output_too_long: {
    path: 'max_output_tokens',
    message: `must be less than context_tokens (${DEFAULT_CONTEXT_TOKENS} if not given)`,
  },
}

function requireNoClash(clashes: Clashes): void {
  const broken = (Object.keys(clashErrors) as (keyof Clashes)[]).filter((rule) => clashes[rule])
  if (broken.length > 0) refuse(broken.map((rule) => clashErrors[rule]))
}

const named = (error: unknown): unknown =>
  violated(error) === 'models_name_key' ? new Failure('model_name_taken') : error
