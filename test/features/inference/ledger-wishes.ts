/** What the runs of ledger-model.test.ts may do, and on what. */
import fc from 'fast-check'
import type { Rates, Reported } from './ledger-model.ts'

export const USERS = 3
export const CHATS = 2
const M = 1_000_000n
/** The same models as the service has them and as the model of the ledger does. */
export const MODELS: { fields: Record<string, unknown>; rates: Rates }[] = [
  ...[1000n * M, 7n * M, 1000n].map((tokens) => ({
    fields: { token_cost: Number(tokens) / 1e6 },
    rates: { input: M * M, cached: M * M, output: M * M, per: tokens },
  })),
  {
    fields: { token_cost: 1, input_price: 1.5, output_price: 6.000001, cached_input_price: 0.25 },
    rates: { input: 1_500_000n, cached: 250_000n, output: 6_000_001n, per: M },
  },
]

/** What a random run may do; `which` counts among the generations that there are. */
export type Wish =
  | { do: 'book'; user: number; amount: bigint; debit: false | 'GENERATION_COST' | 'ADJUSTMENT' }
  | { do: 'hold'; user: number; chat: number; model: number; most: number | undefined; size: number }
  | { do: 'renew' | 'release'; which: number }
  /** A worker dies, having saved so many characters; before whatever else the step does. */
  | { do: 'die'; which: number; size: number }
  | { do: 'sweep' }
  | {
      do: 'settle'
      which: number
      status: 'COMPLETED' | 'STOPPED' | 'FAILED'
      size: number
      reported: Reported | undefined
    }

const tokens = fc.oneof(fc.nat(300), fc.nat(20_000), fc.constantFrom(0, 1_000_000_000))
const wish: fc.Arbitrary<Wish> = fc.oneof(
  fc.record({
    do: fc.constant('book' as const),
    user: fc.nat(USERS - 1),
    amount: fc.oneof(
      fc.bigInt(1n, 2_000_000n),
      fc.bigInt(1n, 50_000_000n),
      fc.constantFrom(1n, 10_000_000n * M),
    ),
    debit: fc.constantFrom(false as const, false as const, 'GENERATION_COST' as const, 'ADJUSTMENT' as const),
  }),
  fc.record({
    do: fc.constant('hold' as const),
    user: fc.nat(USERS - 1),
    chat: fc.nat(CHATS - 1),
    model: fc.nat(MODELS.length - 1),
    most: fc.option(fc.oneof(fc.integer({ min: 1, max: 100 }), fc.integer({ min: 1, max: 9000 })), {
      nil: undefined,
    }),
    size: fc.integer({ min: 1, max: 500 }),
  }),
  fc.record({ do: fc.constantFrom('renew' as const, 'release' as const), which: fc.nat() }),
  fc.record({ do: fc.constant('die' as const), which: fc.nat(), size: fc.nat(2000) }),
  fc.constant({ do: 'sweep' as const }),
  fc.record({
    do: fc.constant('settle' as const),
    which: fc.nat(),
    status: fc.constantFrom(
      'COMPLETED' as const,
      'COMPLETED' as const,
      'STOPPED' as const,
      'FAILED' as const,
    ),
    size: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 4000 })),
    // Now and then more than any balance has.
    reported: fc.option(
      fc.record({
        prompt: tokens,
        completion: fc.oneof(tokens, tokens, fc.constant(1_000_000_000)),
        cached: tokens,
      }),
      { nil: undefined },
    ),
  }),
)
/** Each step is what runs at the same time. */
export const steps = fc.array(fc.array(wish, { minLength: 1, maxLength: 4 }), { minLength: 8, maxLength: 25 })

/** A run that meets every outcome, in case the random ones should not. */
export const everyOutcome: Wish[][] = [
  [{ do: 'book', user: 0, amount: 50n * M, debit: false }],
  [{ do: 'hold', user: 0, chat: 0, model: 3, most: undefined, size: 10 }],
  [
    { do: 'hold', user: 0, chat: 0, model: 0, most: 1, size: 1 },
    { do: 'hold', user: 1, chat: 0, model: 0, most: 1, size: 1 },
    { do: 'book', user: 2, amount: 1n, debit: 'ADJUSTMENT' },
    { do: 'renew', which: 0 },
  ],
  [
    {
      ...{ do: 'settle', which: 0, status: 'COMPLETED', size: 100 },
      reported: { prompt: 10, completion: 1_000_000_000, cached: 0 },
    },
  ],
  [
    { do: 'settle', which: 0, status: 'COMPLETED', size: 100, reported: undefined },
    { do: 'release', which: 0 },
    { do: 'renew', which: 0 },
  ],
  [{ do: 'book', user: 0, amount: 50n * M, debit: false }],
  [{ do: 'hold', user: 0, chat: 0, model: 3, most: 10, size: 10 }],
  [{ do: 'release', which: 1 }],
  [{ do: 'hold', user: 0, chat: 0, model: 3, most: 10, size: 10 }],
  [{ do: 'die', which: 2, size: 10 }, { do: 'sweep' }],
]
