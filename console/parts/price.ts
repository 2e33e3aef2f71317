import type { Model } from '../wire/api.ts'
import { exactly } from './words.ts'

type Prices = Pick<Model, 'token_cost' | 'input_price' | 'output_price'>

/** What a thousand tokens cost, in credits: read and written. */
export function costOfThousand({ token_cost, input_price, output_price }: Prices): {
  read: number
  written: number
} {
  if (input_price != null && output_price != null)
    return { read: input_price / 1000, written: output_price / 1000 }
  return { read: 1000 / token_cost, written: 1000 / token_cost }
}

/** A price in one line, for a person who is about to pay it. */
export function priceOf(model: Prices): string {
  const { read, written } = costOfThousand(model)
  if (read === written) return `1,000 tokens cost ${amountOf(read)}.`
  return `1,000 tokens cost ${exactly(round(read))} read, ${exactly(round(written))} written.`
}

const round = (credits: number): number => Number(credits.toPrecision(4))
const amountOf = (credits: number): string =>
  `${exactly(round(credits))} ${credits === 1 ? 'credit' : 'credits'}`
