import { type SQL, sql } from 'drizzle-orm'
import { creditsIn } from './ledger.ts'
import type { Difference } from './schema.ts'

// Generations, messages and the rest are named in SQL and not imported: those rooms are built on this one.

/** What the sweep finishes each minute is a fault once it is this old. */
const OVERDUE = sql`interval '5 minutes'`

/** What a chat's answer may leave no text for: the upstream called a tool that nobody had offered. */
const TOOL_ENDS = sql`('tool_calls', 'function_call')`

/** The big tables, each joined once to what stands beside it: every rule below reads these. */
export const sources: Record<string, SQL> = {
  ledger: sql`
    SELECT uid, user_uid, amount, balance_after, sum(amount) OVER (PARTITION BY user_uid ORDER BY seq) AS running
    FROM transactions`,
  charges: sql`
    SELECT t.uid, t.amount, t.user_uid, g.uid AS generation, g.user_uid AS owner, g.status, g.cost
    FROM (SELECT * FROM transactions WHERE generation_uid IS NOT NULL) t FULL JOIN generations g ON g.uid = t.generation_uid
    WHERE t.uid IS NULL AND g.cost > 0 OR t.uid IS NOT NULL
      AND (g.uid IS NULL OR g.user_uid <> t.user_uid OR g.status = 'RUNNING' OR g.cost <> -t.amount)`,
  // Every generation with its messages; and messages that none wrote (no uid), as far as anything is odd about them.
  answers: sql`
    SELECT g.uid, g.user_uid, g.door, g.status, g.finish_reason, g.hold, g.cost, g.total_tokens, g.lease_until,
      g.key_uid, k.user_uid AS key_owner, g.chat_uid, c.user_uid AS chat_owner, c.deleted_at IS NULL AS is_kept,
      g.message_uid, m.uid AS text_uid, m.user_uid AS text_owner, m.chat_uid AS text_chat, m.status AS text_status,
      m.message = '' AND coalesce(m.reasoning, '') = '' AS is_empty, m.credit_spent, m.token_used,
      g.user_message_uid, q.user_uid AS question_owner, q.chat_uid AS question_chat
    FROM generations g
    FULL JOIN messages m ON m.uid = g.message_uid
    LEFT JOIN messages q ON q.uid = g.user_message_uid
    LEFT JOIN chats c ON c.uid = CASE WHEN g.uid IS NULL THEN m.chat_uid ELSE g.chat_uid END
    LEFT JOIN keys k ON k.uid = g.key_uid
    WHERE g.uid IS NOT NULL OR c.user_uid IS DISTINCT FROM m.user_uid
      OR m.status = 'STREAMING' OR m.credit_spent <> 0 OR m.token_used <> 0`,
  spent: sql`SELECT chat_uid, sum(cost) AS cost, sum(total_tokens) AS tokens FROM answers WHERE chat_uid IS NOT NULL GROUP BY 1`,
}

/** A count of micro-credits as the JSON number of its credits. */
const money = (micros: SQL): SQL => sql`to_jsonb(${creditsIn(micros)})`

const sumOf = (what: SQL, by: SQL, which: SQL = sql`true`): SQL =>
  sql`(SELECT ${by} AS of, sum(${what}) AS sum FROM answers WHERE ${which} GROUP BY 1)`

/** Each query says of one kind: who or what differs, what should be, what is, and a word about it. */
export const kinds: Record<Difference['kind'], SQL> = {
  // Invariant: a balance is the sum of its transactions.
  balance: sql`
    SELECT a.user_uid AS subject, ${money(sql`coalesce(t.sum, 0)`)} AS expected, ${money(sql`a.balance`)} AS actual,
      'The balance is not the sum of the transactions.' AS detail
    FROM accounts a LEFT JOIN (SELECT user_uid, sum(amount) AS sum FROM ledger GROUP BY 1) t ON t.user_uid = a.user_uid
    WHERE a.balance <> coalesce(t.sum, 0)`,
  // Invariant: each transaction says the sum of those up to it.
  balance_after: sql`
    SELECT uid, ${money(sql`running`)}, ${money(sql`balance_after`)},
      'The balance after it is not the sum of the transactions up to it.'
    FROM ledger WHERE balance_after <> running`,
  // Invariant: what is held is what the running generations hold; of a key likewise, and its spending is their cost.
  held: sql`
    SELECT a.user_uid, ${money(sql`coalesce(g.sum, 0)`)}, ${money(sql`a.held`)},
      'What is held is not what the running answers hold.'
    FROM accounts a LEFT JOIN ${sumOf(sql`hold`, sql`user_uid`, sql`status = 'RUNNING'`)} g ON g.of = a.user_uid
    WHERE a.held <> coalesce(g.sum, 0)`,
  key_spent: sql`
    SELECT k.uid, ${money(sql`coalesce(g.sum, 0)`)}, ${money(sql`k.spent`)},
      'What the key has spent is not what its answers cost.'
    FROM keys k LEFT JOIN ${sumOf(sql`cost`, sql`key_uid`, sql`key_uid IS NOT NULL`)} g ON g.of = k.uid
    WHERE k.spent <> coalesce(g.sum, 0)`,
  key_held: sql`
    SELECT k.uid, ${money(sql`coalesce(g.sum, 0)`)}, ${money(sql`k.held`)},
      'What the key holds is not what its running answers hold.'
    FROM keys k LEFT JOIN ${sumOf(sql`hold`, sql`key_uid`, sql`key_uid IS NOT NULL AND status = 'RUNNING'`)} g ON g.of = k.uid
    WHERE k.held <> coalesce(g.sum, 0)`,
  // Invariant: what cost something has its transaction, and what has one cost exactly that.
  charge_missing: sql`
    SELECT generation, ${money(sql`-cost`)}, NULL::jsonb, 'This answer was charged and has no transaction.'
    FROM charges WHERE uid IS NULL`,
  charge_unfounded: sql`
    SELECT uid, ${money(sql`CASE WHEN owner = user_uid AND status <> 'RUNNING' THEN -cost END`)}, ${money(sql`amount`)},
      CASE WHEN generation IS NULL THEN 'Its answer is not there.'
        WHEN owner <> user_uid THEN 'Its answer is another person''s.'
        WHEN status = 'RUNNING' THEN 'Its answer is not settled.'
        ELSE 'Its answer cost something else.' END
    FROM charges WHERE uid IS NOT NULL`,
  // Invariant: a message is STREAMING exactly while its generation is RUNNING, then as that one ended.
  message_status: sql`
    SELECT text_uid, to_jsonb(CASE status WHEN 'RUNNING' THEN 'STREAMING' ELSE status END), to_jsonb(text_status),
      CASE WHEN uid IS NULL THEN 'Nobody writes this message.' ELSE 'The message is not as its answer ended.' END
    FROM answers WHERE CASE WHEN uid IS NULL THEN text_status = 'STREAMING'
      ELSE text_status <> CASE status WHEN 'RUNNING' THEN 'STREAMING' ELSE status END END`,
  // Invariant: answers stand in chats of the person who asked. Once for each chat; the messages in it follow it.
  chat_foreign: sql`
    SELECT DISTINCT ON (chat_uid) chat_uid AS subject, to_jsonb(user_uid), to_jsonb(chat_owner), 'The chat is not of the person whose answers stand in it.'
    FROM answers WHERE chat_owner <> user_uid ORDER BY chat_uid`,
  // Invariant: an answer in a chat has a question and a message, of that person and in that chat.
  message_missing: sql`
    SELECT uid, to_jsonb(CASE WHEN text_uid IS NULL THEN message_uid ELSE user_message_uid END), NULL::jsonb,
      CASE WHEN text_uid IS NULL THEN 'The message of this answer is not there.'
        ELSE 'The question of this answer is not there.' END
    FROM answers WHERE (door = 'chat' OR message_uid IS NOT NULL) AND (text_uid IS NULL OR question_owner IS NULL)`,
  message_moved: sql`
    SELECT DISTINCT ON (subject) * FROM (
      ${movedFrom(sql`text_uid`, sql`text_owner`, sql`text_chat`)}
      UNION ALL ${movedFrom(sql`user_message_uid`, sql`question_owner`, sql`question_chat`)}
      UNION ALL SELECT text_uid, to_jsonb(text_owner), to_jsonb(chat_owner), 'The message stands in another person''s chat.'
        FROM answers WHERE uid IS NULL AND chat_owner <> text_owner AND text_chat NOT IN (SELECT subject FROM chat_foreign)
    ) moved ORDER BY subject`,
  // Invariant: who paid for a text has it, unless the chat was deleted.
  message_emptied: sql`
    SELECT text_uid, ${money(sql`cost`)}, to_jsonb(''::text), 'It was charged for, its chat is there, and its text is not.'
    FROM answers WHERE cost > 0 AND is_empty AND is_kept AND coalesce(finish_reason, '') NOT IN ${TOOL_ENDS}`,
  // Invariant: a message says what its answer cost and used, and a chat the sum of its answers.
  message_spent: sql`
    SELECT text_uid, ${money(sql`CASE WHEN uid IS NOT NULL THEN coalesce(cost, 0) END`)}, ${money(sql`credit_spent`)},
      'What the message says to have cost is not what its answer cost.'
    FROM answers WHERE credit_spent <> coalesce(cost, 0)`,
  message_tokens: sql`
    SELECT text_uid, to_jsonb(CASE WHEN uid IS NOT NULL THEN coalesce(total_tokens, 0) END), to_jsonb(token_used),
      'The tokens of the message are not those of its answer.'
    FROM answers WHERE token_used <> coalesce(total_tokens, 0)`,
  chat_spent: sql`
    SELECT c.uid, ${money(sql`coalesce(g.cost, 0)`)}, ${money(sql`c.total_credit_spent`)},
      'What the chat has spent is not what its answers cost.'
    FROM chats c LEFT JOIN spent g ON g.chat_uid = c.uid
    WHERE c.total_credit_spent <> coalesce(g.cost, 0)`,
  chat_tokens: sql`
    SELECT c.uid, to_jsonb(coalesce(g.tokens, 0)), to_jsonb(c.total_token_used),
      'The tokens of the chat are not those of its answers.'
    FROM chats c LEFT JOIN spent g ON g.chat_uid = c.uid
    WHERE c.total_token_used <> coalesce(g.tokens, 0)`,
  // Invariant: what others stand on is there, and theirs. A row that is gone is named once, whatever stood on it.
  user_missing: sql`
    SELECT s.of, to_jsonb('a person'::text), NULL::jsonb, 'Nobody is there whose ' || string_agg(s.what, ', ' ORDER BY s.what) || ' remain.'
    FROM (${sql.join(
      ['accounts', 'ledger', 'answers', 'chats', 'keys', 'idempotency', 'outbox'].map(
        (table) =>
          sql`SELECT user_uid AS of, ${wordFor(table)}::text AS what FROM ${sql.raw(table)} GROUP BY 1`,
      ),
      sql` UNION ALL `,
    )}) s LEFT JOIN users u ON u.uid = s.of
    WHERE u.uid IS NULL AND s.of IS NOT NULL GROUP BY 1`,
  account_missing: sql`
    SELECT u.uid, to_jsonb('an account'::text), NULL::jsonb, 'This person has no account.'
    FROM users u LEFT JOIN accounts a ON a.user_uid = u.uid WHERE a.user_uid IS NULL`,
  chat_missing: sql`
    SELECT of, to_jsonb('a chat'::text), NULL::jsonb, 'The chat is not there whose ' || string_agg(what, ', ' ORDER BY what) || ' remain.'
    FROM (
      SELECT CASE WHEN uid IS NULL THEN text_chat ELSE coalesce(chat_uid, uid) END AS of,
        CASE WHEN uid IS NULL THEN 'messages' ELSE 'answers' END AS what
      FROM answers WHERE chat_owner IS NULL AND (uid IS NULL OR door = 'chat' OR chat_uid IS NOT NULL) GROUP BY 1, 2) s
    GROUP BY 1`,
  key_missing: sql`
    SELECT DISTINCT ON (key_uid) key_uid, to_jsonb(user_uid), to_jsonb(key_owner),
      CASE WHEN key_owner IS NULL THEN 'The key is not there that answers were asked for with.'
        ELSE 'The key is not of the person whose answers were asked for with it.' END
    FROM answers WHERE key_uid IS NOT NULL AND key_owner IS DISTINCT FROM user_uid ORDER BY key_uid`,
  // Invariant: an Idempotency-Key stands for something of whoever sent it. As text: a broken uid breaks no cast.
  idempotency_unfounded: sql`
    ${pointing(sql`i.generation_uid`, sql`generations t`, sql`t.user_uid`)}
    UNION ALL ${pointing(named('chatUid'), sql`chats t`, sql`t.user_uid`, told('chatUid'))}
    UNION ALL ${pointing(named('transactionUid'), sql`transactions t`, sql`coalesce(t.booked_by, t.user_uid)`, told('transactionUid'))}
    UNION ALL ${pointing(named('keyUid'), sql`keys t`, sql`t.user_uid`, told('keyUid'))}
    UNION ALL ${pointing(named('modelUid'), sql`models t`, sql`CASE WHEN t.uid IS NOT NULL THEN i.user_uid END`, told('modelUid'))}
    UNION ALL ${pointing(named('uid'), sql`messages t`, sql`t.user_uid`, told('uid'))}
    UNION ALL SELECT user_uid, NULL, NULL, 'The Idempotency-Key ' || key || ' stands for nothing.'
    FROM idempotency WHERE generation_uid IS NULL AND body IS NULL`,
  lease_expired: sql`
    SELECT uid, to_jsonb('settled'::text), to_jsonb(status),
      'The lease ended ' || round(extract(epoch FROM statement_timestamp() - lease_until)) || ' s ago.'
    FROM answers WHERE status = 'RUNNING' AND lease_until < statement_timestamp() - ${OVERDUE}`,
  outbox_waiting: sql`
    SELECT uid, to_jsonb('published'::text), to_jsonb(event),
      'It has waited for ' || round(extract(epoch FROM statement_timestamp() - created_at)) || ' s.'
    FROM outbox WHERE created_at < statement_timestamp() - ${OVERDUE}`,
}

/** A message, or a question, that stands with another person or in another chat than its answer. */
function movedFrom(uid: SQL, owner: SQL, chat: SQL): SQL {
  return sql`SELECT ${uid} AS subject, to_jsonb(CASE WHEN ${owner} <> user_uid THEN user_uid ELSE chat_uid END) AS expected,
        to_jsonb(CASE WHEN ${owner} <> user_uid THEN ${owner} ELSE ${chat} END) AS actual,
        CASE WHEN ${owner} <> user_uid THEN 'The message is not of the person whose answer it belongs to.'
          ELSE 'The message is not in the chat of the answer it belongs to.' END AS detail
      FROM answers WHERE ${owner} <> user_uid OR ${chat} <> chat_uid`
}

/** The uid that an answer kept under a key tells, if it tells one. */
function named(member: string): SQL {
  const text = sql`(i.body ->> ${member}::text)`
  return sql`CASE WHEN ${text} ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' THEN ${text}::uuid END`
}

/** Keys whose answer tells this: few beside what they point to, which is then looked up and not read whole. */
function told(member: string): SQL {
  return sql`i.body ? ${member}::text`
}

/** Keys that stand for `uid` in a table where it is not, or is of somebody else. */
function pointing(uid: SQL, table: SQL, owner: SQL, which = sql`${uid} IS NOT NULL`): SQL {
  return sql`SELECT i.user_uid, to_jsonb(${uid}), to_jsonb(${owner}), 'The Idempotency-Key ' || i.key || ' stands for something '
      || CASE WHEN t.uid IS NULL THEN 'that is not there.' ELSE 'of another person.' END
    FROM idempotency i LEFT JOIN ${table} ON t.uid = ${uid}
    WHERE ${which} AND ${owner} IS DISTINCT FROM i.user_uid`
}

function wordFor(table: string): string {
  return { ledger: 'transactions', idempotency: 'keys of requests', outbox: 'events' }[table] ?? table
}
