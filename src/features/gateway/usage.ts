import { toCredits } from '../../core/credits.ts'
import { count } from '../../ports/upstream/usage.ts'
import type { GenerationRow } from '../inference/settle.ts'

/**
 * The usage that a client is told: what the upstream reported, with every member that it has, or the estimate, marked
 * as such; and what it cost.
 */
export function usageFor(generation: GenerationRow, reported: Record<string, unknown> | undefined) {
  const counts = {
    prompt_tokens: generation.prompt_tokens ?? 0,
    completion_tokens: generation.completion_tokens ?? 0,
    total_tokens: generation.total_tokens ?? 0,
  }
  const cost = toCredits(generation.cost ?? 0)
  if (!reported || generation.usage_source === 'estimated')
    return { ...counts, cost, ...(generation.usage_source ? { source: 'estimated' } : {}) }
  const { source: _, ...said } = reported
  // A number that could not be billed is not told either.
  const missing = Object.entries(counts).filter(([name]) => count(said[name]) === undefined)
  return { ...said, ...Object.fromEntries(missing), cost }
}
