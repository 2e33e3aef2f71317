import { type SQL, sql } from 'drizzle-orm'
import { AMOUNT_LIMIT } from '../../core/credits.ts'
import { newId } from '../../core/id.ts'
import { ask, batch, type Database, lockAccount } from '../../ports/postgres.ts'
import type { Learned } from '../../ports/upstream/port.ts'
import type { AccountRow } from '../transactions/tell.ts'
import type { Bill } from './billing.ts'
import { restCte, type Sign } from './cooldown.ts'
import type { Door, DoorSettle } from './door.ts'
import { LEASE_S } from './hold.ts'

/** How a generation ended, as the one who settles it knows it. */
export interface Outcome {
  generationUid: string
  userUid: string
  status: 'COMPLETED' | 'STOPPED' | 'FAILED'
  finishReason: string | null
  failureCode: string | null
  /** Redacted. */
  failureDetail: string | null
  text: string
  reasoning: string
  bill: Bill | undefined
  firstTokenMs: number | null
  /** With the link that taught it: the model may point elsewhere by now. */
  learned: (Learned & { link: string }) | undefined
  /** What it says of the upstream; nothing when absent. */
  sign?: Sign | undefined
}

/** The generation's row, as JSON of Postgres: money in micro-credits, instants as text. */
export interface GenerationRow {
  uid: string
  door: Door
  user_uid: string
  key_uid: string | null
  model_uid: string
  model_name: string
  chat_uid: string | null
  user_message_uid: string | null
  message_uid: string | null
  status: 'RUNNING' | 'COMPLETED' | 'STOPPED' | 'FAILED'
  finish_reason: string | null
  failure_code: string | null
  /** For administrators. */
  failure_detail: string | null
  prompt_tokens: number | null
  completion_tokens: number | null
  total_tokens: number | null
  cached_tokens: number | null
  reasoning_tokens: number | null
  usage_source: 'upstream' | 'estimated' | null
  cost: number | null
  shortfall: number | null
  balance_after: number | null
  first_token_ms: number | null
  created_at: string
}

/** What the log tells of a settled generation. */
export const factsOf = (row: GenerationRow) => ({
  generationUid: row.uid,
  userUid: row.user_uid,
  door: row.door,
  modelUid: row.model_uid,
  status: row.status,
  finishReason: row.finish_reason,
  failureCode: row.failure_code,
  promptTokens: row.prompt_tokens,
  completionTokens: row.completion_tokens,
  usageSource: row.usage_source,
  costMicros: row.cost,
  shortfallMicros: row.shortfall,
  firstTokenMs: row.first_token_ms,
})

/** What a settle did. Without `account`, somebody else had settled before. */
export interface Settled<Door = unknown> {
  generation: GenerationRow
  account: AccountRow | null
  /** The charge, if it cost something. */
  transaction_uid: string | null
  /** The event that waits to be published. */
  outbox_uid: string | null
  door: Door
}

/** What the outbox says of a settled generation: its event is `<door>_settled`. Money in micro-credits. */
export interface SettledData extends AccountRow {
  generationUid: string
  transactionUid: string | null
  cost: number
}

/**
 * Settles a generation once, whoever comes first. The answer is the recorded outcome: that of another if another
 * was first. Safe to repeat when the answer of a try was lost.
 * @param by the worker that holds it; or the sweep, which must leave a lease alone that was renewed a moment ago
 */
export async function settle(
  db: Database,
  outcome: Outcome,
  door: DoorSettle,
  by: 'worker' | 'sweep' = 'worker',
): Promise<Settled> {
  const learned = learnedStatement(outcome)
  const [, { rows }] = await batch(db, [
    lockAccount(db, outcome.userUid),
    db.execute<{ settled: Settled }>(settleStatement(outcome, door, by)),
    ...(learned ? [db.execute(learned)] : []),
  ])
  return rows[0]!.settled
}

// Invariant: one transaction a generation, and only if it cost something; balance and held move by what this row
// held and cost, in the statement that ends it, and those of its key likewise. No row in `settled` (somebody was
// first): nothing moves.
function settleStatement(outcome: Outcome, door: DoorSettle, by: 'worker' | 'sweep'): SQL {
  const { bill } = outcome
  const { writes, result } = door({ text: outcome.text, reasoning: outcome.reasoning })
  const usage = bill?.usage
  // No charge beyond what a single amount may be; what is over it is shortfall like any other.
  const worth = sql`${bill?.worth ?? 0}::bigint`
  const mine = by === 'sweep' ? sql`g.lease_until < clock_timestamp()` : sql`true`
  const takeable = sql`least(${AMOUNT_LIMIT}::bigint, g.hold + account.balance - account.held,
          g.hold + (SELECT "left" FROM key))`
  return sql`WITH
    account AS (SELECT * FROM accounts WHERE user_uid = ${outcome.userUid}::uuid),
    key AS (
      SELECT greatest(0, keys.budget - keys.spent - keys.held) AS "left" FROM keys
      WHERE uid = (SELECT key_uid FROM generations WHERE uid = ${outcome.generationUid}::uuid) AND budget IS NOT NULL),
    settled AS (
      UPDATE generations g SET
        status = ${outcome.status}::text,
        finish_reason = ${outcome.finishReason}::text,
        failure_code = ${outcome.failureCode}::text,
        failure_detail = ${outcome.failureDetail}::text,
        prompt_tokens = ${usage?.promptTokens ?? null}::int,
        completion_tokens = ${usage?.completionTokens ?? null}::int,
        total_tokens = ${usage?.totalTokens ?? null}::int,
        cached_tokens = ${usage?.cachedTokens ?? null}::int,
        reasoning_tokens = ${usage?.reasoningTokens ?? null}::int,
        usage_source = ${usage?.source ?? null}::text,
        cost = least(${worth}, ${takeable}),
        shortfall = greatest(0, ${worth} - ${takeable}),
        balance_after = account.balance - least(${worth}, ${takeable}),
        first_token_ms = ${outcome.firstTokenMs}::int,
        text_so_far = '',
        reasoning_so_far = '',
        settled_at = clock_timestamp()
      FROM account
      WHERE g.uid = ${outcome.generationUid}::uuid AND g.user_uid = ${outcome.userUid}::uuid AND g.status = 'RUNNING'
        AND ${mine}
      RETURNING g.*),
    charged AS (
      INSERT INTO transactions (uid, user_uid, amount, type, description, balance_after, seq, generation_uid, created_at)
      SELECT ${newId()}::uuid, settled.user_uid, -settled.cost, 'GENERATION_COST', 'Answer of ' || settled.model_name,
        settled.balance_after, account.seq + 1, settled.uid, settled.settled_at
      FROM settled, account WHERE settled.cost > 0
      RETURNING uid, amount),
    moved AS (
      UPDATE accounts SET balance = settled.balance_after, held = accounts.held - settled.hold, seq = accounts.seq + 1
      FROM settled WHERE accounts.user_uid = settled.user_uid
      RETURNING accounts.balance, accounts.held, accounts.seq),
    spent AS (
      UPDATE keys SET held = keys.held - settled.hold, spent = keys.spent + settled.cost
      FROM settled WHERE keys.uid = settled.key_uid),
    noted AS (
      INSERT INTO outbox (uid, user_uid, event, data, created_at)
      SELECT ${newId()}::uuid, settled.user_uid, settled.door || '_settled', jsonb_build_object(
        'generationUid', settled.uid, 'transactionUid', (SELECT uid FROM charged), 'cost', settled.cost,
        'balance', moved.balance, 'held', moved.held, 'seq', moved.seq), settled.settled_at
      FROM settled, moved
      RETURNING uid),
    ${restCte(outcome.sign)}
    ${writes}
    SELECT jsonb_build_object(
      'generation', coalesce(
        (SELECT to_jsonb(settled) FROM settled),
        (SELECT to_jsonb(g) FROM generations g WHERE g.uid = ${outcome.generationUid}::uuid AND g.user_uid = ${outcome.userUid}::uuid)
      ) - 'text_so_far' - 'reasoning_so_far',
      'account', (SELECT to_jsonb(moved) FROM moved),
      'transaction_uid', (SELECT uid FROM charged),
      'outbox_uid', (SELECT uid FROM noted),
      'door', ${result}) AS settled`
}

/** A generation of this user as it is recorded. */
export async function recordedGeneration(
  db: Database,
  userUid: string,
  generationUid: string,
): Promise<GenerationRow | undefined> {
  const { rows } = await ask(
    db.execute<{ generation: GenerationRow }>(sql`
      SELECT to_jsonb(g) - 'text_so_far' - 'reasoning_so_far' AS generation FROM generations g
      WHERE uid = ${generationUid}::uuid AND user_uid = ${userUid}::uuid`),
  )
  return rows[0]?.generation
}

/** What the upstream refused once it need not refuse again. */
function learnedStatement({ learned, generationUid }: Outcome): SQL | undefined {
  if (!learned) return undefined
  return sql`UPDATE models SET
      limit_param = coalesce(${learned.limitParam ?? null}::text, limit_param),
      stream_options = coalesce(${learned.streamOptions ?? null}::boolean, stream_options)
    WHERE uid = (SELECT model_uid FROM generations WHERE uid = ${generationUid}::uuid)
      AND api_link = ${learned.link}::text AND deleted_at IS NULL`
}

/**
 * Renews the lease and saves the text so far, in one statement.
 * @returns whether a stop was asked for; 'lost' when the generation is no longer this worker's
 */
export async function renewLease(
  db: Database,
  generationUid: string,
  soFar: { text: string; reasoning: string },
): Promise<'running' | 'stop' | 'lost'> {
  const { rows } = await ask(
    db.execute<{ stop: boolean }>(sql`
      UPDATE generations SET lease_until = clock_timestamp() + make_interval(secs => ${LEASE_S}::int),
        text_so_far = ${soFar.text}::text, reasoning_so_far = ${soFar.reasoning}::text
      WHERE uid = ${generationUid}::uuid AND status = 'RUNNING'
      RETURNING stop_requested_at IS NOT NULL AS stop`),
  )
  const [row] = rows
  return row ? (row.stop ? 'stop' : 'running') : 'lost'
}
