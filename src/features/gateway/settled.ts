import type { Teller } from '../feeds/outbox.ts'
import type { SettledData } from '../inference/settle.ts'
import { answerPaid } from '../transactions/tell.ts'

/** What a settled call says to its owner's feeds when the worker that made it could not: what became of the money. */
export const callSettled: Teller = async (_db, { data }) => {
  const { transactionUid, cost, balance, held, seq } = data as unknown as SettledData
  return { events: [answerPaid(transactionUid, cost, { balance, held, seq })] }
}
