import { sql } from 'drizzle-orm'
import { check, index, integer, pgTable, text, uniqueIndex } from 'drizzle-orm/pg-core'
import { count, instant, uid } from '../../ports/columns.ts'
import { keys } from '../keys/table.ts'
import { models } from '../models/table.ts'
import { users } from '../users/table.ts'

/**
 * One call of a model, from the hold to the settle. While it is RUNNING it holds money and a lease; once settled
 * it is history and the source of all usage figures.
 */
export const generations = pgTable(
  'generations',
  {
    uid: uid('uid').primaryKey(),
    userUid: uid('user_uid')
      .notNull()
      .references(() => users.uid),
    door: text('door', { enum: ['chat', 'gateway'] }).notNull(),
    modelUid: uid('model_uid')
      .notNull()
      .references(() => models.uid),
    /** The model's name then: history outlives the model. */
    modelName: text('model_name').notNull(),
    keyUid: uid('key_uid').references(() => keys.uid),
    chatUid: uid('chat_uid'),
    userMessageUid: uid('user_message_uid'),
    messageUid: uid('message_uid'),
    status: text('status', { enum: ['RUNNING', 'COMPLETED', 'STOPPED', 'FAILED'] }).notNull(),

    // The price when it was held: micro-credits = tokens × rate ÷ per.
    inputRate: count('input_rate').notNull(),
    cachedInputRate: count('cached_input_rate').notNull(),
    outputRate: count('output_rate').notNull(),
    ratePer: count('rate_per').notNull(),
    promptEstimate: integer('prompt_estimate').notNull(),
    allowedTokens: integer('allowed_tokens').notNull(),
    /** Micro-credits held while it runs; the account's `held` is the sum of these. */
    hold: count('hold').notNull(),

    // The lease (database clock), and what it has saved.
    leaseUntil: instant('lease_until').notNull(),
    stopRequestedAt: instant('stop_requested_at'),
    textSoFar: text('text_so_far').notNull().default(''),
    reasoningSoFar: text('reasoning_so_far').notNull().default(''),

    // The outcome.
    finishReason: text('finish_reason'),
    failureCode: text('failure_code'),
    /** For administrators; redacted. */
    failureDetail: text('failure_detail'),
    promptTokens: integer('prompt_tokens'),
    completionTokens: integer('completion_tokens'),
    totalTokens: integer('total_tokens'),
    cachedTokens: integer('cached_tokens'),
    reasoningTokens: integer('reasoning_tokens'),
    usageSource: text('usage_source', { enum: ['upstream', 'estimated'] }),
    /** Micro-credits charged. */
    cost: count('cost'),
    /** Micro-credits that the use was worth beyond what could be taken. */
    shortfall: count('shortfall'),
    balanceAfter: count('balance_after'),
    firstTokenMs: integer('first_token_ms'),
    createdAt: instant('created_at').notNull(),
    settledAt: instant('settled_at'),
  },
  (table) => [
    uniqueIndex('generations_running_in_chat').on(table.chatUid).where(sql`${table.status} = 'RUNNING'`),
    index('generations_running_of_user').on(table.userUid).where(sql`${table.status} = 'RUNNING'`),
    index('generations_lease').on(table.leaseUntil).where(sql`${table.status} = 'RUNNING'`),
    index('generations_user_newest').on(table.userUid, table.createdAt, table.uid),
    index('generations_newest').on(table.createdAt),
    check('generations_status', sql`${table.status} IN ('RUNNING', 'COMPLETED', 'STOPPED', 'FAILED')`),
    check('generations_settled', sql`(${table.status} = 'RUNNING') = (${table.settledAt} IS NULL)`),
    check(
      'generations_money',
      sql`${table.hold} BETWEEN 0 AND 10000000000000 AND coalesce(${table.cost}, 0) BETWEEN 0 AND 10000000000000 AND coalesce(${table.shortfall}, 0) >= 0 AND coalesce(${table.balanceAfter}, 0) BETWEEN 0 AND 1000000000000000 AND (${table.cost} IS NULL) = (${table.status} = 'RUNNING')`,
    ),
    check(
      'generations_rates',
      sql`${table.inputRate} BETWEEN 1 AND 1000000000000 AND ${table.cachedInputRate} BETWEEN 1 AND 1000000000000 AND ${table.outputRate} BETWEEN 1 AND 1000000000000 AND ${table.ratePer} BETWEEN 1 AND 1000000000000000`,
    ),
    // What an upstream reports counts up to 10^9 (money rule 2); a total is a prompt and an output.
    check(
      'generations_tokens',
      sql`${table.promptEstimate} >= 0 AND ${table.allowedTokens} > 0 AND coalesce(${table.promptTokens}, 0) BETWEEN 0 AND 1000000000 AND coalesce(${table.completionTokens}, 0) BETWEEN 0 AND 1000000000 AND coalesce(${table.totalTokens}, 0) BETWEEN 0 AND 2000000000 AND coalesce(${table.cachedTokens}, 0) BETWEEN 0 AND 1000000000 AND coalesce(${table.reasoningTokens}, 0) BETWEEN 0 AND 1000000000`,
    ),
  ],
)
