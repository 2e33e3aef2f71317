import { type SQL, sql } from 'drizzle-orm'
import { estimateTokens, TOKENS_PER_MESSAGE } from '../../core/text.ts'
import type { DoorHold, DoorSettle } from '../inference/door.ts'
import type { ChatRow, MessageRow } from './present.ts'

/** A question that is new, or one that was asked before and is answered anew. */
export type Question =
  | {
      kind: 'new'
      uid: string
      chatUid: string
      modelUid: string
      message: string
      /** What names an untitled chat. */
      title: string
    }
  | {
      kind: 'again'
      /** The question, or any answer to it. */
      messageUid: string
      /** Instead of the model that was asked last. */
      modelUid: string | undefined
    }

/** What the hold brings back for a chat: what goes upstream, and what has changed. */
export interface ChatHeld {
  at: string
  instructions: string[]
  /** Question and answer, oldest first. */
  turns: [string, string][]
  question: MessageRow
  chat: ChatRow
}

/** A turn counts at least this in the estimate: two messages of one token. */
const LEAST_TURN_TOKENS = 2 * (TOKENS_PER_MESSAGE + 1)

/**
 * What a chat adds to the hold: whose chat it is, what of its past fits the model's context (instructions always,
 * then the newest turns that have an answer worth sending), and the messages.
 */
export function chatHold(userUid: string, answerUid: string, question: Question): DoorHold {
  const user = sql`${userUid}::uuid`
  const isNew = question.kind === 'new'
  return {
    name: 'chat',
    place: isNew ? newQuestion(user, question) : oldQuestion(user, question),
    modelUid: sql`(SELECT model_uid FROM question)`,
    chatUid: sql`(SELECT uid FROM chat)`,
    userMessageUid: sql`(SELECT uid FROM question)`,
    messageUid: sql`${answerUid}::uuid`,
    missing: sql`NOT EXISTS (SELECT FROM chat)`,
    missingCode: isNew ? 'chat_not_found' : 'message_not_found',
    busyWith: sql`(SELECT message_uid FROM writing)`,
    ctes: sql`
    writing AS (
      SELECT message_uid FROM generations
      WHERE chat_uid = (SELECT uid FROM chat) AND user_uid = ${user} AND status = 'RUNNING'),
    instructions AS (
      SELECT message, prompt_tokens, created_at, uid FROM messages
      WHERE chat_uid = (SELECT uid FROM chat) AND user_uid = ${user} AND role = 'system'),
    turns AS (
      SELECT q.message AS question, a.message AS answer, q.created_at, q.uid, q.prompt_tokens + a.prompt_tokens AS tokens
      FROM (
        SELECT uid, message, prompt_tokens, created_at FROM messages
        WHERE chat_uid = (SELECT uid FROM chat) AND user_uid = ${user} AND role = 'user'
          AND created_at < (SELECT created_at FROM question)
        ORDER BY created_at DESC, uid DESC LIMIT (SELECT context_tokens / ${LEAST_TURN_TOKENS}::int FROM model)) q
      JOIN LATERAL (
        SELECT message, prompt_tokens FROM messages
        WHERE reply_to = q.uid AND status IN ('COMPLETED', 'STOPPED') AND message <> ''
        ORDER BY created_at DESC, uid DESC LIMIT 1) a ON true),
    room AS (
      SELECT context_tokens - wanted - question.prompt_tokens
        - coalesce((SELECT sum(prompt_tokens) FROM instructions), 0) AS tokens FROM model, question),
    past AS (
      SELECT t.* FROM (
        SELECT turns.*, sum(tokens) OVER (ORDER BY created_at DESC, uid DESC) AS running FROM turns) t, room
      WHERE t.running <= room.tokens),
    prompt AS (
      SELECT (question.prompt_tokens + coalesce((SELECT sum(prompt_tokens) FROM instructions), 0)
        + coalesce((SELECT sum(tokens) FROM past), 0))::int AS tokens, room.tokens >= 0 AS fits FROM room, question)`,
    writes: sql`
    asked AS (
      INSERT INTO messages (uid, user_uid, chat_uid, model_uid, role, message, status, created_at)
      SELECT question.uid, ${user}, chat.uid, question.model_uid, 'user', question.message, 'COMPLETED', at
      FROM held, question, chat WHERE ${isNew}::boolean
      RETURNING *),
    answering AS (
      INSERT INTO messages (uid, user_uid, chat_uid, model_uid, role, reply_to, message, status, created_at)
      SELECT ${answerUid}::uuid, ${user}, chat.uid, question.model_uid, 'assistant', question.uid, '', 'STREAMING', at
      FROM held, question, chat),
    touched AS (
      UPDATE chats SET updated_at = held.at, title = coalesce(chats.title, ${isNew ? question.title : null}::text)
      FROM held, chat WHERE chats.uid = chat.uid
      RETURNING chats.*)`,
    result: sql`(SELECT json_build_object(
      'at', held.at,
      'instructions', coalesce((SELECT json_agg(message ORDER BY created_at, uid) FROM instructions), '[]'),
      'turns', coalesce((SELECT json_agg(json_build_array(question, answer) ORDER BY created_at, uid) FROM past), '[]'),
      'question', ${isNew ? sql`(SELECT to_json(asked) FROM asked)` : sql`(SELECT to_json(question) FROM question)`},
      'chat', (SELECT to_json(touched) FROM touched)
    ) FROM held)`,
  }
}

const newQuestion = (user: SQL, question: Question & { kind: 'new' }): SQL => sql`
    chat AS (
      SELECT uid FROM chats WHERE uid = ${question.chatUid}::uuid AND user_uid = ${user} AND deleted_at IS NULL),
    question AS (
      SELECT ${question.uid}::uuid AS uid, ${question.modelUid}::uuid AS model_uid, ${question.message}::text AS message,
        ${estimateTokens(question.message) + TOKENS_PER_MESSAGE}::int AS prompt_tokens, 'infinity'::timestamptz AS created_at)`

const oldQuestion = (user: SQL, { messageUid, modelUid }: Question & { kind: 'again' }): SQL => sql`
    named AS (
      SELECT uid, role, reply_to, model_uid FROM messages WHERE uid = ${messageUid}::uuid AND user_uid = ${user}),
    question AS (
      SELECT q.uid, coalesce(${modelUid ?? null}::uuid, named.model_uid) AS model_uid, q.chat_uid, q.role, q.message, q.reasoning,
        q.status, q.finish_reason, q.token_used, q.credit_spent, q.prompt_tokens, q.created_at
      FROM named JOIN messages q
        ON q.uid = CASE named.role WHEN 'assistant' THEN named.reply_to WHEN 'user' THEN named.uid END AND q.user_uid = ${user}),
    chat AS (
      SELECT uid FROM chats
      WHERE uid = (SELECT chat_uid FROM question) AND user_uid = ${user} AND deleted_at IS NULL)`

/** The answer's message and its chat's totals. In a deleted chat the charge counts and the text is not kept. */
export const chatSettle: DoorSettle = ({ text, reasoning }) => ({
  writes: sql`
    answered AS (
      UPDATE messages SET
        message = CASE WHEN chats.deleted_at IS NULL THEN ${text}::text ELSE '' END,
        reasoning = CASE WHEN chats.deleted_at IS NULL THEN nullif(${reasoning}::text, '') END,
        status = settled.status,
        finish_reason = settled.finish_reason,
        token_used = coalesce(settled.total_tokens, 0),
        credit_spent = settled.cost
      FROM settled, chats
      WHERE messages.uid = settled.message_uid AND messages.user_uid = settled.user_uid AND chats.uid = settled.chat_uid),
    totalled AS (
      UPDATE chats SET
        total_token_used = chats.total_token_used + coalesce(settled.total_tokens, 0),
        total_credit_spent = chats.total_credit_spent + settled.cost,
        updated_at = settled.settled_at
      FROM settled WHERE chats.uid = settled.chat_uid AND chats.user_uid = settled.user_uid
      RETURNING chats.*)`,
  result: sql`(SELECT to_jsonb(totalled) FROM totalled WHERE deleted_at IS NULL)`,
})
