import { useSignal } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import { Icon } from '../parts/icon.tsx'
import { Page } from '../parts/page.tsx'
import { count, exactly, many, momentOf } from '../parts/words.ts'
import { type AnswerOf, call, type Refusal } from '../wire/api.ts'

type Report = AnswerOf<'/api/transaction/audit', 'get'>
type Counters = AnswerOf<'/api/transaction/counters', 'get'>

/** For administrators: whether the books agree with each other, to the last digit. */
export function Audit() {
  const report = useSignal<Report | undefined>(undefined)
  const counters = useSignal<Counters | undefined>(undefined)
  const problem = useSignal<string | undefined>(undefined)
  const isBusy = useSignal(false)
  const look = async () => {
    isBusy.value = true
    problem.value = undefined
    try {
      const [found, counted] = await Promise.all([
        call('get', '/api/transaction/audit'),
        call('get', '/api/transaction/counters'),
      ])
      report.value = found
      counters.value = counted
    } catch (error) {
      problem.value = (error as Refusal).message
    } finally {
      isBusy.value = false
    }
  }
  useEffect(() => void look(), [])
  return (
    <Page
      title="Audit"
      lead="Holds balances against transactions, holds against running answers, and charges against what was written."
      actions={
        <button type="button" class="button" disabled={isBusy.value} onClick={() => void look()}>
          {isBusy.value ? <span class="spinner" aria-hidden="true" /> : <Icon name="retry" />} Check again
        </button>
      }
    >
      <div role="status" aria-busy={isBusy.value}>
        {problem.value && <p class="verdict bad">{problem.value}</p>}
        {report.value && <Verdict report={report.value} />}
      </div>
      {report.value && report.value.differences.length > 0 && <Differences report={report.value} />}
      {counters.value && <Now counters={counters.value} />}
    </Page>
  )
}

function Verdict({ report: { ok, accounts, checkedAt, differences, truncated } }: { report: Report }) {
  return (
    <section class={ok ? 'verdict good' : 'verdict bad'}>
      <Icon name={ok ? 'check' : 'alert'} />
      <div>
        <h2>
          {ok
            ? 'The books agree'
            : `${truncated ? 'More than ' : ''}${many(differences.length, 'difference')}`}
        </h2>
        <p>
          {many(accounts, 'account')} checked, {momentOf(checkedAt)}.
        </p>
      </div>
    </section>
  )
}

function Differences({ report }: { report: Report }) {
  const side = (value: number | string | null) =>
    value === null ? 'nothing' : typeof value === 'number' ? exactly(value) : value
  return (
    <section class="table-frame" aria-label="Differences" tabIndex={0}>
      <table class="table">
        <thead>
          <tr>
            <th scope="col">What</th>
            <th scope="col">Of</th>
            <th scope="col" class="amount">
              Should be
            </th>
            <th scope="col" class="amount">
              Is
            </th>
          </tr>
        </thead>
        <tbody>
          {report.differences.map(({ kind, subject, expected, actual, detail }) => (
            <tr key={`${kind}${subject}`}>
              <td>{detail}</td>
              <td class="mono">{subject}</td>
              <td class="amount">{side(expected)}</td>
              <td class="amount">{side(actual)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  )
}

function Now({ counters: { running, held, overdue, outboxWaiting, lastHour } }: { counters: Counters }) {
  const figures: [string, string, boolean?][] = [
    ['Answers being written', count(running)],
    ['Credits on hold', exactly(held)],
    ['Answers that nobody finishes', count(overdue), overdue > 0],
    ['Events that nobody publishes', count(outboxWaiting), outboxWaiting > 0],
  ]
  const hour: [string, string, boolean?][] = [
    ['Answers', count(lastHour.settled)],
    ['Credits', exactly(lastHour.credits)],
    ['Failed', count(lastHour.failed)],
    ['Estimated usage', count(lastHour.estimated)],
    ['Shortfalls', `${count(lastHour.shortfalls)} (${exactly(lastHour.shortfall)})`, lastHour.shortfalls > 0],
  ]
  return (
    <>
      <h2 class="section-title">Right now</h2>
      <Figures of={figures} />
      <h2 class="section-title">In the last hour</h2>
      <Figures of={hour} />
    </>
  )
}

export function Figures({ of }: { of: [string, string, boolean?][] }) {
  return (
    <dl class="figures">
      {of.map(([name, value, isBad]) => (
        <div key={name} class={isBad ? 'bad' : undefined}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  )
}
