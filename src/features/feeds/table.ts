import { index, jsonb, pgTable, text } from 'drizzle-orm/pg-core'
import { instant, uid } from '../../ports/columns.ts'

/**
 * Events that must reach the feeds, written in the statement that made them true and cleared once published, so
 * that no end of an answer and no balance is lost with a process.
 */
export const outbox = pgTable(
  'outbox',
  {
    uid: uid('uid').primaryKey(),
    userUid: uid('user_uid').notNull(),
    event: text('event').notNull(),
    data: jsonb('data').notNull(),
    createdAt: instant('created_at').notNull(),
  },
  (table) => [index('outbox_oldest').on(table.createdAt)],
)
