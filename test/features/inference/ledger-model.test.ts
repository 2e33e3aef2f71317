import { sql } from 'drizzle-orm'
import fc from 'fast-check'
import { beforeAll, expect, test } from 'vitest'
import type { Actor } from '../../../src/core/actor.ts'
import { Failure } from '../../../src/core/failure.ts'
import { newId } from '../../../src/core/id.ts'
import { chatHold, chatSettle } from '../../../src/features/chats/door.ts'
import { billFor } from '../../../src/features/inference/billing.ts'
import { bySession } from '../../../src/features/inference/door.ts'
import { type HoldOrder, placeHold } from '../../../src/features/inference/hold.ts'
import { renewLease, settle } from '../../../src/features/inference/settle.ts'
import { book, lockAccounts } from '../../../src/features/transactions/ledger.ts'
import { batch, connectPostgres, type Database } from '../../../src/ports/postgres.ts'
import { type World, world } from '../../support/world.ts'
import {
  type Account,
  type Books,
  type Command,
  explained,
  type Rates,
  type Reported,
} from './ledger-model.ts'

const USERS = 3
const CHATS = 2
const M = 1_000_000n
/** The same models as the service has them and as the model of the ledger does. */
const MODELS: { fields: Record<string, unknown>; rates: Rates }[] = [
  ...[1000n * M, 7n * M, 1000n].map((tokens) => ({
    fields: { token_cost: Number(tokens) / 1e6 },
    rates: { input: M * M, cached: M * M, output: M * M, per: tokens },
  })),
  {
    fields: { token_cost: 1, input_price: 1.5, output_price: 6.000001, cached_input_price: 0.25 },
    rates: { input: 1_500_000n, cached: 250_000n, output: 6_000_001n, per: M },
  },
]
const rates = MODELS.map((model) => model.rates)

let at: World
let db: Database
let modelUids: string[]
beforeAll(async () => {
  at = await world()
  db = connectPostgres('postgres://local:local@localhost/local', at.neon.url)
  modelUids = await Promise.all(MODELS.map(async ({ fields }) => (await at.model(fields)).modelUid))
})

/** What a random run may do; `which` counts among the generations that there are. */
type Wish =
  | { do: 'book'; user: number; amount: bigint; debit: false | 'GENERATION_COST' | 'ADJUSTMENT' }
  | { do: 'hold'; user: number; chat: number; model: number; most: number | undefined; size: number }
  | { do: 'renew'; which: number }
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
  fc.record({ do: fc.constant('renew' as const), which: fc.nat() }),
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
    reported: fc.option(fc.record({ prompt: tokens, completion: tokens, cached: tokens }), {
      nil: undefined,
    }),
  }),
)
/** Each step is what runs at the same time. */
const steps = fc.array(fc.array(wish, { minLength: 1, maxLength: 4 }), { minLength: 8, maxLength: 25 })

interface Run {
  actors: Actor[]
  chats: string[][]
  books: Books
}

async function begin(): Promise<Run> {
  const people = await Promise.all(Array.from({ length: USERS }, () => at.person()))
  const actors = people.map(({ uid, token }): Actor => {
    const { sid } = JSON.parse(Buffer.from(token.split('.')[1]!, 'base64url').toString())
    return { userUid: uid, sessionUid: sid, role: 'USER' }
  })
  const chats = await Promise.all(
    people.map((person) =>
      Promise.all(
        Array.from({ length: CHATS }, async () => {
          const { body } = await person.post<{ chatUid: string }>('/api/chat/create', {})
          return body.chatUid
        }),
      ),
    ),
  )
  const accounts = actors.map(() => ({ balance: 0n, held: 0n, seq: 0n, rows: 0 }))
  return { actors, chats, books: { accounts, generations: new Map() } }
}

function commandOf({ books, chats }: Run, wish: Wish): Command | undefined {
  switch (wish.do) {
    case 'book': {
      const { user, amount, debit } = wish
      return { do: 'book', user, amount: debit ? -amount : amount, type: debit || 'PURCHASE' }
    }
    case 'hold':
      return { ...wish, uid: newId(), chat: chats[wish.user]![wish.chat]! }
    default: {
      const all = [...books.generations]
      const [uid, generation] = all[wish.which % all.length] ?? []
      if (!uid || !generation) return undefined
      return wish.do === 'renew' ? { do: 'renew', uid } : { ...wish, uid, user: generation.user }
    }
  }
}

/** Through the functions of the service; the answer in the model's words. */
async function perform(run: Run, command: Command): Promise<string> {
  switch (command.do) {
    case 'renew':
      return renewLease(db, command.uid, { text: 'so far', reasoning: '' })
    case 'book': {
      const { userUid } = run.actors[command.user]!
      const [, { rows }] = await batch(db, [
        lockAccounts(db, [userUid]),
        book(db, {
          ...{ userUid, amount: Number(command.amount), type: command.type, description: 'Random' },
          ...{ uid: newId(), eventUid: newId(), caller: userUid, once: undefined },
        }),
      ])
      const { outcome, newBalance } = rows[0]!.result
      return outcome === 'booked' ? `booked ${Math.round(newBalance! * 1e6)}` : outcome
    }
    case 'hold': {
      const actor = run.actors[command.user]!
      const message = 'x'.repeat(command.size)
      const order: HoldOrder = {
        ...{ generationUid: command.uid, caller: bySession(actor), maxTokens: command.most, choices: 1 },
        ...{ once: undefined, sendsPerMinute: 0, runningPerUser: 0 },
      }
      const question = { kind: 'new' as const, uid: newId(), chatUid: command.chat, message, title: 'Random' }
      const modelUid = modelUids[command.model]!
      try {
        const placed = await placeHold(db, order, chatHold(actor.userUid, newId(), { ...question, modelUid }))
        if ('replayed' in placed) return 'replayed'
        const { allowedTokens, account } = placed.held
        return `held ${allowedTokens} of ${account.balance} ${account.held} ${account.seq}`
      } catch (error) {
        if (error instanceof Failure) return error.code
        throw error
      }
    }
    case 'settle': {
      const { size, reported, status } = command
      const { prompt, rates } = run.books.generations.get(command.uid)!
      // The bill by the service's own hand; its text is not kept, so that no prompt grows by it.
      const produced = { any: size > 0, text: 'y'.repeat(size), reasoning: '', extra: '' }
      const usage = reported && {
        ...{ promptTokens: reported.prompt, completionTokens: reported.completion },
        ...{ totalTokens: reported.prompt + reported.completion, cachedTokens: reported.cached },
      }
      const price = {
        ...{ input: Number(rates.input), cachedInput: Number(rates.cached) },
        ...{ output: Number(rates.output), per: Number(rates.per) },
      }
      const settled = await settle(
        db,
        {
          ...{ generationUid: command.uid, userUid: run.actors[command.user]!.userUid, status },
          ...{ finishReason: 'stop', failureCode: null, failureDetail: null, text: '', reasoning: '' },
          bill: billFor(price, Number(prompt), produced, usage, status !== 'COMPLETED'),
          ...{ firstTokenMs: null, learned: undefined },
        },
        chatSettle,
      )
      const { generation, account } = settled
      return `${account ? 'settled' : 'was'} ${generation.status} ${generation.cost} ${generation.shortfall}`
    }
  }
}

/** The accounts as the database has them; the rules that need no model are checked on the way. */
async function accountsOf({ actors }: Run): Promise<Account[]> {
  const { rows } = await db.execute<Record<string, string>>(sql`
    SELECT user_uid, balance, held, seq,
      (SELECT count(*) FROM transactions t WHERE t.user_uid = a.user_uid) AS rows,
      (SELECT coalesce(sum(amount), 0) FROM transactions t WHERE t.user_uid = a.user_uid) AS sum,
      (SELECT count(*) FROM (
        SELECT balance_after, sum(amount) OVER (ORDER BY seq) AS running FROM transactions t WHERE t.user_uid = a.user_uid) l
        WHERE balance_after <> running) AS broken,
      (SELECT coalesce(sum(hold), 0) FROM generations g WHERE g.user_uid = a.user_uid AND status = 'RUNNING') AS holds
    FROM accounts a WHERE user_uid IN (${sql.join(
      actors.map(({ userUid }) => sql`${userUid}::uuid`),
      sql`, `,
    )})`)
  return actors.map(({ userUid }) => {
    const row = rows.find(({ user_uid }) => user_uid === userUid)!
    expect(row.sum).toBe(row.balance)
    expect(row.holds).toBe(row.held)
    expect(row.broken).toBe('0')
    expect(BigInt(row.held!) >= 0n && BigInt(row.balance!) >= BigInt(row.held!)).toBe(true)
    return {
      balance: BigInt(row.balance!),
      held: BigInt(row.held!),
      seq: BigInt(row.seq!),
      rows: Number(row.rows),
    }
  })
}

const text = (value: unknown) =>
  JSON.stringify(value, (_, part) => (typeof part === 'bigint' ? part.toString() : part))

test('credits, debits, holds, renewals and settles, in any order and at once, are what the rules say', async () => {
  const seen: Record<string, number> = {}
  await fc.assert(
    fc.asyncProperty(steps, async (wishes) => {
      const run = await begin()
      for (const step of wishes) {
        const commands = step.map((each) => commandOf(run, each)).filter((each) => each !== undefined)
        const answers = await Promise.all(commands.map((command) => perform(run, command)))
        const ran = commands.map((command, n) => ({ command, answer: answers[n]! }))
        const accounts = await accountsOf(run)
        const after = explained(run.books, rates, ran, (books) => text(books.accounts) === text(accounts))
        if (!after)
          throw new Error(`No order explains ${text(ran)}: ${text({ from: run.books.accounts, accounts })}`)
        run.books = after
        for (const { command, answer } of ran) {
          const what = `${command.do} ${answer.replace(/ .*/, '')}`
          seen[what] = (seen[what] ?? 0) + 1
          if (command.do === 'settle' && !answer.endsWith(' 0')) seen.shortfall = (seen.shortfall ?? 0) + 1
        }
      }
    }),
    { numRuns: 40 },
  )
  // A run that never met one of these would prove little.
  for (const what of [
    ...['book booked', 'book balance_would_be_negative', 'hold held', 'hold insufficient_credits'],
    ...[
      'hold generation_in_progress',
      'renew running',
      'renew lost',
      'settle settled',
      'settle was',
      'shortfall',
    ],
  ])
    expect(seen[what] ?? 0, `${what}: ${text(seen)}`).toBeGreaterThan(0)
}, 180_000)
