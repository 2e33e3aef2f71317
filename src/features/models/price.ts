import { type SQL, sql } from 'drizzle-orm'
import { MICROS_PER_CREDIT, type Price, toCredits } from '../../core/credits.ts'

/** The prices of a model as they are stored: tokens for one credit × 10^6, and micro-credits per million tokens. */
export interface StoredPrices {
  tokenCostMicros: number
  inputPrice: number | null
  outputPrice: number | null
  cachedInputPrice: number | null
}

/** A rate by `token_cost`: micro-credits of a credit (10^6), times the 10^6 by which `token_cost` is stored. */
const RATE_BY_TOKEN_COST = MICROS_PER_CREDIT * 1_000_000
/** What a rate by prices is divided by: they are micro-credits per million tokens. */
const PER_BY_PRICES = 1_000_000

/**
 * The price fraction of a model's row, as columns of a SELECT: `input_rate, cached_input_rate, output_rate,
 * rate_per` (bigint), the same as those of a generation. See `Price` for what they mean.
 * @param alias the name under which `models` stands in FROM; never text from outside
 */
export function priceSql(alias: string): SQL {
  const column = (name: string) => sql.raw(`"${alias}"."${name}"`)
  const rate = sql.raw(`${RATE_BY_TOKEN_COST}::bigint`)
  const priced = sql`${column('input_price')} IS NOT NULL`
  return sql`
    coalesce(${column('input_price')}, ${rate}) AS input_rate,
    CASE WHEN ${priced} THEN coalesce(${column('cached_input_price')}, ${column('input_price')}) ELSE ${rate} END AS cached_input_rate,
    coalesce(${column('output_price')}, ${rate}) AS output_rate,
    CASE WHEN ${priced} THEN ${sql.raw(`${PER_BY_PRICES}::bigint`)} ELSE ${column('token_cost_micros')} END AS rate_per`
}

/** The same fraction from a row at hand. */
export function priceOf(row: StoredPrices): Price {
  const { tokenCostMicros, inputPrice, outputPrice, cachedInputPrice } = row
  if (inputPrice === null || outputPrice === null) {
    const rate = RATE_BY_TOKEN_COST
    return { input: rate, cachedInput: rate, output: rate, per: tokenCostMicros }
  }
  return {
    input: inputPrice,
    cachedInput: cachedInputPrice ?? inputPrice,
    output: outputPrice,
    per: PER_BY_PRICES,
  }
}

/** The stored prices as the API's numbers: `token_cost` in tokens, the others in credits per million tokens. */
export const pricesOut = (row: StoredPrices) => ({
  token_cost: toCredits(row.tokenCostMicros),
  input_price: row.inputPrice === null ? null : toCredits(row.inputPrice),
  output_price: row.outputPrice === null ? null : toCredits(row.outputPrice),
  cached_input_price: row.cachedInputPrice === null ? null : toCredits(row.cachedInputPrice),
})
