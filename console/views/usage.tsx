import { useSignal } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import { Columns, type Series } from '../parts/chart.tsx'
import { saveCsv } from '../parts/csv.ts'
import { Choice } from '../parts/form.tsx'
import { Icon } from '../parts/icon.tsx'
import { complain } from '../parts/notices.tsx'
import { Empty, Page } from '../parts/page.tsx'
import { compact, count, credits, exactly } from '../parts/words.ts'
import { bookings } from '../state/money.ts'
import { isAdministrator } from '../state/session.ts'
import { type AnswerOf, call, type Refusal, type Schemas } from '../wire/api.ts'
import { Figures } from './audit.tsx'

type Report = AnswerOf<'/api/usage', 'get'>
type Row = Schemas['UsageRow']

/** Models that have a colour of their own in a picture; what is beyond is one series. */
const NAMED = 5
const DAY_MS = 86_400_000

/** What was used: per day, by model, by key. */
export function UsageView() {
  const days = useSignal(30)
  const isOfAll = useSignal(false)
  const found = useSignal<
    { byDay: Report; byDayAndModel: Report; byModel: Report; byKey: Report } | undefined
  >(undefined)
  const problem = useSignal<string | undefined>(undefined)
  const query = () => {
    // Days run by UTC, as the service counts them; the last one is today.
    const end = Math.ceil((Date.now() + 1) / DAY_MS) * DAY_MS
    return {
      from: new Date(end - days.value * DAY_MS).toISOString(),
      to: new Date(end).toISOString(),
      ...(isOfAll.value ? { scope: 'all' as const } : {}),
    }
  }
  useEffect(() => {
    let isLatest = true
    const range = query()
    const by = (dimension: Report['by']) => call('get', '/api/usage', { query: { ...range, by: dimension } })
    Promise.all([by('day'), by('day,model'), by('model'), by('key')]).then(
      ([byDay, byDayAndModel, byModel, byKey]) => {
        if (isLatest) found.value = { byDay, byDayAndModel, byModel, byKey }
      },
      (refusal: Refusal) => {
        if (isLatest) problem.value = refusal.message
      },
    )
    return () => {
      isLatest = false
    }
  }, [days.value, isOfAll.value, bookings.value])

  return (
    <Page
      title="Usage"
      lead="What answers used and cost, by days in UTC."
      actions={
        <button
          type="button"
          class="button"
          onClick={() =>
            void saveCsv('/api/usage', { ...query(), by: 'day,model' }, 'usage.csv').catch(complain)
          }
        >
          <Icon name="download" /> CSV
        </button>
      }
    >
      <div class="filters">
        <Choice
          label="Range"
          value={String(days.value)}
          onChange={(event) => {
            days.value = Number(event.currentTarget.value)
          }}
        >
          <option value="7">7 days</option>
          <option value="30">30 days</option>
          <option value="90">90 days</option>
          <option value="365">A year</option>
        </Choice>
        {isAdministrator.value && (
          <Choice
            label="Of"
            value={isOfAll.value ? 'all' : 'own'}
            onChange={(event) => {
              isOfAll.value = event.currentTarget.value === 'all'
            }}
          >
            <option value="own">Me</option>
            <option value="all">Everybody</option>
          </Choice>
        )}
      </div>
      {problem.value && !found.value && <p class="problem">{problem.value}</p>}
      {found.value ? (
        <Found {...found.value} />
      ) : (
        !problem.value && <div class="ghost chart-ghost" aria-hidden="true" />
      )}
    </Page>
  )
}

function Found({
  byDay,
  byDayAndModel,
  byModel,
  byKey,
}: {
  byDay: Report
  byDayAndModel: Report
  byModel: Report
  byKey: Report
}) {
  const { total } = byDay
  if (total.requests === 0)
    return (
      <Empty icon="chart" title="Nothing was asked in this time">
        As soon as an answer has ended, it is counted here.
      </Empty>
    )
  const dates = byDay.data.map(({ day = '' }) => day)
  const labels = dates.map(labelOf)
  return (
    <>
      <Figures
        of={[
          ['Credits', exactly(total.credits)],
          ['Answers', count(total.requests)],
          ['Tokens', count(total.totalTokens)],
          ['Failed', count(total.failures)],
        ]}
      />
      <Columns
        title="Credits per day"
        unit="credits"
        labels={labels}
        series={seriesByModel(dates, byDayAndModel.data, byModel.data)}
        write={credits}
      />
      <Columns
        title="Tokens per day"
        unit="tokens"
        labels={labels}
        series={[
          { name: 'Read', values: byDay.data.map(({ promptTokens }) => promptTokens) },
          { name: 'Written', values: byDay.data.map(({ completionTokens }) => completionTokens) },
        ]}
        write={compact}
      />
      <Breakdown
        title="By model"
        rows={byModel.data}
        nameOf={({ model }) => model ?? ''}
        total={total.credits}
      />
      <Breakdown
        title="By key"
        rows={byKey.data}
        nameOf={({ keyUid, key }) => (keyUid ? (key ?? 'a former key') : 'In chats')}
        total={total.credits}
      />
    </>
  )
}

/** The dearest models each, the rest together. */
function seriesByModel(dates: string[], rows: Row[], models: Row[]): Series[] {
  const place = new Map(dates.map((day, index) => [day, index]))
  const order = new Map(models.map(({ modelUid }, index) => [modelUid, Math.min(index, NAMED)]))
  const names = models.slice(0, NAMED).map(({ model = '' }) => model)
  if (models.length > NAMED) names.push('Others')
  const series = names.map((name) => ({ name, values: dates.map(() => 0) }))
  for (const { day = '', modelUid, credits: spent } of rows) {
    const values = series[order.get(modelUid) ?? 0]?.values
    const index = place.get(day)
    if (values && index !== undefined) values[index] = (values[index] ?? 0) + spent
  }
  return series
}

function Breakdown({
  title,
  rows,
  nameOf,
  total,
}: {
  title: string
  rows: Row[]
  nameOf: (row: Row) => string
  total: number
}) {
  return (
    <>
      <h2 class="section-title">{title}</h2>
      <section class="table-frame" aria-label={title} tabIndex={0}>
        <table class="table">
          <thead>
            <tr>
              <th scope="col">Name</th>
              <th scope="col" class="amount">
                Answers
              </th>
              <th scope="col" class="amount wide-only">
                Read
              </th>
              <th scope="col" class="amount wide-only">
                Written
              </th>
              <th scope="col" class="amount">
                Credits
              </th>
            </tr>
          </thead>
          <tbody>
            {rows.map((row) => (
              <tr key={row.modelUid ?? row.keyUid ?? ''}>
                <th scope="row">
                  {nameOf(row)}
                  <meter
                    class="share"
                    min={0}
                    max={Math.max(total, 1e-6)}
                    value={row.credits}
                    aria-hidden="true"
                  />
                </th>
                <td class="amount">{count(row.requests)}</td>
                <td class="amount wide-only">{count(row.promptTokens)}</td>
                <td class="amount wide-only">{count(row.completionTokens)}</td>
                <td class="amount">{exactly(row.credits)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </section>
    </>
  )
}

const short = new Intl.DateTimeFormat('en', { day: 'numeric', month: 'short', timeZone: 'UTC' })
const labelOf = (day: string): string => short.format(new Date(`${day}T00:00:00Z`))
