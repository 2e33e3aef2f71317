import { desc, type SQL, sql } from 'drizzle-orm'
import { beyond, type PageRequest } from '../../http/page.ts'
import type { Database } from '../../ports/postgres.ts'
import { users } from '../users/table.ts'
import type { TransactionType } from './schema.ts'
import { transactions } from './table.ts'

/** Which transactions are wanted; `from` is part of the range, `to` is not. */
export interface Filter {
  type?: TransactionType | undefined
  from?: Date | undefined
  to?: Date | undefined
}

const columns = {
  uid: transactions.uid,
  userUid: transactions.userUid,
  amount: transactions.amount,
  type: transactions.type,
  description: transactions.description,
  balanceAfter: transactions.balanceAfter,
  generationUid: transactions.generationUid,
  createdAt: transactions.createdAt,
  /** With Postgres's microseconds, for the cursor. */
  at: sql<string>`${transactions.createdAt}::text`,
}

/** The newest transactions of one person beyond the cursor, one more than the page holds. */
export const transactionsOf = (db: Database, userUid: string, filter: Filter, page: PageRequest) =>
  newest(db, sql`${transactions.userUid} = ${userUid}::uuid`, filter, page)

/** The same over everybody: for administrators. */
export const transactionsBy = (db: Database, filter: Filter, page: PageRequest) =>
  newest(db, sql`true`, filter, page)

const newest = (db: Database, whose: SQL, { type, from, to }: Filter, { limit, cursor }: PageRequest) =>
  db
    .select(columns)
    .from(transactions)
    .where(
      sql.join([
        whose,
        ...(type ? [sql` AND ${transactions.type} = ${type}::text`] : []),
        ...(from ? [sql` AND ${transactions.createdAt} >= ${from.toISOString()}::timestamptz`] : []),
        ...(to ? [sql` AND ${transactions.createdAt} < ${to.toISOString()}::timestamptz`] : []),
        sql` ${beyond(cursor)}`,
      ]),
    )
    .orderBy(desc(transactions.createdAt), desc(transactions.uid))
    .limit(limit + 1)

/** The transaction if `reader` may see it: one's own, or any for an administrator by the database's word. */
export const transactionFor = (db: Database, reader: string, transactionUid: string) =>
  db
    .select(columns)
    .from(transactions)
    .where(
      sql`${transactions.uid} = ${transactionUid}::uuid AND (${transactions.userUid} = ${reader}::uuid
        OR EXISTS (SELECT FROM ${users} WHERE ${users.uid} = ${reader}::uuid AND ${users.role} = 'ADMIN'))`,
    )

export type TransactionRow = Awaited<ReturnType<typeof transactionFor>>[number]
