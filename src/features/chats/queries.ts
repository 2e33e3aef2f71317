import { type SQL, sql } from 'drizzle-orm'
import type { Once } from '../../http/idempotency.ts'
import { beyond, type PageRequest } from '../../http/page.ts'
import type { Database } from '../../ports/postgres.ts'
import { onceFragments, type Prior } from '../idempotency/once.ts'
import type { GenerationRow } from '../inference/settle.ts'
import type { ChatRow, MessageRow } from './present.ts'

/** `created_at` in a page's cursor keeps the microseconds that a Date would lose. */
type Placed<Row> = { row: Row; at: string }

const json = (alias: SQL) => sql`to_json(${alias})`

export function chatCreated(
  db: Database,
  chat: { uid: string; userUid: string; title: string | null },
  once: Once | undefined,
) {
  const guard = onceFragments(chat.userUid, once)
  return db.execute<{ prior: Prior | null; row: ChatRow | null }>(sql`WITH
    ${guard.prior},
    made AS (
      INSERT INTO chats (uid, user_uid, title, created_at, updated_at)
      SELECT ${chat.uid}::uuid, ${chat.userUid}::uuid, ${chat.title}::text, t, t
      FROM clock_timestamp() AS t WHERE ${guard.fresh}
      RETURNING *),
    ${guard.remember(sql`made`, 201, sql`jsonb_build_object('chatUid', made.uid)`)}
    SELECT (SELECT to_json(prior) FROM prior) AS prior, (SELECT to_json(made) FROM made) AS row`)
}

export function chatsOf(db: Database, userUid: string, page: PageRequest, search: string | undefined) {
  const matching =
    search === undefined ? sql`` : sql`AND title ILIKE ${`%${search.replace(/[\\%_]/g, '\\$&')}%`}::text`
  return db.execute<Placed<ChatRow>>(sql`
    SELECT ${json(sql`chats`)} AS row, created_at::text AS at FROM chats
    WHERE user_uid = ${userUid}::uuid AND deleted_at IS NULL ${matching} ${beyond(page.cursor)}
    ORDER BY created_at DESC, uid DESC LIMIT ${page.limit + 1}::int`)
}

export function chatOf(db: Database, userUid: string, chatUid: string) {
  return db.execute<{ row: ChatRow }>(sql`
    SELECT ${json(sql`chats`)} AS row FROM chats
    WHERE uid = ${chatUid}::uuid AND user_uid = ${userUid}::uuid AND deleted_at IS NULL`)
}

/** The text so far stands with the generation while an answer is written. */
export function messagesOf(db: Database, userUid: string, chatUid: string, page: PageRequest) {
  return db.execute<Placed<MessageRow>>(sql`
    SELECT ${json(sql`messages`)} AS row, created_at::text AS at FROM messages
    WHERE chat_uid = ${chatUid}::uuid AND user_uid = ${userUid}::uuid ${beyond(page.cursor)}
    ORDER BY created_at DESC, uid DESC LIMIT ${page.limit + 1}::int`)
}

export function chatRenamed(db: Database, userUid: string, chatUid: string, title: string) {
  return db.execute<{ row: ChatRow }>(sql`
    UPDATE chats SET title = ${title}::text, updated_at = clock_timestamp()
    WHERE uid = ${chatUid}::uuid AND user_uid = ${userUid}::uuid AND deleted_at IS NULL
    RETURNING ${json(sql`chats`)} AS row`)
}

/** Hides the chat, asks its running answer to stop and takes the texts away: what settles later keeps none. */
/** `outboxUid` becomes the uid of the row that tells the feeds of it. */
export function chatDeleted(db: Database, userUid: string, chatUid: string, outboxUid: string) {
  return db.execute<{ stopping: string | null }>(sql`WITH
    gone AS (
      UPDATE chats SET deleted_at = clock_timestamp(), title = NULL
      WHERE uid = ${chatUid}::uuid AND user_uid = ${userUid}::uuid AND deleted_at IS NULL
      RETURNING uid),
    purged AS (
      UPDATE messages SET message = '', reasoning = NULL
      FROM gone WHERE chat_uid = gone.uid AND user_uid = ${userUid}::uuid),
    stopping AS (
      UPDATE generations SET stop_requested_at = coalesce(stop_requested_at, clock_timestamp())
      FROM gone WHERE chat_uid = gone.uid AND user_uid = ${userUid}::uuid AND status = 'RUNNING'
      RETURNING message_uid),
    noted AS (
      INSERT INTO outbox (uid, user_uid, event, data, created_at)
      SELECT ${outboxUid}::uuid, ${userUid}::uuid, 'chat_deleted',
        jsonb_build_object('chatUid', uid, 'stopping', (SELECT message_uid FROM stopping)), clock_timestamp()
      FROM gone)
    SELECT (SELECT message_uid FROM stopping) AS stopping FROM gone`)
}

/** No lock on the account: a stop moves no money. */
export const stopAsked = (db: Database, userUid: string, messageUid: string) =>
  db.execute<{ uid: string }>(sql`
    UPDATE generations SET stop_requested_at = coalesce(stop_requested_at, clock_timestamp())
    WHERE user_uid = ${userUid}::uuid AND message_uid = ${messageUid}::uuid AND status = 'RUNNING'
    RETURNING uid`)

/** Of an answer in a chat that is there. Behind `stopAsked` it sees the settle that one may have waited for. */
export const statusOf = (db: Database, userUid: string, messageUid: string) =>
  db.execute<{ status: MessageRow['status'] }>(sql`
    SELECT messages.status FROM messages
    JOIN chats ON chats.uid = messages.chat_uid AND chats.deleted_at IS NULL
    WHERE messages.uid = ${messageUid}::uuid AND messages.user_uid = ${userUid}::uuid AND role = 'assistant'`)

export interface InstructionRow {
  prior: Prior | null
  found: boolean
  /** What was stored, now or under this key before: its text is kept in one place, where a deletion finds it. */
  row: MessageRow | null
}

export function instructionStored(
  db: Database,
  instruction: { uid: string; userUid: string; chatUid: string; message: string },
  once: Once | undefined,
) {
  const guard = onceFragments(instruction.userUid, once)
  return db.execute<{ stored: InstructionRow }>(sql`WITH
    ${guard.prior},
    chat AS (
      SELECT uid FROM chats
      WHERE uid = ${instruction.chatUid}::uuid AND user_uid = ${instruction.userUid}::uuid AND deleted_at IS NULL),
    made AS (
      INSERT INTO messages (uid, user_uid, chat_uid, role, message, status, created_at)
      SELECT ${instruction.uid}::uuid, ${instruction.userUid}::uuid, chat.uid, 'system', ${instruction.message}::text, 'COMPLETED', clock_timestamp()
      FROM chat WHERE ${guard.fresh}
      RETURNING *),
    touched AS (UPDATE chats SET updated_at = made.created_at FROM made WHERE chats.uid = made.chat_uid),
    ${guard.remember(sql`made`, 201, sql`jsonb_build_object('uid', made.uid, 'chat_uid', made.chat_uid)`)},
    known AS (
      SELECT * FROM messages WHERE uid = (SELECT (body->>'uid')::uuid FROM prior) AND user_uid = ${instruction.userUid}::uuid)
    SELECT json_build_object(
      'prior', (SELECT to_json(prior) FROM prior),
      'found', EXISTS (SELECT FROM chat),
      'row', coalesce((SELECT to_json(made) FROM made), (SELECT to_json(known) FROM known))) AS stored`)
}

export interface ExchangeRow {
  generation: GenerationRow
  question: MessageRow
  answer: MessageRow
}

/** A generation of a chat with its two messages, as they are recorded. */
export function exchangeOf(db: Database, userUid: string, generationUid: string) {
  return db.execute<{ exchange: ExchangeRow }>(sql`
    SELECT json_build_object(
      'generation', to_jsonb(g) - 'text_so_far' - 'reasoning_so_far', 'question', to_json(q), 'answer', to_json(a)
    ) AS exchange
    FROM generations g
    JOIN messages q ON q.uid = g.user_message_uid AND q.user_uid = g.user_uid
    JOIN messages a ON a.uid = g.message_uid AND a.user_uid = g.user_uid
    WHERE g.uid = ${generationUid}::uuid AND g.user_uid = ${userUid}::uuid`)
}

/** A message with what its running generation has saved of it. */
export interface TextRow {
  row: MessageRow
  text_so_far: string | null
  reasoning_so_far: string | null
}

export const newestWithText = (db: Database, userUid: string, chatUid: string, limit: number) =>
  db.execute<Record<string, unknown> & TextRow>(sql`
    SELECT ${json(sql`m`)} AS row, g.text_so_far, g.reasoning_so_far
    FROM messages m
    LEFT JOIN generations g ON g.user_uid = m.user_uid AND g.status = 'RUNNING' AND g.message_uid = m.uid
    WHERE m.chat_uid = ${chatUid}::uuid AND m.user_uid = ${userUid}::uuid
    ORDER BY m.created_at DESC, m.uid DESC LIMIT ${limit}::int`)

/**
 * The answers that are being written, and those of `liveUids`, which ran a moment ago. One array: with an OR it would
 * read everybody's messages.
 */
export const runningWithText = (db: Database, userUid: string, liveUids: string[]) =>
  db.execute<Record<string, unknown> & TextRow>(sql`
    SELECT ${json(sql`m`)} AS row, g.text_so_far, g.reasoning_so_far
    FROM messages m
    JOIN chats ON chats.uid = m.chat_uid AND chats.deleted_at IS NULL
    LEFT JOIN generations g ON g.user_uid = m.user_uid AND g.status = 'RUNNING' AND g.message_uid = m.uid
    WHERE m.user_uid = ${userUid}::uuid AND m.uid = ANY (ARRAY(
      SELECT message_uid FROM generations WHERE user_uid = ${userUid}::uuid AND status = 'RUNNING'
      UNION SELECT value::uuid FROM jsonb_array_elements_text(${JSON.stringify(liveUids)}::jsonb)))`)
