import { sha256 } from '../../core/bytes.ts'
import { Failure } from '../../core/failure.ts'
import type { Services } from '../../http/context.ts'
import { ask } from '../../ports/postgres.ts'
import * as keys from '../../ports/redis-keys.ts'
import { endpointsOf } from '../../ports/upstream/endpoints.ts'
import { listModels } from '../../ports/upstream/models.ts'
import { openUpstream } from '../../ports/upstream/openai.ts'
import type { UpstreamAnswer, UpstreamEnd, UpstreamFault } from '../../ports/upstream/port.ts'
import { checkLink } from './link.ts'
import { type CallableModel, callableModel, callableModels, rememberLearned, wakeModel } from './queries.ts'
import type { OfferedTypes, TestResult } from './schema.ts'
import { openSecret } from './secrets.ts'

type House = Pick<Services, 'env' | 'db' | 'redis'>

/** An upstream says its models within this time, or is named as failing. */
const LIST_MS = 5_000
/** As many connections as the platform opens at once; more would wait inside their time limit. */
const AT_ONCE = 6
/** Each upstream is one outgoing request of the few that one incoming request may make. */
const MOST_MODELS = 500
const MOST_UPSTREAMS = 40
const KEPT_S = 60
/** A failure is asked for again sooner: somebody may be repairing it. */
const KEPT_AFTER_FAILURE_S = 10

/** One place that is asked once: an address with a secret, and the models that are registered on it. */
interface Upstream {
  url: string
  secret: string | undefined
  api_link: string
  models: { modelUid: string; name: string }[]
}

type Failed = OfferedTypes['failed'][number]

/**
 * The model ids that the registered upstreams offer, asked live and side by side; one that fails is named beside
 * the rest. Kept for a minute under a fingerprint of the registered models, so every change of them asks anew.
 */
export async function offered({ env, db, redis }: House): Promise<OfferedTypes> {
  const rows = await ask(callableModels(db, MOST_MODELS))
  const key = keys.offeredTypes(
    await sha256(rows.map((row) => `${row.uid} ${row.updatedAt.getTime()}`).join('\n')),
  )
  const kept = await redis.get<string>(key).catch(() => null)
  if (kept !== null) return JSON.parse(kept) as OfferedTypes

  const { upstreams, failed } = await upstreamsOf(env, rows)
  const data: OfferedTypes['data'] = []
  await sideBySide(upstreams, async ({ url, secret, ...upstream }) => {
    const told = await listModels({
      url,
      ...(secret === undefined ? {} : { authToken: secret }),
      timeoutMs: LIST_MS,
      signal: new AbortController().signal,
    })
    if ('ids' in told) data.push({ ...upstream, types: told.ids })
    else failed.push({ ...upstream, error: faultText(told.fault) })
  })
  const answer = { data: data.sort(byLink), failed: failed.sort(byLink), askedAt: new Date().toISOString() }
  await redis
    .set(key, JSON.stringify(answer), { ex: failed.length > 0 ? KEPT_AFTER_FAILURE_S : KEPT_S })
    .catch(() => undefined)
  return answer
}

/** The distinct upstreams of these models, and beside them those that cannot be asked at all. */
async function upstreamsOf(env: House['env'], rows: CallableModel[]) {
  const found = new Map<string, Upstream | Failed>()
  for (const row of rows) {
    const way = await wayTo(env, row)
    const url = endpointsOf(row.apiLink).models
    // Two links to one place are one upstream; the secret stays in this map.
    const place = 'error' in way ? `${url} ${way.error}` : `${url} ${way.secret ?? ''}`
    const known = found.get(place)
    const model = { modelUid: row.uid, name: row.name }
    if (known) known.models.push(model)
    else
      found.set(place, {
        api_link: row.apiLink,
        models: [model],
        ...('error' in way ? way : { url, ...way }),
      })
  }
  const upstreams: Upstream[] = []
  const failed: Failed[] = []
  for (const one of found.values()) {
    if ('error' in one) failed.push(one)
    else if (upstreams.length < MOST_UPSTREAMS) upstreams.push(one)
    else
      failed.push({
        api_link: one.api_link,
        models: one.models,
        error: `not asked: at most ${MOST_UPSTREAMS} are`,
      })
  }
  return { upstreams, failed }
}

/** The secret to call a model with, once its link is still allowed; or why it cannot be called. */
async function wayTo(
  env: House['env'],
  row: CallableModel,
): Promise<{ secret: string | undefined } | { error: string }> {
  const link = checkLink(row.apiLink, { privateAllowed: env.PRIVATE_UPSTREAMS })
  if (!link.ok) return { error: `api_link ${link.reason}` }
  try {
    return { secret: await openSecret(env.MODEL_SECRET_KEYS, row) }
  } catch {
    return { error: 'the stored auth_token does not open with the keys of the configuration; give it again' }
  }
}

/** Runs `work` on every item, a few at a time. */
async function sideBySide<Item>(items: Item[], work: (item: Item) => Promise<void>): Promise<void> {
  const waiting = items.values()
  const hand = async () => {
    for (const item of waiting) await work(item)
  }
  await Promise.all(Array.from({ length: AT_ONCE }, hand))
}

const byLink = (a: { api_link: string }, b: { api_link: string }) => (a.api_link < b.api_link ? -1 : 1)

/** For administrators; the adapter has blotted out secrets and hosts. */
const faultText = ({ kind, status, message }: UpstreamFault): string =>
  `${kind}${status === undefined ? '' : ` ${status}`}: ${message}`

/** What a test may produce and how long it may take. */
const TEST_TOKENS = 16
const TEST_TIMES = { connectMs: 5_000, firstTokenMs: 20_000, silenceMs: 10_000, totalMs: 25_000 }

/**
 * One tiny completion, asked for as an answer would be, once; not billed. What the upstream teaches is remembered,
 * and a model that answers rests no longer.
 * @throws model_not_found
 */
export async function test({ env, db }: House, uid: string): Promise<TestResult> {
  const [row] = await ask(callableModel(db, uid))
  if (!row) throw new Failure('model_not_found')
  const way = await wayTo(env, row)
  if ('error' in way) return { ok: false, latencyMs: 0, error: way.error }
  const start = Date.now()
  const end = await finish(
    openUpstream({
      url: endpointsOf(row.apiLink).completions,
      ...(way.secret === undefined ? {} : { authToken: way.secret }),
      body: { model: row.type, messages: [{ role: 'user', content: 'ping' }] },
      stream: true,
      maxTokens: TEST_TOKENS,
      limitParam: row.limitParam,
      streamOptions: row.streamOptions,
      times: TEST_TIMES,
      signal: new AbortController().signal,
    }),
  )
  const latencyMs = Date.now() - start
  if (end.learned) await ask(rememberLearned(db, uid, row.apiLink, end.learned))
  if (!end.fault) await ask(wakeModel(db, uid, row.apiLink))
  return end.fault ? { ok: false, latencyMs, error: faultText(end.fault) } : { ok: true, latencyMs }
}

/** Reads an answer to its end and lets the text go. */
async function finish(answer: UpstreamAnswer): Promise<UpstreamEnd> {
  for (;;) {
    const read = await answer.next()
    if (read.done) return read.value
  }
}
