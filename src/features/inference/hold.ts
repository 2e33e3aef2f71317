import { type SQL, sql } from 'drizzle-orm'
import { AMOUNT_LIMIT, type Price, toCredits } from '../../core/credits.ts'
import { Failure } from '../../core/failure.ts'
import type { Once } from '../../http/idempotency.ts'
import { batch, type Database, violated } from '../../ports/postgres.ts'
import { onceFragments, type Prior, replayOf } from '../idempotency/once.ts'
import { priceSql } from '../models/price.ts'
import type { AccountRow } from '../transactions/tell.ts'
import type { Caller, DoorHold } from './door.ts'

/** Seconds for which a running generation is its worker's own, by the database's clock (money rule 7). */
export const LEASE_S = 60
/** Output allowed when neither the caller nor the model limits it (money rule 1). */
const DEFAULT_OUTPUT_TOKENS = 4096
/** Less output than this is not worth a call: 402 instead (money rule 1). */
const LEAST_OUTPUT_TOKENS = 64

export interface HoldOrder {
  generationUid: string
  caller: Caller
  /** The caller's own limit of output tokens, of each choice. */
  maxTokens: number | undefined
  /** Answers asked for at once. */
  choices: number
  once: Once | undefined
  /** 0 = none. */
  sendsPerMinute: number
  /** 0 = none. */
  runningPerUser: number
}

/** The model as the kitchen needs it: where to call, with what, and what was learned about it. */
export interface HeldModel {
  uid: string
  name: string
  type: string
  api_link: string
  auth_token_sealed: string | null
  limit_param: string
  stream_options: boolean
}

/** What is left of the sends of a minute. */
export interface Rate {
  limit: number
  remaining: number
  /** Until all of it is there again. */
  resetSeconds: number
}

/** A placed hold: the right to call the model once. */
export interface Held<Door = unknown> {
  generationUid: string
  userUid: string
  model: HeldModel
  price: Price
  promptEstimate: number
  /** Output tokens of each choice that are paid for: the limit sent upstream. */
  allowedTokens: number
  /** The account with this hold on it. */
  account: AccountRow
  /** Of the sends a minute; undefined without a limit. */
  rate: Rate | undefined
  /** What the door asked to get back. */
  door: Door
}

type Verdict =
  | 'held'
  | 'replay'
  | 'idempotency_mismatch'
  | 'rate_limited'
  | 'chat_not_found'
  | 'message_not_found'
  | 'model_not_found'
  | 'generation_in_progress'
  | 'too_many_generations'
  | 'message_too_long'
  | 'model_cooling_down'
  | 'insufficient_credits'
  | 'key_budget_exceeded'

interface Row<Door> {
  verdict: Verdict
  prior: Prior | null
  user_uid: string
  available: number
  account_held: number
  key_left: number | null
  level: number
  needed: number | null
  retry_after: number | null
  cooldown_s: number | null
  busy_with: string | null
  model:
    | (HeldModel & { input_rate: number; cached_input_rate: number; output_rate: number; rate_per: number })
    | null
  prompt_tokens: number | null
  allowed: number | null
  account: AccountRow | null
  door: Door
}

/**
 * Places the hold, in one round trip: the standing of the actor, the lock on the account, then one statement that
 * decides and writes. Refusals come in the order of the contract (section 1).
 * @returns the hold, or the generation that this Idempotency-Key already stands for
 * @throws Failure one of the verdicts; nothing was written then but the sending rate
 */
export async function placeHold<Door>(
  db: Database,
  order: HoldOrder,
  door: DoorHold,
): Promise<{ held: Held<Door> } | { replayed: string }> {
  const row = await decide<Door>(db, order, door)
  const prior = replayOf(row.prior, order.once)
  if (prior) {
    if (prior.generation_uid === null) throw new Failure('idempotency_mismatch')
    return { replayed: prior.generation_uid }
  }
  const { model, account } = row
  if (row.verdict !== 'held' || !model || !account || row.allowed === null || row.prompt_tokens === null)
    throw refusal(row)
  return {
    held: {
      generationUid: order.generationUid,
      userUid: row.user_uid,
      model,
      price: {
        input: model.input_rate,
        cachedInput: model.cached_input_rate,
        output: model.output_rate,
        per: model.rate_per,
      },
      promptEstimate: row.prompt_tokens,
      allowedTokens: row.allowed,
      account,
      rate: rateLeft(order.sendsPerMinute, row.level - 1),
      door: row.door,
    },
  }
}

async function decide<Door>(db: Database, order: HoldOrder, door: DoorHold): Promise<Row<Door>> {
  try {
    const [, , { rows }] = await batch(db, [
      ...order.caller.opening(db),
      db.execute<{ hold: Row<Door> }>(holdStatement(order, door)),
    ])
    return rows[0]!.hold
  } catch (error) {
    // The index behind the rule: reached only by a writer that does not take the account's lock.
    if (violated(error) === 'generations_running_in_chat') throw new Failure('generation_in_progress')
    throw error
  }
}

function refusal(row: Row<unknown>): Failure {
  switch (row.verdict) {
    case 'rate_limited':
      return new Failure('rate_limited', { retryAfterSeconds: row.retry_after ?? 1 })
    case 'generation_in_progress':
      return new Failure('generation_in_progress', { extra: { messageUid: row.busy_with } })
    case 'too_many_generations':
      return new Failure('too_many_generations', { retryAfterSeconds: 1 })
    case 'model_cooling_down':
      return new Failure('model_cooling_down', { retryAfterSeconds: row.cooldown_s ?? 1 })
    case 'insufficient_credits':
      return new Failure('insufficient_credits', {
        detail: 'What is available does not pay for the prompt and a short answer.',
        extra: {
          available: toCredits(row.available),
          held: toCredits(row.account_held),
          needed: toCredits(row.needed ?? 0),
        },
      })
    case 'key_budget_exceeded':
      return new Failure('key_budget_exceeded', {
        detail: 'What is left of the budget does not pay for the prompt and a short answer.',
        extra: { remaining: toCredits(Math.max(0, row.key_left ?? 0)), needed: toCredits(row.needed ?? 0) },
      })
    case 'held':
    case 'replay':
      return new Failure('internal_error')
    default:
      return new Failure(row.verdict)
  }
}

/** A bucket at `level` of `perMinute` sends. */
const rateLeft = (perMinute: number, level: number): Rate | undefined =>
  perMinute === 0
    ? undefined
    : {
        limit: perMinute,
        remaining: Math.max(0, Math.floor(level)),
        resetSeconds: ((perMinute - level) * 60) / perMinute,
      }

// Invariant: accounts.held = Σ hold of the user's RUNNING generations, and held ≤ balance; of a key likewise, and
// spent + held ≤ budget. Both rows are locked by the statements before, so what is read here cannot change until
// this has committed.
function holdStatement(order: HoldOrder, door: DoorHold): SQL {
  const { userUid: user, isKey } = order.caller
  const once = onceFragments(user, order.once)
  const choices = sql`${order.choices}::int`
  /** Output tokens of each choice that so many micro-credits pay for, beside the prompt. */
  const paidBy = (credits: SQL) => sql`least(wanted, greatest(0, floor(
          (least(${credits}, ${AMOUNT_LIMIT}::bigint)::numeric * rate_per - prompt.tokens::numeric * input_rate)
            / (output_rate::numeric * ${choices}))))::int`
  return sql`WITH
    key AS (SELECT *, budget - spent - held AS "left" FROM keys WHERE ${isKey}),
    ${once.prior},
    account AS (SELECT * FROM accounts WHERE user_uid = ${user}),
    rate AS (${rateOf(order.sendsPerMinute)}),
    running AS (SELECT count(*) AS n FROM generations WHERE user_uid = ${user} AND status = 'RUNNING'),
    ${door.place},
    model AS (
      SELECT m.*, ${priceSql('m')},
        coalesce(
          least(${order.maxTokens ?? null}::int, m.max_output_tokens),
          least(${DEFAULT_OUTPUT_TOKENS}::int, greatest(1, m.context_tokens / 2))
        ) AS wanted
      FROM models m WHERE m.uid = ${door.modelUid} AND m.deleted_at IS NULL AND m.enabled
        AND m.uid = ANY (coalesce((SELECT model_uids FROM key), ARRAY[m.uid]))),
    ${door.ctes},
    bill AS (
      SELECT model.*, prompt.tokens AS prompt_tokens, prompt.fits,
        ${paidBy(sql`account.balance - account.held`)} AS by_account,
        ${paidBy(sql`(SELECT "left" FROM key)`)} AS by_key,
        least(${Number.MAX_SAFE_INTEGER}::bigint, ceil(
          (prompt.tokens::numeric * input_rate + least(wanted, ${LEAST_OUTPUT_TOKENS}::int)::numeric * ${choices} * output_rate) / rate_per
        )) AS needed
      FROM model, prompt, account),
    judged AS (
      SELECT CASE
        WHEN EXISTS (SELECT FROM prior WHERE fingerprint <> ${order.once?.fingerprint ?? ''}::text) THEN 'idempotency_mismatch'
        WHEN EXISTS (SELECT FROM prior) THEN 'replay'
        WHEN rate.level < 1 THEN 'rate_limited'
        WHEN ${door.missing} THEN ${door.missingCode}::text
        WHEN NOT EXISTS (SELECT FROM model) THEN 'model_not_found'
        WHEN ${door.busyWith} IS NOT NULL THEN 'generation_in_progress'
        WHEN ${order.runningPerUser}::int > 0 AND running.n >= ${order.runningPerUser}::int THEN 'too_many_generations'
        WHEN (SELECT NOT fits FROM bill) THEN 'message_too_long'
        WHEN (SELECT cooldown_until > now() FROM bill) THEN 'model_cooling_down'
        WHEN (SELECT by_account < least(wanted, ${LEAST_OUTPUT_TOKENS}::int) FROM bill) THEN 'insufficient_credits'
        WHEN (SELECT by_key < least(wanted, ${LEAST_OUTPUT_TOKENS}::int) FROM bill) THEN 'key_budget_exceeded'
        ELSE 'held' END AS verdict, rate.level
      FROM rate, running),
    held AS (
      SELECT placed.*, clock_timestamp() AS at,
        ceil((prompt_tokens::numeric * input_rate + allowed::numeric * ${choices} * output_rate) / rate_per)::bigint AS hold
      FROM (SELECT *, least(by_account, by_key) AS allowed FROM bill) placed, judged WHERE verdict = 'held'),
    generation AS (
      INSERT INTO generations (uid, user_uid, door, key_uid, model_uid, model_name, chat_uid, user_message_uid, message_uid, status,
        input_rate, cached_input_rate, output_rate, rate_per, prompt_estimate, allowed_tokens, hold, lease_until, created_at)
      SELECT ${order.generationUid}::uuid, ${user}, ${door.name}::text, (SELECT uid FROM key), uid, name, ${door.chatUid}, ${door.userMessageUid},
        ${door.messageUid}, 'RUNNING', input_rate, cached_input_rate, output_rate, rate_per, prompt_tokens, allowed, hold,
        at + make_interval(secs => ${LEASE_S}::int), at
      FROM held),
    moved AS (
      UPDATE accounts SET
        held = accounts.held + coalesce((SELECT hold FROM held), 0),
        seq = accounts.seq + (SELECT count(*) FROM held),
        send_level = CASE WHEN ${order.sendsPerMinute}::int > 0 THEN judged.level - 1 END,
        send_at = CASE WHEN ${order.sendsPerMinute}::int > 0 THEN clock_timestamp() END
      FROM judged
      WHERE accounts.user_uid = ${user} AND judged.verdict NOT IN ('idempotency_mismatch', 'replay', 'rate_limited')
        AND (${order.sendsPerMinute}::int > 0 OR judged.verdict = 'held')
      RETURNING accounts.balance, accounts.held, accounts.seq),
    spending AS (
      UPDATE keys SET held = keys.held + placed.hold, last_used_at = placed.at
      FROM held placed WHERE keys.uid = (SELECT uid FROM key)),
    ${once.remember(sql`held`, 200, sql`NULL::jsonb`, sql`${order.generationUid}::uuid`)},
    ${door.writes}
    SELECT json_build_object(
      'verdict', judged.verdict,
      'prior', (SELECT to_json(prior) FROM prior),
      'user_uid', account.user_uid,
      'available', account.balance - account.held,
      'account_held', account.held,
      'key_left', (SELECT "left" FROM key),
      'level', judged.level,
      'needed', (SELECT needed FROM bill),
      'retry_after', (1 - judged.level) * 60 / nullif(${order.sendsPerMinute}::int, 0),
      'cooldown_s', (SELECT extract(epoch FROM cooldown_until - now()) FROM bill),
      'busy_with', ${door.busyWith},
      'model', (SELECT to_json(model) FROM model),
      'prompt_tokens', (SELECT prompt_tokens FROM held),
      'allowed', (SELECT allowed FROM held),
      'account', (SELECT to_json(moved) FROM moved),
      'door', ${door.result}
    ) AS hold FROM account, judged`
}

/** A token bucket as deep as a minute's sends. It stands on the locked row, so the count is exact. */
const rateOf = (perMinute: number): SQL =>
  perMinute === 0
    ? sql`SELECT 1::float8 AS level`
    : sql`SELECT least(${perMinute}::float8, coalesce(
        send_level + greatest(0, extract(epoch FROM clock_timestamp() - send_at))::float8 * ${perMinute}::float8 / 60,
        ${perMinute}::float8)) AS level FROM account`
