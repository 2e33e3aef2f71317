import { toCredits } from '../../core/credits.ts'
import type { Failure } from '../../core/failure.ts'
import type { Usage } from '../inference/billing.ts'
import type { GenerationRow } from '../inference/settle.ts'

/** A row of `messages` as JSON of Postgres. */
export interface MessageRow {
  uid: string
  chat_uid: string
  model_uid: string | null
  role: 'system' | 'user' | 'assistant'
  message: string
  reasoning: string | null
  status: 'STREAMING' | 'COMPLETED' | 'STOPPED' | 'FAILED'
  finish_reason: string | null
  token_used: number
  credit_spent: number
  created_at: string
}

export interface ChatRow {
  uid: string
  title: string | null
  total_token_used: number
  total_credit_spent: number
  created_at: string
  updated_at: string
}

export const chatOut = (row: ChatRow) => ({
  uid: row.uid,
  title: row.title,
  createdAt: iso(row.created_at),
  updatedAt: iso(row.updated_at),
  totalTokenUsed: row.total_token_used,
  totalCreditSpent: toCredits(row.total_credit_spent),
})

export const messageOut = (row: MessageRow) => ({
  uid: row.uid,
  chatUid: row.chat_uid,
  modelUid: row.model_uid,
  role: row.role,
  message: row.message,
  ...(row.reasoning === null ? {} : { reasoning: row.reasoning }),
  status: row.status,
  ...(row.finish_reason === null ? {} : { finishReason: row.finish_reason }),
  tokenUsed: row.token_used,
  creditSpent: toCredits(row.credit_spent),
  createdAt: iso(row.created_at),
})

export type MessageOut = ReturnType<typeof messageOut>

/** The usage that a generation was settled by; null when it produced nothing. */
export function usageOf(row: GenerationRow): Usage | null {
  if (row.usage_source === null || row.prompt_tokens === null || row.completion_tokens === null) return null
  return {
    promptTokens: row.prompt_tokens,
    completionTokens: row.completion_tokens,
    totalTokens: row.total_tokens ?? row.prompt_tokens + row.completion_tokens,
    ...(row.cached_tokens === null ? {} : { cachedTokens: row.cached_tokens }),
    ...(row.reasoning_tokens === null ? {} : { reasoningTokens: row.reasoning_tokens }),
    source: row.usage_source,
  }
}

export const iso = (text: string): string => new Date(text).toISOString()

/** How an exchange ended: what a caller is told in either form. */
export interface Answered {
  userMessage: MessageOut
  assistantMessage: MessageOut
  usage: ReturnType<typeof usageOf>
  cost: number
  newBalance: number
  /** Why the answer is FAILED. */
  failure: Failure | undefined
}
