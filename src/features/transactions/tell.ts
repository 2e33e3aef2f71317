import { toCredits } from '../../core/credits.ts'
import type { FeedEvent } from '../feeds/events.ts'

// What happens to money, as events: the same for the sender's own stream and for every feed.

/** An account as a statement left it, in micro-credits. */
export interface AccountRow {
  balance: number
  held: number
  seq: number
}

/** Only holds moved. */
export const balanceMoved = ({ balance, held, seq }: AccountRow): FeedEvent => ({
  event: 'balance',
  data: { balance: toCredits(balance), available: toCredits(balance - held), seq },
})

/** @param cost micro-credits */
export const answerCharged = (
  transactionUid: string,
  cost: number,
  { balance, held, seq }: AccountRow,
): FeedEvent => ({
  event: 'new_transaction',
  data: {
    transactionUid,
    amount: toCredits(-cost),
    type: 'GENERATION_COST',
    newBalance: toCredits(balance),
    available: toCredits(balance - held),
    seq,
  },
})

/** What a settled answer did to the account, charged or not. */
export const answerPaid = (transactionUid: string | null, cost: number, account: AccountRow): FeedEvent =>
  transactionUid === null ? balanceMoved(account) : answerCharged(transactionUid, cost, account)
