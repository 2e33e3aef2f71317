import type { Actor } from '../../core/actor.ts'
import { Failure } from '../../core/failure.ts'
import { newId } from '../../core/id.ts'
import type { Once } from '../../http/idempotency.ts'
import { type PageRequest, page } from '../../http/page.ts'
import { batchAs, type Database, lockAccount } from '../../ports/postgres.ts'
import type { FeedEvent } from '../feeds/events.ts'
import type { Told } from '../feeds/outbox.ts'
import { replayOf } from '../idempotency/once.ts'
import { chatOut, type MessageOut, type MessageRow, messageOut } from './present.ts'
import * as queries from './queries.ts'
import * as tell from './tell.ts'

export interface Rooms {
  db: Database
  /** Tells the actor's feeds, after the answer; with Redis away nobody hears it, and nothing else happens. */
  announce(events: FeedEvent[]): void
  /** The same for what the outbox holds, and must be heard at last. */
  announceNoted(told: Told, outboxUid: string): void
  /** Lets the worker that writes this answer know at once that it shall stop. */
  askToStop(messageUid: string): void
}

export async function createChat(
  { db, announce }: Rooms,
  actor: Actor,
  title: string | undefined,
  once: Once | undefined,
): Promise<{ chatUid: string }> {
  const uid = newId()
  const [, { rows }] = await batchAs(db, actor, [
    lockAccount(db, actor.userUid),
    queries.chatCreated(db, { uid, userUid: actor.userUid, title: title ?? null }, once),
  ])
  const { prior, row } = rows[0]!
  const replay = replayOf(prior, once)
  if (replay) return replay.body as { chatUid: string }
  if (row) announce([tell.chatCreated(row)])
  return { chatUid: uid }
}

export async function listChats(
  { db }: Pick<Rooms, 'db'>,
  actor: Actor,
  request: PageRequest,
  search: string | undefined,
) {
  const [{ rows }] = await batchAs(db, actor, [queries.chatsOf(db, actor.userUid, request, search)])
  const { data, nextCursor } = page(rows, request.limit, ({ row, at }) => ({ at, uid: row.uid }))
  return { data: data.map(({ row }) => chatOut(row)), nextCursor }
}

export async function readChat({ db }: Pick<Rooms, 'db'>, actor: Actor, chatUid: string) {
  const [{ rows }] = await batchAs(db, actor, [queries.chatOf(db, actor.userUid, chatUid)])
  return chatOut(found(rows).row)
}

/** @throws chat_not_found */
export async function assertChat(db: Database, actor: Actor, chatUid: string): Promise<void> {
  await readChat({ db }, actor, chatUid)
}

export async function listMessages(
  { db }: Pick<Rooms, 'db'>,
  actor: Actor,
  chatUid: string,
  request: PageRequest,
) {
  const [chat, { rows }] = await batchAs(db, actor, [
    queries.chatOf(db, actor.userUid, chatUid),
    queries.messagesOf(db, actor.userUid, chatUid, request),
  ])
  found(chat.rows)
  const { data, nextCursor } = page(rows, request.limit, ({ row, at }) => ({ at, uid: row.uid }))
  return { data: data.map(({ row }) => messageOut(row)), nextCursor }
}

export async function renameChat({ db, announce }: Rooms, actor: Actor, chatUid: string, title: string) {
  const [{ rows }] = await batchAs(db, actor, [queries.chatRenamed(db, actor.userUid, chatUid, title)])
  const { row } = found(rows)
  announce([tell.chatUpdated(row)])
  return chatOut(row)
}

/** The account's lock comes first here too: a settle that runs at the same time takes the same rows after it. */
export async function deleteChat(
  { db, announceNoted, askToStop }: Rooms,
  actor: Actor,
  chatUid: string,
): Promise<void> {
  const outboxUid = newId()
  const [, { rows }] = await batchAs(db, actor, [
    lockAccount(db, actor.userUid),
    queries.chatDeleted(db, actor.userUid, chatUid, outboxUid),
  ])
  const { stopping } = found(rows)
  if (stopping !== null) askToStop(stopping)
  announceNoted(tell.chatGone(chatUid, stopping), outboxUid)
}

function found<Row>(rows: Row[]): Row {
  const [row] = rows
  if (!row) throw new Failure('chat_not_found')
  return row
}

/** Stores a system message: an instruction that goes upstream with every later question. Costs nothing. */
export async function instruct(
  { db, announce }: Rooms,
  actor: Actor,
  input: { chatUid: string; message: string },
  once: Once | undefined,
): Promise<{ message: MessageOut }> {
  const [, { rows }] = await batchAs(db, actor, [
    lockAccount(db, actor.userUid),
    queries.instructionStored(db, { uid: newId(), userUid: actor.userUid, ...input }, once),
  ])
  const stored = rows[0]!.stored
  const replay = replayOf(stored.prior, once)
  if (!stored.row || !(replay || stored.found)) throw new Failure('chat_not_found')
  const message = messageOut(stored.row)
  if (!replay) announce([tell.messageStored(message)])
  return { message }
}

export type Status = MessageRow['status']

/**
 * Asks a running answer to stop, from any device: it is cancelled within 2 s (20 s with Redis away), keeps its text
 * and is charged for it. After the end this tells the final status and does nothing.
 * @throws message_not_found for what is not an answer of this person
 */
export async function stop(
  { db, askToStop }: Rooms,
  actor: Actor,
  messageUid: string,
): Promise<{ asked: boolean; status: Status }> {
  const [stopping, { rows }] = await batchAs(db, actor, [
    queries.stopAsked(db, actor.userUid, messageUid),
    queries.statusOf(db, actor.userUid, messageUid),
  ])
  const [answer] = rows
  if (!answer) throw new Failure('message_not_found')
  const asked = stopping.rows.length > 0
  if (asked) askToStop(messageUid)
  return { asked, status: answer.status }
}
