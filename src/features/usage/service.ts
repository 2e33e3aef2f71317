import type { Actor } from '../../core/actor.ts'
import { toCredits } from '../../core/credits.ts'
import { Failure } from '../../core/failure.ts'
import { FIRST_INSTANT } from '../../http/contract.ts'
import { MOST_ROWS } from '../../http/csv.ts'
import { batchAs, type Database } from '../../ports/postgres.ts'
import { type Range, type Sums, usageOf, usageOfAll } from './queries.ts'
import { dimensionsOf, type Usage, type UsageQuery, type UsageRow } from './schema.ts'

const DAY_MS = 86_400_000
/** A leap year. */
const MOST_DAYS = 366
const USUAL_DAYS = 30

/**
 * What was used in a range: the actor's own; for an administrator anybody's, or everybody's. One round trip.
 * @throws forbidden when somebody else asks for what is not theirs, invalid_request when the range is none
 */
export async function report(db: Database, actor: Actor, asked: UsageQuery): Promise<Usage> {
  const range = rangeOf(asked, Date.now())
  const by = dimensionsOf(asked.by)
  const { userUid = actor.userUid } = asked
  const isOwn = asked.scope !== 'all' && userUid === actor.userUid
  // One more than is shown: it says that there are more.
  const query =
    asked.scope === 'all'
      ? usageOfAll(db, range, by, MOST_ROWS + 1)
      : usageOf(db, userUid, range, by, MOST_ROWS + 1)
  const [{ rows }] = await batchAs(db, actor, [query], { administrator: !isOwn })

  const { total, groups } = rows[0]!.used
  const data = groups.slice(0, MOST_ROWS).map(inCredits)
  return {
    from: range.from.toISOString(),
    to: range.to.toISOString(),
    by: asked.by,
    data: asked.by === 'day' ? everyDay(range, data) : inOrderOfDays(data),
    total: inCredits(total),
    truncated: groups.length > MOST_ROWS,
  }
}

/** Up to the end of today, for 30 days. Whole days, so that a report changes by what was used and not by the hour. */
function rangeOf(asked: { from?: Date | undefined; to?: Date | undefined }, now: number): Range {
  const to = asked.to ?? new Date(dayOf(now) + DAY_MS)
  const from = asked.from ?? new Date(Math.max(to.getTime() - USUAL_DAYS * DAY_MS, FIRST_INSTANT))
  const length = to.getTime() - from.getTime()
  if (length <= 0) throw refused('must be after `from`')
  if (length > MOST_DAYS * DAY_MS) throw refused(`must be at most ${MOST_DAYS} days after \`from\``)
  return { from, to }
}

const refused = (message: string) =>
  new Failure('invalid_request', {
    detail: 'The query does not fit its schema.',
    errors: [{ path: 'to', message }],
  })

const dayOf = (at: number): number => Math.floor(at / DAY_MS) * DAY_MS

/** A row for each day that the range touches, also for those on which nothing was used: a chart has no holes. */
function everyDay({ from, to }: Range, rows: UsageRow[]): UsageRow[] {
  const used = new Map(rows.map((row) => [row.day, row]))
  const first = dayOf(from.getTime())
  return Array.from({ length: Math.ceil((to.getTime() - first) / DAY_MS) }, (_, n) => {
    const day = new Date(first + n * DAY_MS).toISOString().slice(0, 10)
    return used.get(day) ?? { day, ...inCredits(NOTHING) }
  })
}

/** Oldest day first, within a day the dearest; rows of no day stay as they are. */
const inOrderOfDays = (rows: UsageRow[]): UsageRow[] =>
  rows.toSorted(({ day: a = '' }, { day: b = '' }) => (a < b ? -1 : a > b ? 1 : 0))

const NOTHING: Sums = {
  requests: 0,
  failures: 0,
  promptTokens: 0,
  completionTokens: 0,
  totalTokens: 0,
  cachedTokens: 0,
  reasoningTokens: 0,
  cost: 0,
}

const inCredits = <Row extends Sums>({ cost, ...row }: Row) => ({ ...row, credits: toCredits(cost) })
