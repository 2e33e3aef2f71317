/** What the books must say once the dust has settled, beside what the audit asks of any service. */
import { type SQL, sql } from 'drizzle-orm'
import type { openBank } from '../features/transactions/bank.ts'
import type { Said } from '../support/chaotic.ts'

/** What the last try of a request was told; without a status its connection was lost. */
export interface Answer {
  status: number | undefined
  code: string | undefined
}

/** What says that nothing is decided yet, or that nobody knows. */
const OPEN = ['unavailable', 'settlement_pending', 'internal_error', 'idempotency_in_progress']
/** Refused before the hold: nothing is kept, and the same may succeed later. */
const REFUSED = [
  ...['insufficient_credits', 'generation_in_progress', 'too_many_generations', 'rate_limited'],
  ...['chat_not_found', 'model_not_found', 'model_cooling_down', 'message_too_long'],
]

export const isDefinite = ({ status, code }: Answer): boolean =>
  status !== undefined && !OPEN.includes(code ?? '')

interface Generation {
  uid: string
  status: string
  cost: string
  shortfall: string
  source: string | null
  prompt_tokens: number
  completion_tokens: number
  total_tokens: number
  prompt_estimate: number
  input_rate: string
  output_rate: string
  rate_per: string
  /** Empty in a chat that was deleted. */
  question: string
  text: string
  is_kept: boolean
}

const many = (values: string[]): Record<string, number> => {
  const counts: Record<string, number> = {}
  for (const value of values) counts[value] = (counts[value] ?? 0) + 1
  return counts
}

/** @param told by key: what each send and each purchase was told last; by question: what the upstream said */
export async function booksAfter(
  bank: Awaited<ReturnType<typeof openBank>>,
  people: { uid: string; word: string }[],
  told: { sends: Map<string, Answer>; purchases: Map<string, Answer>; said: Map<string, Said[]> },
) {
  const differences: unknown[] = []
  const ours = sql`(SELECT uid FROM users WHERE uid IN (${sql.join(
    people.map(({ uid }) => sql`${uid}::uuid`),
    sql`, `,
  )}))`
  const none = async (what: string, query: SQL) => {
    for (const row of await bank.rows(query)) differences.push({ what, ...row })
  }
  await none(
    'holds are left',
    sql`SELECT user_uid, held FROM accounts WHERE held <> 0 AND user_uid IN ${ours}`,
  )
  await none(
    'a balance is not its transactions',
    sql`SELECT user_uid, balance FROM accounts a WHERE user_uid IN ${ours} AND (balance < 0 OR
      balance <> (SELECT coalesce(sum(amount), 0) FROM transactions t WHERE t.user_uid = a.user_uid))`,
  )
  await none(
    'a generation is not settled',
    sql`SELECT uid, status FROM generations WHERE user_uid IN ${ours} AND (status = 'RUNNING' OR settled_at IS NULL)`,
  )
  await none(
    'charged without a text',
    sql`SELECT g.uid FROM generations g JOIN messages m ON m.uid = g.message_uid JOIN chats c ON c.uid = m.chat_uid
      WHERE g.user_uid IN ${ours} AND g.cost > 0 AND c.deleted_at IS NULL AND m.message = ''`,
  )
  await none(
    'a text in a chat of somebody else',
    sql`SELECT m.uid FROM messages m JOIN chats c ON c.uid = m.chat_uid
      WHERE m.user_uid IN ${ours} AND c.user_uid <> m.user_uid`,
  )
  for (const { uid, word } of people)
    await none(
      `a text that is not of ${word}`,
      sql`SELECT uid FROM messages WHERE user_uid = ${uid}::uuid AND message <> '' AND message NOT LIKE ${`%${word} %`}`,
    )

  // One key, one booking: a question has a number of its own, and a purchase its key as its description.
  await none(
    'a question was stored more than once',
    sql`SELECT message, count(*) FROM messages WHERE user_uid IN ${ours} AND role = 'user' AND message <> ''
      GROUP BY 1 HAVING count(*) > 1`,
  )
  await none(
    'a question was answered more than once',
    sql`SELECT user_message_uid, count(*) FROM generations WHERE user_uid IN ${ours} GROUP BY 1 HAVING count(*) > 1`,
  )
  await none(
    'two keys stand for one answer',
    sql`SELECT generation_uid, count(*) FROM idempotency
      WHERE user_uid IN ${ours} AND generation_uid IS NOT NULL GROUP BY 1 HAVING count(*) > 1`,
  )

  const kept = new Map(
    (
      await bank.rows<{ key: string; status: string | null }>(sql`
        SELECT i.key, g.status FROM idempotency i LEFT JOIN generations g ON g.uid = i.generation_uid AND g.user_uid = i.user_uid
        WHERE i.user_uid IN ${ours}`)
    ).map(({ key, status }) => [key, status]),
  )
  const outcomes = [...told.sends].map(([key, answer]) => {
    const status = kept.get(key)
    const isKept = kept.has(key)
    if (isKept && (status === null || status === 'RUNNING'))
      differences.push({ what: 'a key that stands for nothing', key, status })
    if (isDefinite(answer)) {
      const isRefused = REFUSED.includes(answer.code ?? '')
      if (isRefused === isKept)
        differences.push({ what: 'a send was told something else', key, answer, status })
      return answer.code ?? String(answer.status)
    }
    // The client gave up asking: either it never came to a hold, or an answer was settled without it.
    return isKept ? `given up, found ${status}` : 'given up, never held'
  })

  const booked = many(
    (
      await bank.rows<{ description: string }>(
        sql`SELECT description FROM transactions WHERE user_uid IN ${ours} AND description LIKE 'top-%'`,
      )
    ).map(({ description }) => description),
  )
  for (const [key, count] of Object.entries(booked))
    if (count !== 1 || !told.purchases.has(key))
      differences.push({ what: 'a purchase was booked twice', key, count })
  const purchases = [...told.purchases].map(([key, answer]) => {
    const isBooked = key in booked
    if (isDefinite(answer) && (answer.status === 201) !== isBooked)
      differences.push({ what: 'a purchase was told something else', key, answer, isBooked })
    return isDefinite(answer)
      ? (answer.code ?? String(answer.status))
      : `given up, ${isBooked ? 'booked' : 'not booked'}`
  })

  const generations = await bank.rows<Generation & Record<string, unknown>>(sql`
    SELECT g.uid, g.status, g.cost, g.shortfall, g.usage_source AS source, g.prompt_tokens::int, g.completion_tokens::int,
      g.total_tokens::int, g.prompt_estimate::int, g.input_rate, g.output_rate, g.rate_per,
      coalesce(q.message, '') AS question, coalesce(m.message, '') AS text, c.deleted_at IS NULL AS is_kept
    FROM generations g LEFT JOIN messages q ON q.uid = g.user_message_uid LEFT JOIN messages m ON m.uid = g.message_uid
    LEFT JOIN chats c ON c.uid = g.chat_uid WHERE g.user_uid IN ${ours}`)
  const charged = generations.filter(({ cost }) => Number(cost) > 0)
  for (const each of charged) {
    const why = unpaid(each, told.said.get(each.question) ?? [])
    if (why)
      differences.push({
        what: 'a charge that its text does not explain',
        why,
        ...each,
        text: each.text.slice(0, 200),
      })
  }
  return {
    differences,
    generations: generations.length,
    charges: charged.length,
    outcomes: many(outcomes),
    purchases: many(purchases),
  }
}

/** Why a charge is not what its stored text and the upstream's words make it; undefined when it is. */
function unpaid(row: Generation, said: Said[]): string | undefined {
  const output = Math.max(row.completion_tokens, row.total_tokens - row.prompt_tokens)
  const per = BigInt(row.rate_per)
  const value = BigInt(row.prompt_tokens) * BigInt(row.input_rate) + BigInt(output) * BigInt(row.output_rate)
  if ((value + per - 1n) / per !== BigInt(row.cost) + BigInt(row.shortfall))
    return 'the tokens make another price'
  // A deletion took question and text away, and with them what the upstream's words could be found by.
  if (!row.is_kept) return undefined
  const piece = `${row.question} `
  const pieces = row.text.length / piece.length
  if (row.text !== piece.repeat(Math.floor(pieces))) return 'the text is not what the upstream said'
  const heard = said.filter((call) => call.pieces >= pieces)
  if (heard.length === 0) return 'the text is longer than what the upstream said'
  if (row.source === 'estimated') {
    const bytes = Buffer.byteLength(row.text)
    if (row.completion_tokens !== Math.ceil(bytes / 4) || row.prompt_tokens !== row.prompt_estimate)
      return 'the estimate is not that of the text'
    return undefined
  }
  const isReported = heard.some(
    ({ pieces: all, usage }) =>
      usage?.prompt_tokens === row.prompt_tokens &&
      usage.completion_tokens === row.completion_tokens &&
      (row.status !== 'COMPLETED' || all === pieces),
  )
  return isReported ? undefined : 'the upstream reported another use of that text'
}
