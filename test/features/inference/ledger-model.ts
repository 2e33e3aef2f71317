/** The money rules once more, in a few lines and in integers of any size: what the ledger is held against. */

export const LIMIT = 10_000_000_000_000n
export const MOST = 1_000_000_000_000_000n

/** Micro-credits = tokens × rate ÷ per. */
export interface Rates {
  input: bigint
  cached: bigint
  output: bigint
  per: bigint
}

export interface Generation {
  user: number
  chat: string
  rates: Rates
  prompt: bigint
  hold: bigint
  status: string
  cost: bigint
  shortfall: bigint
  /** Its worker died: the lease is over. */
  expired: boolean
  /** Characters that its lease has saved. */
  saved: number
}

export interface Account {
  balance: bigint
  held: bigint
  seq: bigint
  rows: number
}

export interface Books {
  accounts: Account[]
  generations: Map<string, Generation>
}

export interface Reported {
  prompt: number
  completion: number
  cached: number
}

export type Command =
  | { do: 'book'; user: number; amount: bigint; type: 'PURCHASE' | 'GENERATION_COST' | 'ADJUSTMENT' }
  | {
      do: 'hold'
      user: number
      uid: string
      chat: string
      model: number
      most: number | undefined
      size: number
    }
  | { do: 'renew'; uid: string }
  /** The hold goes back whole: nothing came. */
  | { do: 'release'; user: number; uid: string }
  /** What a sweep does to one generation. */
  | { do: 'sweep'; user: number; uid: string }
  | {
      do: 'settle'
      user: number
      uid: string
      status: 'COMPLETED' | 'STOPPED' | 'FAILED'
      /** Characters of the answer; none: not a token was produced. */
      size: number
      reported: Reported | undefined
    }

const ceil = (value: bigint, by: bigint) => (value + by - 1n) / by
const least = (...values: bigint[]): bigint => values.sort((a, b) => (a < b ? -1 : 1))[0]!
const quarter = (size: number) => BigInt(Math.ceil(size / 4))

/** Characters that each renewal saves. */
export const SAVED = 'so far'

type End = Pick<Command & { do: 'settle' }, 'status' | 'size' | 'reported'>

/** What a use is worth: rule 2, with rule 3 for nothing produced. */
function worth({ rates, prompt }: Generation, { size, reported, status }: End): bigint {
  if (size === 0) return 0n
  const estimate = ceil(prompt * rates.input + quarter(size) * rates.output, rates.per)
  if (!reported) return estimate
  const cached = least(BigInt(reported.cached), BigInt(reported.prompt))
  const told = ceil(
    (BigInt(reported.prompt) - cached) * rates.input +
      cached * rates.cached +
      BigInt(reported.completion) * rates.output,
    rates.per,
  )
  return status !== 'COMPLETED' && estimate > told ? estimate : told
}

/** Does it to the books; the answer is what the one who asked is told. */
export function apply(books: Books, models: Rates[], command: Command): string {
  if (command.do === 'renew') {
    const generation = books.generations.get(command.uid)
    if (generation?.status !== 'RUNNING') return 'lost'
    Object.assign(generation, { expired: false, saved: SAVED.length })
    return 'running'
  }
  const account = books.accounts[command.user]!
  const available = account.balance - account.held
  if (command.do === 'book') {
    if (available + command.amount < 0n) return 'balance_would_be_negative'
    if (account.balance + command.amount > MOST) return 'balance_too_large'
    account.balance += command.amount
    account.seq++
    account.rows++
    return `booked ${account.balance}`
  }
  if (command.do === 'hold') {
    const running = [...books.generations.values()].some(
      (g) => g.chat === command.chat && g.status === 'RUNNING',
    )
    if (running) return 'generation_in_progress'
    const rates = models[command.model]!
    const prompt = quarter(command.size) + 4n
    const wanted = BigInt(command.most ?? 4096)
    const pays = (least(available, LIMIT) * rates.per - prompt * rates.input) / rates.output
    const allowed = least(wanted, pays)
    if (allowed < least(wanted, 64n)) return 'insufficient_credits'
    const hold = ceil(prompt * rates.input + allowed * rates.output, rates.per)
    account.held += hold
    account.seq++
    const made = { user: command.user, chat: command.chat, rates, prompt, hold, status: 'RUNNING' }
    books.generations.set(command.uid, { ...made, cost: 0n, shortfall: 0n, expired: false, saved: 0 })
    return `held ${allowed} of ${account.balance} ${account.held} ${account.seq}`
  }
  const generation = books.generations.get(command.uid)!
  const first = generation.status === 'RUNNING' && (command.do !== 'sweep' || generation.expired)
  if (first) {
    const end: End =
      command.do === 'settle'
        ? command
        : { status: 'FAILED', size: command.do === 'sweep' ? generation.saved : 0, reported: undefined }
    // A number of JavaScript holds no more than this; rule 6 takes less anyway.
    const value = least(worth(generation, end), BigInt(Number.MAX_SAFE_INTEGER))
    const cost = least(value, LIMIT, generation.hold + available)
    Object.assign(generation, { status: end.status, cost, shortfall: value - cost, expired: false, saved: 0 })
    account.balance -= cost
    account.held -= generation.hold
    account.seq++
    if (cost > 0n) account.rows++
  }
  const { status, cost, shortfall } = generation
  return `${first ? 'settled' : 'was'} ${status} ${cost} ${shortfall}`
}

/**
 * The books after commands that ran at the same time: some order of them must give all the answers and the accounts
 * that were seen. Undefined when none does.
 */
export function explained(
  books: Books,
  models: Rates[],
  ran: { command: Command; answer: string }[],
  fits: (after: Books) => boolean,
): Books | undefined {
  if (ran.length === 0) return fits(books) ? books : undefined
  for (const [place, { command, answer }] of ran.entries()) {
    const next = structuredClone(books)
    if (apply(next, models, command) !== answer) continue
    const found = explained(next, models, ran.toSpliced(place, 1), fits)
    if (found) return found
  }
  return undefined
}
