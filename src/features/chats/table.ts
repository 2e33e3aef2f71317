import { sql } from 'drizzle-orm'
import { check, index, integer, pgTable, text } from 'drizzle-orm/pg-core'
import { count, instant, uid } from '../../ports/columns.ts'
import { models } from '../models/table.ts'
import { users } from '../users/table.ts'

export const chats = pgTable(
  'chats',
  {
    uid: uid('uid').primaryKey(),
    userUid: uid('user_uid')
      .notNull()
      .references(() => users.uid),
    /** Null until its first message names it. */
    title: text('title'),
    totalTokenUsed: count('total_token_used').notNull().default(0),
    /** Micro-credits. */
    totalCreditSpent: count('total_credit_spent').notNull().default(0),
    createdAt: instant('created_at').notNull(),
    updatedAt: instant('updated_at').notNull(),
    deletedAt: instant('deleted_at'),
  },
  (table) => [
    index('chats_user_newest')
      .on(table.userUid, table.createdAt, table.uid)
      .where(sql`${table.deletedAt} IS NULL`),
    check('chats_totals', sql`${table.totalTokenUsed} >= 0 AND ${table.totalCreditSpent} >= 0`),
  ],
)

/** What was said. The owner stands on every row, so that no query can forget whose it is. */
export const messages = pgTable(
  'messages',
  {
    uid: uid('uid').primaryKey(),
    userUid: uid('user_uid')
      .notNull()
      .references(() => users.uid),
    chatUid: uid('chat_uid')
      .notNull()
      .references(() => chats.uid),
    modelUid: uid('model_uid').references(() => models.uid),
    role: text('role', { enum: ['system', 'user', 'assistant'] }).notNull(),
    /** The user message that an answer answers. */
    replyTo: uid('reply_to'),
    message: text('message').notNull(),
    reasoning: text('reasoning'),
    status: text('status', { enum: ['STREAMING', 'COMPLETED', 'STOPPED', 'FAILED'] }).notNull(),
    finishReason: text('finish_reason'),
    tokenUsed: integer('token_used').notNull().default(0),
    /** Micro-credits. */
    creditSpent: count('credit_spent').notNull().default(0),
    /** What the message counts in a prompt: a quarter of its bytes, rounded up, and 4 around it. */
    promptTokens: integer('prompt_tokens')
      .notNull()
      .generatedAlwaysAs(sql`(octet_length(message) + 3) / 4 + 4`),
    createdAt: instant('created_at').notNull(),
  },
  (table) => [
    index('messages_chat_newest').on(table.chatUid, table.createdAt, table.uid),
    index('messages_reply').on(table.replyTo, table.createdAt, table.uid),
    check('messages_role', sql`${table.role} IN ('system', 'user', 'assistant')`),
    check('messages_status', sql`${table.status} IN ('STREAMING', 'COMPLETED', 'STOPPED', 'FAILED')`),
    check(
      'messages_counts',
      sql`${table.tokenUsed} >= 0 AND ${table.creditSpent} BETWEEN 0 AND 10000000000000`,
    ),
  ],
)
