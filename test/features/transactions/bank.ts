import { type SQL, sql } from 'drizzle-orm'
import { AMOUNT_LIMIT, type Micros, toCredits } from '../../../src/core/credits.ts'
import { newId } from '../../../src/core/id.ts'
import type { Transaction } from '../../../src/features/transactions/schema.ts'
import { connectPostgres } from '../../../src/ports/postgres.ts'
import { type Person, type Reply, type World, world } from '../../support/world.ts'

/** Whatever the room may say; world.ts has held it against the document. */
export interface Told {
  code: string
  status: number
  requestId: string
  errors: { path: string; message: string }[]
  transactionUid: string
  newBalance: number
  data: Transaction[]
  nextCursor: string | null
  amount: number
  balanceAfter: number
}
export type Answer = Reply<Told>

/** A person at the counter: paths are those below /api/transaction; a text is sent as the body it is. */
export interface Customer extends Pick<Person, 'uid' | 'token'> {
  call(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer>
}

/** A row of the past. `amount` in signed micro-credits. */
export interface Past {
  amount: Micros
  type?: string
  at?: string
  uid?: string
  generationUid?: string
}

export interface Bank {
  world: World
  person(): Promise<Customer>
  administrator(): Promise<Customer>
  /** Rows behind the service's back, and the balance that they make; more than one amount may be is several. */
  past(uid: string, ...rows: Past[]): Promise<void>
  /** Micro-credits that an answer is said to hold; let go by `close`. */
  hold(uid: string, held: Micros): Promise<void>
  rows<Row extends Record<string, unknown>>(query: SQL): Promise<Row[]>
  close(): Promise<void>
}

const ANY = 'postgres://local:local@localhost/local'

/** A world with a second way to its database. */
export async function openBank(vars: Record<string, string> = {}): Promise<Bank> {
  const here = await world(vars)
  const db = connectPostgres(ANY, here.neon.url)
  const holders: string[] = []

  const customer = ({ uid, token }: Person): Customer => ({
    uid,
    token,
    call: (method, path, body, headers = {}) =>
      here.call(method, `/api/transaction${path}`, {
        token,
        ...(typeof body === 'string' ? { body } : { json: body }),
        headers: { ...(typeof body === 'string' ? { 'Content-Type': 'application/json' } : {}), ...headers },
      }),
  })
  const hold = async (uid: string, held: Micros) => {
    await db.execute(sql`UPDATE accounts SET held = ${held}::bigint WHERE user_uid = ${uid}`)
  }

  return {
    world: here,
    person: async () => customer(await here.person()),
    administrator: async () => customer(await here.administrator()),
    async past(uid, ...rows) {
      for (const { amount, type = 'PURCHASE', at, uid: own = newId(), generationUid } of rows.flatMap(sliced))
        await db.batch([
          db.execute(
            sql`UPDATE accounts SET balance = balance + ${amount}::bigint, seq = seq + 1 WHERE user_uid = ${uid}`,
          ),
          db.execute(sql`
            INSERT INTO transactions (uid, user_uid, amount, type, description, balance_after, seq, generation_uid, created_at)
            SELECT ${own}::uuid, user_uid, ${amount}::bigint, ${type}, 'Then', balance, seq, ${generationUid ?? null}::uuid,
              coalesce(${at ?? null}::timestamptz, clock_timestamp())
            FROM accounts WHERE user_uid = ${uid}`),
        ])
    },
    async hold(uid, held) {
      holders.push(uid)
      await hold(uid, held)
    },
    rows: async <Row extends Record<string, unknown>>(query: SQL) => (await db.execute<Row>(query)).rows,
    async close() {
      for (const uid of holders) await hold(uid, 0)
    },
  }
}

const sliced = (row: Past): Past[] =>
  row.amount <= AMOUNT_LIMIT
    ? [row]
    : [{ ...row, amount: AMOUNT_LIMIT }, ...sliced({ ...row, amount: row.amount - AMOUNT_LIMIT })]

/** A booking by an administrator, as a body. */
export const entry = (userUid: string, amount: Micros, type = 'ADJUSTMENT', description = 'Test') => ({
  userUid,
  amount: toCredits(amount),
  type,
  description,
})
