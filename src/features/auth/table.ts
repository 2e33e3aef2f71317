import { sql } from 'drizzle-orm'
import { index, integer, pgTable } from 'drizzle-orm/pg-core'
import { instant, uid } from '../../ports/columns.ts'
import { users } from '../users/table.ts'

/**
 * A signed-in session is one family of refresh tokens. No token is stored: a refresh token is the signature over
 * (session, generation, rotatedAt), so the row alone says which one is current and can make it again.
 */
export const sessions = pgTable(
  'sessions',
  {
    uid: uid('uid').primaryKey(),
    userUid: uid('user_uid')
      .notNull()
      .references(() => users.uid),
    generation: integer('generation').notNull().default(0),
    rotatedAt: instant('rotated_at').notNull(),
    expiresAt: instant('expires_at').notNull(),
    endedAt: instant('ended_at'),
    createdAt: instant('created_at').notNull().defaultNow(),
  },
  (table) => [
    index('sessions_user').on(table.userUid),
    /** By when they were over: the oldest are forgotten. */
    index('sessions_oldest').on(sql`least(${table.endedAt}, ${table.expiresAt})`),
  ],
)
