import { sql } from 'drizzle-orm'
import { boolean, check, index, integer, pgTable, text, uniqueIndex } from 'drizzle-orm/pg-core'
import { count, instant, uid } from '../../ports/columns.ts'

/** Models that an administrator registered. A deleted one stays for history and frees its name. */
export const models = pgTable(
  'models',
  {
    uid: uid('uid').primaryKey(),
    name: text('name').notNull(),
    description: text('description').notNull(),
    /** The model id sent upstream. */
    type: text('type').notNull(),
    apiLink: text('api_link').notNull(),
    /** `<key id>.<iv>.<ciphertext>`, AES-GCM, bound to this row's uid; null = the upstream wants none. */
    authTokenSealed: text('auth_token_sealed'),
    /** Tokens that one credit buys, × 10^6. */
    tokenCostMicros: count('token_cost_micros').notNull(),
    /** Micro-credits per million tokens; with both set, `token_cost` is not used. */
    inputPrice: count('input_price'),
    outputPrice: count('output_price'),
    cachedInputPrice: count('cached_input_price'),
    contextTokens: integer('context_tokens').notNull(),
    maxOutputTokens: integer('max_output_tokens'),
    /** Name of the parameter that limits the output; learned from a refusal. */
    limitParam: text('limit_param').notNull().default('max_tokens'),
    /** Whether the upstream takes `stream_options`; learned from a refusal. */
    streamOptions: boolean('stream_options').notNull().default(true),
    enabled: boolean('enabled').notNull().default(true),
    cooldownUntil: instant('cooldown_until'),
    /** Answers in a row of which no token came, by the upstream's fault. */
    consecutiveFailures: integer('consecutive_failures').notNull().default(0),
    createdAt: instant('created_at').notNull().defaultNow(),
    updatedAt: instant('updated_at').notNull().defaultNow(),
    deletedAt: instant('deleted_at'),
  },
  (table) => [
    uniqueIndex('models_name_key').on(table.name).where(sql`${table.deletedAt} IS NULL`),
    index('models_newest').on(table.createdAt, table.uid).where(sql`${table.deletedAt} IS NULL`),
    check('models_token_cost', sql`${table.tokenCostMicros} BETWEEN 1 AND 1000000000000000`),
    check(
      'models_prices',
      sql`(${table.inputPrice} IS NULL) = (${table.outputPrice} IS NULL) AND (${table.cachedInputPrice} IS NULL OR ${table.inputPrice} IS NOT NULL) AND coalesce(${table.inputPrice}, 1) BETWEEN 1 AND 1000000000000 AND coalesce(${table.outputPrice}, 1) BETWEEN 1 AND 1000000000000 AND coalesce(${table.cachedInputPrice}, 1) BETWEEN 1 AND 1000000000000`,
    ),
    check(
      'models_tokens',
      sql`${table.contextTokens} BETWEEN 1 AND 100000000 AND coalesce(${table.maxOutputTokens}, 1) > 0 AND coalesce(${table.maxOutputTokens}, 0) < ${table.contextTokens}`,
    ),
  ],
)
