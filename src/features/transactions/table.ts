import { sql } from 'drizzle-orm'
import { bigint, check, doublePrecision, index, pgTable, text, uniqueIndex } from 'drizzle-orm/pg-core'
import { count, instant, uid } from '../../ports/columns.ts'
import { users } from '../users/table.ts'

/**
 * One row a person: the balance, what open holds take of it, and the send bucket. It is the lock that everything
 * about money waits for, and it is always taken first (account, key, generation).
 */
export const accounts = pgTable(
  'accounts',
  {
    userUid: uid('user_uid')
      .primaryKey()
      .references(() => users.uid),
    /** Micro-credits; equals the sum of the person's transactions. */
    balance: count('balance').notNull().default(0),
    /** Micro-credits of open holds. */
    held: count('held').notNull().default(0),
    /** Grows with every change of balance or held. */
    seq: bigint('seq', { mode: 'number' }).notNull().default(0),
    /** Token bucket of the sending rate: sends left at `sendAt`. NULL = full. */
    sendLevel: doublePrecision('send_level'),
    sendAt: instant('send_at'),
  },
  (table) => [
    check('accounts_balance', sql`${table.balance} BETWEEN 0 AND 1000000000000000`),
    check('accounts_held', sql`${table.held} BETWEEN 0 AND ${table.balance}`),
    check('accounts_seq', sql`${table.seq} >= 0`),
  ],
)

/** The ledger. A trigger refuses UPDATE, DELETE and TRUNCATE. */
export const transactions = pgTable(
  'transactions',
  {
    uid: uid('uid').primaryKey(),
    userUid: uid('user_uid')
      .notNull()
      .references(() => users.uid),
    /** Signed micro-credits. */
    amount: count('amount').notNull(),
    type: text('type', { enum: ['PURCHASE', 'REFUND', 'GENERATION_COST', 'ADJUSTMENT'] }).notNull(),
    description: text('description').notNull(),
    balanceAfter: count('balance_after').notNull(),
    /** The account's `seq` once this was booked. */
    seq: bigint('seq', { mode: 'number' }).notNull(),
    /** Set on what an answer cost: at most one a generation, by constraint. */
    generationUid: uid('generation_uid'),
    /** Who booked it, where that was not the person or the service. */
    bookedBy: uid('booked_by'),
    createdAt: instant('created_at').notNull(),
  },
  (table) => [
    uniqueIndex('transactions_generation_key').on(table.generationUid),
    uniqueIndex('transactions_user_seq_key').on(table.userUid, table.seq),
    index('transactions_user_newest').on(table.userUid, table.createdAt, table.uid),
    index('transactions_newest').on(table.createdAt, table.uid),
    index('transactions_type_newest').on(table.type, table.createdAt, table.uid),
    check('transactions_amount', sql`${table.amount} <> 0 AND abs(${table.amount}) <= 10000000000000`),
    check('transactions_balance_after', sql`${table.balanceAfter} BETWEEN 0 AND 1000000000000000`),
    check(
      'transactions_type',
      sql`CASE ${table.type} WHEN 'PURCHASE' THEN ${table.amount} > 0 WHEN 'REFUND' THEN ${table.amount} > 0 WHEN 'GENERATION_COST' THEN ${table.amount} < 0 WHEN 'ADJUSTMENT' THEN true ELSE false END`,
    ),
  ],
)
