import { sql } from 'drizzle-orm'
import type { Actor } from '../../core/actor.ts'
import { toCredits } from '../../core/credits.ts'
import { batchAs, type Database } from '../../ports/postgres.ts'
import type { Snapshot } from '../feeds/follow.ts'

/** The account: `{balance, available, seq}`, in credits. */
export async function balanceSnapshot(db: Database, actor: Actor): Promise<Snapshot> {
  const [{ rows }] = await batchAs(db, actor, [
    db.execute<{ account: { balance: number; held: number; seq: number } }>(sql`
      SELECT to_jsonb(accounts) AS account FROM accounts WHERE user_uid = ${actor.userUid}::uuid`),
  ])
  const { balance, held, seq } = rows[0]!.account
  return {
    data: { balance: toCredits(balance), available: toCredits(balance - held), seq },
    shown: { chats: [], messages: [], ended: [], running: new Map(), seq },
  }
}
