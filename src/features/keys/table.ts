import { sql } from 'drizzle-orm'
import { check, index, pgTable, text, uniqueIndex, uuid } from 'drizzle-orm/pg-core'
import { count, instant, uid } from '../../ports/columns.ts'
import { users } from '../users/table.ts'

/** API keys of the OpenAI-compatible door. The secret is shown once; only its digest is here. */
export const keys = pgTable(
  'keys',
  {
    uid: uid('uid').primaryKey(),
    userUid: uid('user_uid')
      .notNull()
      .references(() => users.uid),
    name: text('name').notNull(),
    /** SHA-256 of the secret, in hex. */
    digest: text('digest').notNull(),
    /** Its last characters, so that people can tell keys apart. */
    hint: text('hint').notNull(),
    /** Micro-credits; null = no limit. */
    budget: count('budget'),
    spent: count('spent').notNull().default(0),
    held: count('held').notNull().default(0),
    /** Null = every model. */
    modelUids: uuid('model_uids').array(),
    expiresAt: instant('expires_at'),
    lastUsedAt: instant('last_used_at'),
    revokedAt: instant('revoked_at'),
    createdAt: instant('created_at').notNull().defaultNow(),
  },
  (table) => [
    uniqueIndex('keys_digest_key').on(table.digest),
    index('keys_user_newest').on(table.userUid, table.createdAt, table.uid),
    /** A person may have so many keys that are not revoked: counting them must not read the revoked ones. */
    index('keys_user_unrevoked').on(table.userUid).where(sql`${table.revokedAt} IS NULL`),
    check(
      'keys_money',
      sql`${table.spent} >= 0 AND ${table.held} >= 0 AND coalesce(${table.budget}, 0) BETWEEN 0 AND 1000000000000000`,
    ),
  ],
)
