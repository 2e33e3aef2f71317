import { type BillableTokens, costOf, type Micros, type Price } from '../../core/credits.ts'
import { utf8Length } from '../../core/text.ts'
import type { UpstreamUsage } from '../../ports/upstream/port.ts'

/** What a generation used, as it is shown, and what of it is paid for. */
export interface Usage {
  promptTokens: number
  completionTokens: number
  totalTokens: number
  cachedTokens?: number
  reasoningTokens?: number
  source: 'upstream' | 'estimated'
}

export interface Bill {
  /** `totalTokens` is what is paid for: the prompt and the billable output. */
  usage: Usage
  /** What it is worth; what can be taken of it the settle statement decides. */
  worth: Micros
}

export interface Produced {
  /** At least one token of any kind came. */
  any: boolean
  text: string
  reasoning: string
  /** Further output that counts in the estimate: other choices, tool calls. */
  extra: string
}

/**
 * Money rules 2 and 3: by the last usage that the upstream reported; without one by the estimate of the text;
 * interrupted, by whichever of the two is worth more; and without a single token, nothing.
 */
export function billFor(
  price: Price,
  promptEstimate: number,
  produced: Produced,
  reported: UpstreamUsage | undefined,
  interrupted: boolean,
): Bill | undefined {
  if (!produced.any) return undefined
  const bytes = utf8Length(produced.text) + utf8Length(produced.reasoning) + utf8Length(produced.extra)
  const output = Math.max(1, Math.ceil(bytes / 4))
  const estimate = priced(price, {
    promptTokens: promptEstimate,
    completionTokens: output,
    totalTokens: promptEstimate + output,
    source: 'estimated',
  })
  if (!reported) return estimate
  const promptTokens = reported.missing?.includes('prompt') ? promptEstimate : reported.promptTokens
  const completionTokens = reported.missing?.includes('completion') ? output : reported.completionTokens
  const upstream = priced(price, {
    promptTokens,
    completionTokens,
    totalTokens: reported.totalTokens,
    ...(reported.cachedTokens === undefined ? {} : { cachedTokens: reported.cachedTokens }),
    ...(reported.reasoningTokens === undefined ? {} : { reasoningTokens: reported.reasoningTokens }),
    source: 'upstream',
  })
  return interrupted && estimate.worth > upstream.worth ? estimate : upstream
}

/** Some upstreams leave reasoning out of `completion` and count it in the total alone: the larger is paid for. */
function priced(price: Price, usage: Usage): Bill {
  const tokens: BillableTokens = {
    promptTokens: usage.promptTokens,
    cachedTokens: usage.cachedTokens ?? 0,
    outputTokens: Math.max(usage.completionTokens, usage.totalTokens - usage.promptTokens),
  }
  return {
    usage: { ...usage, totalTokens: tokens.promptTokens + tokens.outputTokens },
    worth: costOf(price, tokens),
  }
}
