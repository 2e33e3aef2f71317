import { sql } from 'drizzle-orm'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { costOf, toMicros } from '../../../src/core/credits.ts'
import { newId } from '../../../src/core/id.ts'
import { priceOf, priceSql, pricesOut, type StoredPrices } from '../../../src/features/models/price.ts'
import { world } from '../../support/world.ts'
import { databaseOf } from './room.ts'

const byTokens = (tokenCostMicros: number): StoredPrices => ({
  tokenCostMicros,
  inputPrice: null,
  outputPrice: null,
  cachedInputPrice: null,
})
const use = { promptTokens: 1_000_000, cachedTokens: 400_000, outputTokens: 500_000 }

describe('what a use costs', () => {
  test('by token_cost: all tokens ÷ token_cost', () => {
    expect(costOf(priceOf(byTokens(1000 * 1e6)), use)).toBe(1500 * 1e6)
    expect(costOf(priceOf(byTokens(1)), { promptTokens: 1, cachedTokens: 0, outputTokens: 0 })).toBe(1e12)
    expect(costOf(priceOf(byTokens(1e15)), { promptTokens: 1, cachedTokens: 0, outputTokens: 0 })).toBe(1)
  })

  test('by prices: credits per million tokens, cached ones at theirs or at that of the prompt', () => {
    const prices = { tokenCostMicros: 1, inputPrice: 2e6, outputPrice: 8e6, cachedInputPrice: 5e5 }
    expect(costOf(priceOf(prices), use)).toBe(1_200_000 + 200_000 + 4_000_000)
    expect(costOf(priceOf({ ...prices, cachedInputPrice: null }), use)).toBe(2_000_000 + 4_000_000)
  })

  test('the numbers of the API go in and come out the same', () => {
    const credits = fc.integer({ min: 1, max: 1e15 }).map((micros) => Number((micros / 1e6).toFixed(6)))
    fc.assert(
      fc.property(credits, (number) => {
        expect(pricesOut(byTokens(toMicros(number)!)).token_cost).toBe(number)
      }),
    )
  })

  test('the database and the code make the same fraction of a row', async () => {
    const db = databaseOf(await world())
    const prices: StoredPrices[] = [
      byTokens(1),
      byTokens(1e15),
      byTokens(123_456_789),
      { tokenCostMicros: 5, inputPrice: 1, outputPrice: 1e12, cachedInputPrice: null },
      { tokenCostMicros: 5, inputPrice: 7, outputPrice: 9, cachedInputPrice: 3 },
    ]
    for (const row of prices) {
      const uid = newId()
      await db.execute(sql`INSERT INTO models (uid, name, description, type, api_link, context_tokens,
          token_cost_micros, input_price, output_price, cached_input_price)
        VALUES (${uid}::uuid, ${uid}::text, '', '', '', 1, ${row.tokenCostMicros}::bigint, ${row.inputPrice}::bigint,
          ${row.outputPrice}::bigint, ${row.cachedInputPrice}::bigint)`)
      const { rows } = await db.execute(
        sql`SELECT to_json(p) AS price FROM (SELECT ${priceSql('m')} FROM models m WHERE m.uid = ${uid}::uuid) p`,
      )
      const { input, cachedInput, output, per } = priceOf(row)
      expect(rows[0]?.price).toEqual({
        input_rate: input,
        cached_input_rate: cachedInput,
        output_rate: output,
        rate_per: per,
      })
    }
  })
})
