import { type SQL, sql } from 'drizzle-orm'
import { BALANCE_LIMIT, type Micros } from '../../core/credits.ts'
import type { Once } from '../../http/idempotency.ts'
import type { Database } from '../../ports/postgres.ts'
import { onceFragments, type Prior } from '../idempotency/once.ts'
import type { TransactionType } from './schema.ts'

/** A movement of one person's money, still to be booked. */
export interface Entry {
  userUid: string
  /** Signed micro-credits, never 0. */
  amount: Micros
  type: TransactionType
  description: string
}

export interface Booking extends Entry {
  /** The transaction's uid. */
  uid: string
  /** The uid of its event in the outbox. */
  eventUid: string
  /** Who books, and under whose name the key counts: the person, or an administrator. */
  caller: string
  once: Once | undefined
}

/** What came of a booking: the answer under its key if there was one, else a new row or the reason against it. */
export type Booked =
  | { outcome: 'booked'; prior: null; newBalance: number; event: Record<string, unknown> }
  | { outcome: 'replayed'; prior: Prior; newBalance: null }
  | {
      outcome: 'user_not_found' | 'balance_would_be_negative' | 'balance_too_large'
      prior: null
      newBalance: null
    }

/** Micro-credits as the credits of a JSON built in SQL: exact, and the same number that `toCredits` makes. */
export const creditsIn = (micros: SQL): SQL => sql`trim_scale((${micros}) * 0.000001)`

/**
 * Takes the rows of several accounts.
 *
 * Invariant: always in order of uid, so that two bookings over the same two accounts cannot wait for each other.
 */
export const lockAccounts = (db: Database, userUids: string[]) =>
  db.execute(
    sql`SELECT 1 FROM accounts WHERE user_uid IN (${sql.join(
      userUids.map((uid) => sql`${uid}::uuid`),
      sql`, `,
    )}) ORDER BY user_uid FOR UPDATE`,
  )

/**
 * Books one entry, or says why not. Stands in a batch behind the locks of the account and of the caller's account
 * (`lockAccounts`): a row that is not locked may have moved since the statement's snapshot.
 *
 * Invariant: the balance moves by exactly the amount of the one row inserted, on that person's account alone, and
 * `balance_after` is that balance; or nothing is written at all. 0 ≤ held ≤ balance ≤ 10^15 holds before and after.
 * The event and the answer under the key are written with it, so neither can be lost or be true alone.
 */
export function book(db: Database, entry: Booking) {
  const once = onceFragments(entry.caller, entry.once)
  const amount = sql`${entry.amount}::bigint`
  const uid = sql`${entry.uid}::uuid`
  const bookedBy = entry.caller === entry.userUid ? null : entry.caller
  return db.execute<{ result: Booked }>(sql`
    WITH ${once.prior},
    subject AS (
      SELECT balance, held FROM accounts JOIN users ON users.uid = user_uid
      WHERE user_uid = ${entry.userUid}::uuid AND status <> 'DELETED'),
    verdict AS (
      SELECT CASE
        WHEN NOT ${once.fresh} THEN 'replayed'
        WHEN NOT EXISTS (SELECT FROM subject) THEN 'user_not_found'
        WHEN (SELECT balance - held + ${amount} < 0 FROM subject) THEN 'balance_would_be_negative'
        WHEN (SELECT balance + ${amount} > ${BALANCE_LIMIT}::bigint FROM subject) THEN 'balance_too_large'
        ELSE 'booked' END AS outcome),
    moved AS (
      UPDATE accounts SET balance = balance + ${amount}, seq = seq + 1
      WHERE user_uid = ${entry.userUid}::uuid AND (SELECT outcome FROM verdict) = 'booked'
      RETURNING user_uid, balance, balance - held AS available, seq, clock_timestamp() AS at),
    written AS (
      INSERT INTO transactions (uid, user_uid, amount, type, description, balance_after, seq, booked_by, created_at)
      SELECT ${uid}, user_uid, ${amount}, ${entry.type}::text, ${entry.description}::text, balance, seq, ${bookedBy}::uuid, at
      FROM moved),
    announced AS (
      INSERT INTO outbox (uid, user_uid, event, data, created_at)
      SELECT ${entry.eventUid}::uuid, user_uid, 'new_transaction', jsonb_build_object(
        'transactionUid', ${uid}, 'amount', ${creditsIn(amount)}, 'type', ${entry.type}::text,
        'newBalance', ${creditsIn(sql`balance`)}, 'available', ${creditsIn(sql`available`)}, 'seq', seq), at
      FROM moved
      RETURNING data),
    ${once.remember(
      sql`moved`,
      201,
      sql`jsonb_build_object('transactionUid', ${uid}, 'newBalance', ${creditsIn(sql`balance`)})`,
    )}
    SELECT json_build_object(
      'outcome', outcome,
      'prior', (SELECT to_json(prior) FROM prior),
      'newBalance', (SELECT ${creditsIn(sql`balance`)} FROM moved),
      'event', (SELECT data FROM announced)) AS result
    FROM verdict`)
}
