import type { UpstreamUsage } from './port.ts'

/** A JSON object (not an array). */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

// More than any model can count: above it a number is a mistake or an attack on the price.
const MAX_TOKENS = 1_000_000_000

export function count(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= MAX_TOKENS
    ? value
    : undefined
}

function countIn(value: unknown, key: string): number | undefined {
  return isRecord(value) ? count(value[key]) : undefined
}

/** A difference is only knowledge if it is not negative. */
function rest(total: number | undefined, part: number | undefined): number | undefined {
  return total === undefined || part === undefined || total < part ? undefined : total - part
}

/**
 * Reads one `usage` object. Undefined if it holds no valid count of prompt or completion: a total alone does not say
 * what of it costs which price. A missing total is prompt + completion; a missing part follows from the total if it can.
 */
export function readUsage(value: unknown): UpstreamUsage | undefined {
  if (!isRecord(value)) return undefined
  const total = count(value.total_tokens)
  const reportedPrompt = count(value.prompt_tokens)
  const reportedCompletion = count(value.completion_tokens)
  if (reportedPrompt === undefined && reportedCompletion === undefined) return undefined
  const prompt = reportedPrompt ?? rest(total, reportedCompletion)
  const completion = reportedCompletion ?? rest(total, reportedPrompt)
  const usage: UpstreamUsage = {
    promptTokens: prompt ?? 0,
    completionTokens: completion ?? 0,
    totalTokens: total ?? (prompt ?? 0) + (completion ?? 0),
  }
  const missing: Array<'prompt' | 'completion'> = []
  if (prompt === undefined) missing.push('prompt')
  if (completion === undefined) missing.push('completion')
  if (missing.length > 0) usage.missing = missing
  const cached = countIn(value.prompt_tokens_details, 'cached_tokens') ?? count(value.prompt_cache_hit_tokens)
  if (cached !== undefined && prompt !== undefined) usage.cachedTokens = Math.min(cached, prompt)
  const reasoning = countIn(value.completion_tokens_details, 'reasoning_tokens')
  if (reasoning !== undefined) usage.reasoningTokens = reasoning
  return usage
}

/** The usage of one upstream object, wherever it stands: on top, in the first choice, in `x_groq`. */
export function usageOf(object: Record<string, unknown>): UpstreamUsage | undefined {
  const top = readUsage(object.usage)
  if (top !== undefined) return top
  const first: unknown = Array.isArray(object.choices) ? object.choices[0] : undefined
  return (
    (isRecord(first) ? readUsage(first.usage) : undefined) ??
    (isRecord(object.x_groq) ? readUsage(object.x_groq.usage) : undefined)
  )
}
