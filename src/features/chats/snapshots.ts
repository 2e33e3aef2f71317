import type { Actor } from '../../core/actor.ts'
import { Failure } from '../../core/failure.ts'
import { batchAs, type Database } from '../../ports/postgres.ts'
import type { Live } from '../feeds/bus.ts'
import type { Snapshot } from '../feeds/follow.ts'
import type { Shown } from '../feeds/known.ts'
import { type ChatRow, chatOut, type MessageRow, messageOut } from './present.ts'
import * as queries from './queries.ts'

/** Messages in a chat's snapshot; older ones are fetched page by page. */
const NEWEST = 50

/** What happened longer ago has been told by now, or never will be. */
const RECENT_MS = 5 * 60_000

/** One chat: `{chat, messages}`, the newest page, oldest first. @throws chat_not_found */
export async function chatSnapshot(
  db: Database,
  actor: Actor,
  chatUid: string,
  live: Live,
): Promise<Snapshot> {
  const [chats, messages] = await batchAs(db, actor, [
    queries.chatOf(db, actor.userUid, chatUid),
    queries.newestWithText(db, actor.userUid, chatUid, NEWEST),
  ])
  const chat = chats.rows[0]
  if (!chat) throw new Failure('chat_not_found')
  const shown = messages.rows.map((row) => asOf(row, live))
  return {
    data: { chat: chatOut(chat.row), messages: shown.toReversed().map(messageOut) },
    shown: shownOf([], shown, live),
  }
}

/** All chats: `{chats, running}`, the newest page of chats and every answer that is being written. */
export async function chatsSnapshot(db: Database, actor: Actor, live: Live): Promise<Snapshot> {
  const page = { limit: NEWEST }
  const [chats, running] = await batchAs(db, actor, [
    queries.chatsOf(db, actor.userUid, page, undefined),
    queries.runningWithText(db, actor.userUid, Array.from(live.keys())),
  ])
  const answers = running.rows.map((row) => asOf(row, live)).filter(({ status }) => status === 'STREAMING')
  const listed = chats.rows.slice(0, NEWEST).map(({ row }) => row)
  const shown = shownOf(listed, answers, live)
  // Their chat was deleted after the position: of these the reader is not told, so of their text neither.
  const gone = Array.from(live.keys()).filter((uid) => !shown.running.has(uid))
  return {
    data: { chats: listed.map(chatOut), running: answers.map(messageOut) },
    shown: { ...shown, ended: [...shown.ended, ...gone] },
  }
}

function shownOf(chats: ChatRow[], messages: MessageRow[], live: Live): Shown {
  const since = Date.now() - RECENT_MS
  const recent = <Row extends { created_at: string }>(rows: Row[]) =>
    rows.filter(({ created_at }) => Date.parse(created_at) > since)
  const answers = messages.filter(({ role }) => role === 'assistant')
  return {
    chats: recent(chats).map(({ uid }) => uid),
    messages: recent(messages.filter(({ role }) => role !== 'assistant')).map(({ uid }) => uid),
    ended: recent(answers.filter(({ status }) => status !== 'STREAMING')).map(({ uid }) => uid),
    running: new Map(
      answers
        .filter(({ status }) => status === 'STREAMING')
        .map((row) => [
          row.uid,
          { text: row.message.length, reasoning: row.reasoning?.length ?? 0, live: live.has(row.uid) },
        ]),
    ),
    seq: undefined,
  }
}

/**
 * The message at the snapshot's position. Postgres was read after it: what runs there is shown as running, with the
 * text that it had, even if it has ended since; its end is an event still to come.
 */
function asOf({ row, text_so_far, reasoning_so_far }: queries.TextRow, live: Live): MessageRow {
  const now = live.get(row.uid)
  if (!now && row.status !== 'STREAMING') return row
  const { text, reasoning } = now ?? { text: text_so_far ?? '', reasoning: reasoning_so_far ?? '' }
  return {
    ...row,
    status: 'STREAMING',
    message: text,
    reasoning: reasoning === '' ? null : reasoning,
    finish_reason: null,
    token_used: 0,
    credit_spent: 0,
  }
}
