import { sql } from 'drizzle-orm'
import { check, index, pgTable, text, uniqueIndex } from 'drizzle-orm/pg-core'
import { instant, uid } from '../../ports/columns.ts'

/** People. A deleted one keeps the row without a name, a mail or a password: the ledger refers to it. */
export const users = pgTable(
  'users',
  {
    uid: uid('uid').primaryKey(),
    firstName: text('first_name').notNull(),
    lastName: text('last_name').notNull(),
    /** Lower case. */
    mail: text('mail'),
    phone: text('phone'),
    role: text('role', { enum: ['USER', 'ADMIN'] }).notNull(),
    status: text('status', { enum: ['ACTIVE', 'BLOCKED', 'DELETED'] }).notNull(),
    passwordHash: text('password_hash'),
    createdAt: instant('created_at').notNull().defaultNow(),
  },
  (table) => [
    uniqueIndex('users_mail_key').on(table.mail),
    uniqueIndex('users_phone_key').on(table.phone),
    index('users_newest').on(table.createdAt, table.uid),
    /** Few among many: whether there is one, and whether there is another. */
    index('users_administrators').on(table.uid).where(sql`${table.role} = 'ADMIN'`),
    check('users_role', sql`${table.role} IN ('USER', 'ADMIN')`),
    check('users_status', sql`${table.status} IN ('ACTIVE', 'BLOCKED', 'DELETED')`),
  ],
)
