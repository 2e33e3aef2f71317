/**
 * Money is integers. A balance is a count of micro-credits (1 credit = 1,000,000), held in a JavaScript number
 * only because its largest value, 10^15, is far below 2^53. Products of tokens and prices are BigInt.
 */
export type Micros = number

export const MICROS_PER_CREDIT = 1_000_000
/** Largest single amount: 10,000,000 credits. */
export const AMOUNT_LIMIT: Micros = 10_000_000 * MICROS_PER_CREDIT
/** Largest balance: 1,000,000,000 credits. */
export const BALANCE_LIMIT: Micros = 1_000_000_000 * MICROS_PER_CREDIT

const DECIMAL = /^(-?)(\d+)(?:\.(\d{1,6}))?$/

/**
 * Credits as they come in JSON → micro-credits, through the shortest decimal form of the number and never
 * through floating-point arithmetic. `undefined` when there are more than 6 decimals or the size is absurd.
 */
export function toMicros(credits: number): Micros | undefined {
  const match = DECIMAL.exec(String(credits))
  if (!match) return undefined
  const [, sign, whole = '', fraction = ''] = match
  const micros = Number(whole + fraction.padEnd(6, '0'))
  if (!Number.isSafeInteger(micros)) return undefined
  return sign && micros !== 0 ? -micros : micros
}

/** Micro-credits → credits for JSON. The decimal string has at most 16 digits, so the number prints as written. */
export function toCredits(micros: Micros): number {
  const digits = String(Math.abs(micros)).padStart(7, '0')
  const text = `${digits.slice(0, -6)}.${digits.slice(-6)}`
  return micros < 0 ? -Number(text) : Number(text)
}

/**
 * What tokens cost, as one fraction for both ways of pricing: micro-credits = tokens × rate ÷ per.
 * By `token_cost` T (tokens for one credit): every rate is 10^12 and `per` is T × 10^6.
 * By prices in credits per million tokens: a rate is the price in micro-credits and `per` is 10^6.
 */
export interface Price {
  input: number
  cachedInput: number
  output: number
  per: number
}

export interface BillableTokens {
  promptTokens: number
  /** Part of the prompt. */
  cachedTokens: number
  outputTokens: number
}

/**
 * The price of a use, rounded up once, on the sum. A sum beyond any balance (an upstream that reports a billion
 * tokens of a dear model) stays at the largest exact number.
 */
export function costOf(price: Price, tokens: BillableTokens): Micros {
  const cached = Math.min(tokens.cachedTokens, tokens.promptTokens)
  const sum =
    BigInt(tokens.promptTokens - cached) * BigInt(price.input) +
    BigInt(cached) * BigInt(price.cachedInput) +
    BigInt(tokens.outputTokens) * BigInt(price.output)
  const per = BigInt(price.per)
  const micros = (sum + per - 1n) / per
  return Number(micros < BigInt(Number.MAX_SAFE_INTEGER) ? micros : BigInt(Number.MAX_SAFE_INTEGER))
}
