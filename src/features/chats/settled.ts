import { ask } from '../../ports/postgres.ts'
import type { Teller } from '../feeds/outbox.ts'
import type { SettledData } from '../inference/settle.ts'
import { answerPaid } from '../transactions/tell.ts'
import * as queries from './queries.ts'
import { recorded } from './sending.ts'
import * as tell from './tell.ts'

/** What a settled answer says to the feeds when the worker that wrote it could not: its end, its chat, its charge. */
export const answerSettled: Teller = async (db, { user_uid: userUid, data }) => {
  const { generationUid, transactionUid, cost, ...account } = data as unknown as SettledData
  const answered = await recorded({ db }, userUid, generationUid)
  const { uid, chatUid } = answered.assistantMessage
  const { rows } = await ask(queries.chatOf(db, userUid, chatUid))
  const chat = rows[0]?.row
  return {
    forget: uid,
    isLast: !chat,
    events: [
      ...(chat ? [tell.answerEnded(answered), tell.chatUpdated(chat)] : []),
      answerPaid(transactionUid, cost, account),
    ],
  }
}

/** The same of a chat that was deleted. */
export const chatGone: Teller = async (_db, { data }) => {
  const { chatUid, stopping } = data as { chatUid: string; stopping: string | null }
  return tell.chatGone(chatUid, stopping)
}
