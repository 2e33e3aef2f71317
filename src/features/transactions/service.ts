import type { Actor } from '../../core/actor.ts'
import { type Micros, toCredits } from '../../core/credits.ts'
import { Failure } from '../../core/failure.ts'
import { newId } from '../../core/id.ts'
import type { Once } from '../../http/idempotency.ts'
import { type PageRequest, page } from '../../http/page.ts'
import { batchAs, type Database } from '../../ports/postgres.ts'
import type { FeedEvent } from '../feeds/events.ts'
import { replayOf } from '../idempotency/once.ts'
import { type Booked, book, type Entry, lockAccounts } from './ledger.ts'
import {
  type Filter,
  type TransactionRow,
  transactionFor,
  transactionsBy,
  transactionsOf,
} from './queries.ts'
import type { Transaction, TransactionType } from './schema.ts'

export interface Receipt {
  transactionUid: string
  /** Credits. */
  newBalance: number
}

/** Where bookings go: the database, and the feeds of whoever's money moved. */
export interface Counter {
  db: Database
  /** Tells a person's feeds after the answer; what nobody hears the outbox still has. */
  announce(userUid: string, event: FeedEvent, outboxUid: string): void
}

/**
 * A person buys credits. One round trip.
 * @param amount micro-credits, above 0
 * @throws balance_too_large, idempotency_mismatch
 */
export function topUp(
  counter: Counter,
  actor: Actor,
  { amount, description }: { amount: Micros; description: string },
  once: Once | undefined,
): Promise<Receipt> {
  return booked(counter, actor, { userUid: actor.userUid, amount, type: 'PURCHASE', description }, once)
}

/**
 * An administrator books for somebody. The key counts under the administrator's name.
 * @param order `amount` in micro-credits: above 0 and signed here by its type, an ADJUSTMENT as given
 * @throws user_not_found, balance_would_be_negative, balance_too_large, idempotency_mismatch
 */
export function bookFor(
  counter: Counter,
  administrator: Actor,
  order: { userUid: string; amount: Micros; type: TransactionType; description: string },
  once: Once | undefined,
): Promise<Receipt> {
  const amount = order.type === 'GENERATION_COST' ? -order.amount : order.amount
  return booked(counter, administrator, { ...order, amount }, once, { administrator: true })
}

async function booked(
  { db, announce }: Counter,
  actor: Actor,
  entry: Entry,
  once: Once | undefined,
  need: { administrator?: boolean } = {},
): Promise<Receipt> {
  const uid = newId()
  const eventUid = newId()
  const locks = once && actor.userUid !== entry.userUid ? [actor.userUid, entry.userUid] : [entry.userUid]
  const [, { rows }] = await batchAs(
    db,
    actor,
    [lockAccounts(db, locks), book(db, { ...entry, uid, eventUid, caller: actor.userUid, once })],
    need,
  )
  const { result } = rows[0]!
  const receipt = receiptOf(uid, result, once)
  if (result.outcome === 'booked')
    announce(entry.userUid, { event: 'new_transaction', data: result.event }, eventUid)
  // Closed between the look at the session and the lock: nobody of that name is signed in any more.
  if (receipt === undefined)
    throw new Failure(entry.userUid === actor.userUid ? 'unauthenticated' : 'user_not_found')
  return receipt
}

/** A repeat gets the first answer, with the balance as it was then. Undefined: there is no such account. */
function receiptOf(transactionUid: string, result: Booked, once: Once | undefined): Receipt | undefined {
  const prior = replayOf(result.prior, once)
  if (prior) {
    const first = prior.body as Receipt
    return { transactionUid: first.transactionUid, newBalance: first.newBalance }
  }
  switch (result.outcome) {
    case 'booked':
      return { transactionUid, newBalance: result.newBalance }
    case 'balance_would_be_negative':
      throw new Failure(result.outcome, 'This would take more than what is available.')
    case 'balance_too_large':
      throw new Failure(result.outcome, 'A balance is at most 1,000,000,000 credits.')
    default:
      return undefined
  }
}

/** The person's own transactions, newest first. One round trip. */
export async function listOwn(db: Database, actor: Actor, request: PageRequest, filter: Filter = {}) {
  const [rows] = await batchAs(db, actor, [transactionsOf(db, actor.userUid, filter, request)])
  return presentPage(rows, request.limit)
}

/** Anybody's or everybody's, newest first, for an administrator. */
export async function listAll(
  db: Database,
  administrator: Actor,
  { userUid, ...filter }: Filter & { userUid?: string | undefined },
  request: PageRequest,
) {
  const query = userUid ? transactionsOf(db, userUid, filter, request) : transactionsBy(db, filter, request)
  const [rows] = await batchAs(db, administrator, [query], { administrator: true })
  return presentPage(rows, request.limit)
}

/**
 * One transaction: the reader's own, or any for an administrator. One round trip.
 * @throws transaction_not_found, also when it is somebody else's
 */
export async function read(db: Database, reader: Actor, transactionUid: string): Promise<Transaction> {
  const [rows] = await batchAs(db, reader, [transactionFor(db, reader.userUid, transactionUid)])
  if (!rows[0]) throw new Failure('transaction_not_found')
  return present(rows[0])
}

function presentPage(rows: TransactionRow[], limit: number) {
  const { data, nextCursor } = page(rows, limit, ({ at, uid }) => ({ at, uid }))
  return { data: data.map(present), nextCursor }
}

const present = (row: TransactionRow): Transaction => ({
  uid: row.uid,
  userUid: row.userUid,
  amount: toCredits(row.amount),
  type: row.type,
  description: row.description,
  balanceAfter: toCredits(row.balanceAfter),
  ...(row.generationUid ? { generationUid: row.generationUid } : {}),
  createdAt: row.createdAt.toISOString(),
})
