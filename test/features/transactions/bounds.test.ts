/** The bounds of the contract as the database knows them: what a fault of ours would write is not written. */
import { sql } from 'drizzle-orm'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { newId } from '../../../src/core/id.ts'
import { type Bank, openBank } from './bank.ts'

let bank: Bank
let uids: Record<'accounts' | 'chats' | 'messages' | 'generations' | 'models' | 'keys', string>
beforeAll(async () => {
  bank = await openBank()
  const person = await bank.world.richPerson(10)
  const { modelUid } = await bank.world.model()
  const { chatUid } = (await person.post<{ chatUid: string }>('/api/chat/create')).body
  const json = { role: 'user', message: 'hello', chatUid, modelUid }
  const { assistantMessage } = (await person.post<any>('/api/chat/message', json)).body
  const [row] = await bank.rows<{ uid: string }>(
    sql`SELECT uid FROM generations WHERE message_uid = ${assistantMessage.uid}`,
  )
  const key = newId()
  await bank.rows(sql`INSERT INTO keys (uid, user_uid, name, digest, hint, revoked_at)
    VALUES (${key}::uuid, ${person.uid}::uuid, 'k', ${key}, 'h', now())`)
  uids = {
    ...{ accounts: person.uid, chats: chatUid, messages: assistantMessage.uid },
    ...{ generations: row!.uid, models: modelUid, keys: key },
  }
})
afterAll(() => bank?.close())

const TEN_MILLION = 10_000_000_000_000
const A_BILLION = 1_000_000_000_000_000

test.each([
  ['accounts', 'balance = -1', 'accounts_balance'],
  ['accounts', `balance = ${A_BILLION + 1}`, 'accounts_balance'],
  ['accounts', 'held = -1', 'accounts_held'],
  ['accounts', 'held = balance + 1', 'accounts_held'],
  ['accounts', 'seq = -1', 'accounts_seq'],
  ['generations', 'hold = -1', 'generations_money'],
  ['generations', `hold = ${TEN_MILLION + 1}`, 'generations_money'],
  ['generations', 'cost = -1', 'generations_money'],
  ['generations', `cost = ${TEN_MILLION + 1}`, 'generations_money'],
  ['generations', 'cost = NULL', 'generations_money'],
  ['generations', 'shortfall = -1', 'generations_money'],
  ['generations', 'balance_after = -1', 'generations_money'],
  ['generations', 'settled_at = NULL', 'generations_settled'],
  ['generations', 'input_rate = 0', 'generations_rates'],
  ['generations', 'output_rate = 1000000000001', 'generations_rates'],
  ['generations', 'rate_per = 0', 'generations_rates'],
  ['generations', 'allowed_tokens = 0', 'generations_tokens'],
  ['generations', 'prompt_tokens = -1', 'generations_tokens'],
  ['generations', 'completion_tokens = 1000000001', 'generations_tokens'],
  ['generations', 'total_tokens = 2000000001', 'generations_tokens'],
  ['chats', 'total_credit_spent = -1', 'chats_totals'],
  ['chats', 'total_token_used = -1', 'chats_totals'],
  ['messages', 'credit_spent = -1', 'messages_counts'],
  ['messages', 'token_used = -1', 'messages_counts'],
  ['models', 'token_cost_micros = 0', 'models_token_cost'],
  ['models', `token_cost_micros = ${A_BILLION + 1}`, 'models_token_cost'],
  ['models', 'input_price = 1', 'models_prices'],
  ['models', 'cached_input_price = 1', 'models_prices'],
  ['models', 'input_price = 1, output_price = 0', 'models_prices'],
  ['models', 'input_price = 1, output_price = 1000000000001', 'models_prices'],
  ['models', 'context_tokens = 0', 'models_tokens'],
  ['models', 'context_tokens = 100000001', 'models_tokens'],
  ['models', 'max_output_tokens = context_tokens', 'models_tokens'],
  ['keys', 'spent = -1', 'keys_money'],
  ['keys', 'held = -1', 'keys_money'],
  ['keys', `budget = ${A_BILLION + 1}`, 'keys_money'],
] as const)('%s: %s', async (table, change, constraint) => {
  const column = table === 'accounts' ? 'user_uid' : 'uid'
  const written = bank.rows(sql.raw(`UPDATE ${table} SET ${change} WHERE ${column} = '${uids[table]}'`))
  await expect(written).rejects.toMatchObject({ cause: { code: '23514', constraint } })
})

test.each([
  ['PURCHASE', 0, 'transactions_amount'],
  ['PURCHASE', TEN_MILLION + 1, 'transactions_amount'],
  ['GENERATION_COST', -TEN_MILLION - 1, 'transactions_amount'],
  ['PURCHASE', -1, 'transactions_type'],
  ['REFUND', -1, 'transactions_type'],
  ['GENERATION_COST', 1, 'transactions_type'],
  ['GIFT', 1, 'transactions_type'],
])('transactions: %s of %i', async (type, amount, constraint) => {
  const written = bank.rows(sql`
    INSERT INTO transactions (uid, user_uid, amount, type, description, balance_after, seq, created_at)
    VALUES (${newId()}::uuid, ${uids.accounts}::uuid, ${amount}::bigint, ${type}, '', 0, 1000000, now())`)
  await expect(written).rejects.toMatchObject({ cause: { code: '23514', constraint } })
})

test('one transaction an answer, and one running answer a chat', async () => {
  const again = bank.rows(sql`
    INSERT INTO transactions (uid, user_uid, amount, type, description, balance_after, seq, generation_uid, created_at)
    SELECT ${newId()}::uuid, user_uid, amount, type, '', 0, 1000000, generation_uid, now()
    FROM transactions WHERE generation_uid = ${uids.generations}::uuid`)
  await expect(again).rejects.toMatchObject({ cause: { constraint: 'transactions_generation_key' } })
  const columns = sql.raw(
    `user_uid, door, model_uid, model_name, chat_uid, input_rate, cached_input_rate, output_rate, rate_per,
    prompt_estimate, allowed_tokens`,
  )
  const two = bank.rows(sql`
    INSERT INTO generations (uid, ${columns}, status, hold, lease_until, created_at)
    SELECT n, ${columns}, 'RUNNING', 0, now(), now()
    FROM generations, (VALUES (${newId()}::uuid), (${newId()}::uuid)) AS v (n) WHERE uid = ${uids.generations}::uuid`)
  await expect(two).rejects.toMatchObject({ cause: { constraint: 'generations_running_in_chat' } })
})
