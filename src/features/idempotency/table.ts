import { index, jsonb, pgTable, primaryKey, smallint, text } from 'drizzle-orm/pg-core'
import { instant, uid } from '../../ports/columns.ts'
import { users } from '../users/table.ts'

/**
 * What an Idempotency-Key stood for, written in the statement that did the work. A send points to its generation,
 * whose row is the outcome; everything else keeps the answer that was given.
 */
export const idempotency = pgTable(
  'idempotency',
  {
    userUid: uid('user_uid')
      .notNull()
      .references(() => users.uid),
    key: text('key').notNull(),
    /** SHA-256 over method, path and body. */
    fingerprint: text('fingerprint').notNull(),
    status: smallint('status'),
    body: jsonb('body'),
    generationUid: uid('generation_uid'),
    createdAt: instant('created_at').notNull().defaultNow(),
  },
  (table) => [
    primaryKey({ columns: [table.userUid, table.key] }),
    index('idempotency_oldest').on(table.createdAt),
  ],
)
