/** A service with a past, made by the database itself. */
import type { Client } from 'pg'

/** Ids by kind and number, in order of their making as those of the service are. */
const uid = (kind: number, n: number) => {
  const hex = kind.toString(16).padStart(2, '0') + n.toString(16).padStart(10, '0')
  return `${hex.slice(0, 8)}-${hex.slice(8)}-7000-8000-000000000000`
}

/** The one whose requests are measured; somebody like everybody else, but for an administrator's role. */
export const person = {
  uid: uid(1, 50),
  session: uid(2, 50),
  model: uid(3, 1),
  chat: uid(4, 50 * 2),
  otherChat: uid(4, 50 * 2 + 1),
  answer: uid(5, 50 * 8 + 1),
  transaction: uid(6, 50 * 10),
  mail: '50@test.example',
  phone: '+10000000050',
  keyDigest: 'digest-50',
}

/** Two like everybody else: one gets blocked, one closes the account. */
export const blocked = { uid: uid(1, 51) }
export const leaving = { uid: uid(1, 52), session: uid(2, 52) }

/** The same in SQL. */
const id = (kind: number, n: string) =>
  `('${kind.toString(16).padStart(2, '0')}' || lpad(to_hex(${n}), 10, '0') || '70008000000000000000')::uuid`

/**
 * Of each of `people`: an open session and an ended one, 10 transactions, 2 chats of 4 messages, 4 answers, a used
 * Idempotency-Key, an API key; of one in a hundred an answer that is being written, of one in twenty an event that waits
 * to be published. A person's rows stand together, and a second lies between two rows of a kind, whatever the size: what
 * differs is the way to them. The books agree.
 */
export async function fill(client: Client, people: number): Promise<void> {
  const each = (times: number) => `generate_series(0, ${people * times - 1}) AS n`
  const when = (times: number) => `now() - (${people * times} - n) * interval '1 s'`
  const rates = '1000000000000, 1000000000000, 1000000000000, 1000000000'
  const some = (one: number) => `generate_series(0, ${people / one - 1}) AS n`
  const runner = id(1, 'n * 100')
  const statements = [
    // Nothing here is wrong, so that nothing need be checked: it halves the time.
    "SET session_replication_role = 'replica'",
    // The administrator stands last: whoever reads from end to end shall not find one by luck.
    `INSERT INTO users (uid, first_name, last_name, mail, phone, role, status, password_hash, created_at)
      SELECT ${id(1, 'n')}, 'Some', 'Body', n || '@test.example', '+1' || lpad(n::text, 10, '0'),
        CASE WHEN n = 50 THEN 'ADMIN' ELSE 'USER' END, 'ACTIVE', 'hash', ${when(1)} FROM ${each(1)} ORDER BY n = 50, n`,
    `INSERT INTO accounts (user_uid, balance, held, seq)
      SELECT ${id(1, 'n')}, 10000000, CASE n % 100 WHEN 0 THEN 120000 ELSE 0 END, 10 FROM ${each(1)}`,
    `INSERT INTO sessions (uid, user_uid, rotated_at, expires_at, ended_at)
      SELECT ${id(2, 'n')}, ${id(1, `n % ${people}`)}, now(), now() + interval '1 day',
        CASE WHEN n >= ${people} THEN now() - interval '1 day' END FROM ${each(2)}`,
    `INSERT INTO keys (uid, user_uid, name, digest, hint)
      SELECT ${id(8, 'n')}, ${id(1, 'n')}, 'mine', 'digest-' || n, 'abcd' FROM ${each(1)}`,
    `INSERT INTO models (uid, name, description, type, api_link, token_cost_micros, context_tokens)
      SELECT ${id(3, 'n')}, 'model-' || n, '', 'm', 'https://models.example/v1', 1000000000, 16384 FROM generate_series(1, 20) AS n`,
    `INSERT INTO chats (uid, user_uid, title, total_credit_spent, created_at, updated_at)
      SELECT ${id(4, 'n')}, ${id(1, 'n / 2')}, 'chat ' || n, 2000000, ${when(2)}, now() FROM ${each(2)}`,
    `INSERT INTO messages (uid, user_uid, chat_uid, model_uid, role, reply_to, message, status, credit_spent, created_at)
      SELECT ${id(5, 'n')}, ${id(1, 'n / 8')}, ${id(4, 'n / 4')}, ${id(3, '1')},
        CASE n % 2 WHEN 0 THEN 'user' ELSE 'assistant' END, CASE n % 2 WHEN 1 THEN ${id(5, 'n - 1')} END,
        'Some words of message ' || n, 'COMPLETED', n % 2 * 1000000, ${when(8)} FROM ${each(8)}`,
    `INSERT INTO generations (uid, user_uid, door, model_uid, model_name, chat_uid, user_message_uid, message_uid, status, input_rate,
        cached_input_rate, output_rate, rate_per, prompt_estimate, allowed_tokens, hold, cost, shortfall, balance_after, lease_until, created_at, settled_at)
      SELECT ${id(7, 'n')}, ${id(1, 'n / 4')}, 'chat', ${id(3, '1')}, 'model-1', ${id(4, 'n / 2')}, ${id(5, 'n * 2')},
        ${id(5, 'n * 2 + 1')}, 'COMPLETED', ${rates}, 20, 100, 120000, 1000000, 0, 10000000, now(), ${when(4)}, now() FROM ${each(4)}`,
    `INSERT INTO transactions (uid, user_uid, amount, type, description, balance_after, seq, generation_uid, created_at)
      SELECT ${id(6, 'n')}, ${id(1, 'n / 10')},
        CASE n % 10 WHEN 0 THEN 13000000 WHEN 1 THEN 1000000 WHEN 2 THEN -1000000 WHEN 3 THEN -1000000 WHEN 4 THEN -1000000 WHEN 5 THEN -1000000 WHEN 6 THEN 1000000 WHEN 7 THEN -1000000 WHEN 8 THEN 1000000 ELSE -1000000 END,
        CASE n % 10 WHEN 0 THEN 'PURCHASE' WHEN 1 THEN 'REFUND' WHEN 2 THEN 'GENERATION_COST' WHEN 3 THEN 'GENERATION_COST' WHEN 4 THEN 'GENERATION_COST' WHEN 5 THEN 'GENERATION_COST' ELSE 'ADJUSTMENT' END,
        'Then', (ARRAY[13, 14, 13, 12, 11, 10, 11, 10, 11, 10])[n % 10 + 1] * 1000000, n % 10 + 1, CASE WHEN n % 10 BETWEEN 2 AND 5 THEN ${id(7, 'n / 10 * 4 + n % 10 - 2')} END, ${when(10)} FROM ${each(10)}`,
    `INSERT INTO idempotency (user_uid, key, fingerprint, status, generation_uid, created_at)
      SELECT ${id(1, 'n')}, 'key-' || n, 'f', 201, ${id(7, 'n * 4')}, ${when(1)} FROM ${each(1)}`,
    `INSERT INTO messages (uid, user_uid, chat_uid, model_uid, role, reply_to, message, status, created_at)
      SELECT ${id(9, 'm')}, ${id(1, 'm / 2 * 100')}, ${id(4, 'm / 2 * 200')}, ${id(3, '1')},
        CASE m % 2 WHEN 0 THEN 'user' ELSE 'assistant' END, CASE m % 2 WHEN 1 THEN ${id(9, 'm - 1')} END, '',
        CASE m % 2 WHEN 0 THEN 'COMPLETED' ELSE 'STREAMING' END, now()
      FROM generate_series(0, ${people / 50 - 1}) AS m`,
    `INSERT INTO generations (uid, user_uid, door, model_uid, model_name, chat_uid, user_message_uid, message_uid, status, input_rate,
        cached_input_rate, output_rate, rate_per, prompt_estimate, allowed_tokens, hold, lease_until, created_at)
      SELECT ${id(10, 'n')}, ${runner}, 'chat', ${id(3, '1')}, 'model-1', ${id(4, 'n * 200')}, ${id(9, 'n * 2')},
        ${id(9, 'n * 2 + 1')}, 'RUNNING', ${rates}, 20, 100, 120000, now() + interval '1 day', now() FROM ${some(100)}`,
    `INSERT INTO outbox (uid, user_uid, event, data, created_at)
      SELECT ${id(11, 'n')}, ${id(1, 'n * 20')}, 'new_transaction', '{}', now() + interval '1 day' FROM ${some(20)}`,
    "SET session_replication_role = 'origin'",
    'VACUUM ANALYZE',
  ]
  for (const statement of statements) await client.query(statement)
}
