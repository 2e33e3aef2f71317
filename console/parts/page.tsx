import type { ComponentChildren } from 'preact'
import { useId } from 'preact/hooks'
import { Icon, type IconName } from './icon.tsx'
import type { Paged } from './paged.ts'

/** A page beside the chats: a heading, what it is for, what can be done, and its parts. */
export function Page({
  title,
  lead,
  actions,
  children,
}: {
  title: string
  lead?: ComponentChildren
  actions?: ComponentChildren
  children: ComponentChildren
}) {
  return (
    <div class="page">
      <div class="page-column">
        <header class="page-head">
          <div>
            <h1>{title}</h1>
            {lead && <p class="muted">{lead}</p>}
          </div>
          {actions && <div class="page-actions">{actions}</div>}
        </header>
        {children}
      </div>
    </div>
  )
}

/** Rows of a list, or what there is instead of them: nothing yet, a refusal, the wait. */
export function Listing<Row>({
  paged,
  label,
  head,
  row,
  empty,
}: {
  paged: Paged<Row>
  label: string
  head: ComponentChildren
  row: (row: Row) => ComponentChildren
  empty: ComponentChildren
}) {
  const id = useId()
  const { rows, isLoading, problem, more, reload } = paged
  if (problem && !rows)
    return (
      <div class="empty small">
        <p>{problem}</p>
        <button type="button" class="button" onClick={reload}>
          <Icon name="retry" /> Try again
        </button>
      </div>
    )
  if (rows?.length === 0) return <>{empty}</>
  return (
    <>
      <section class="table-frame" aria-labelledby={id} tabIndex={0} aria-busy={!rows || isLoading}>
        <table class="table">
          <caption id={id} class="unseen">
            {label}
          </caption>
          <thead>
            <tr>{head}</tr>
          </thead>
          <tbody>{rows ? rows.map(row) : <Ghosts />}</tbody>
        </table>
      </section>
      {more && (
        <p class="more">
          <button type="button" class="button" onClick={more} disabled={isLoading}>
            {isLoading && <span class="spinner" aria-hidden="true" />} Show more
          </button>
        </p>
      )}
    </>
  )
}

function Ghosts() {
  return (
    <>
      {[80, 55, 70, 60].map((width) => (
        <tr key={width}>
          <td colSpan={9}>
            <span class={`ghost line w${width}`} />
          </td>
        </tr>
      ))}
    </>
  )
}

export function Empty({
  icon,
  title,
  children,
}: {
  icon: IconName
  title: string
  children?: ComponentChildren
}) {
  return (
    <div class="empty small">
      <span class="empty-icon">
        <Icon name={icon} />
      </span>
      <h2>{title}</h2>
      <div class="muted">{children}</div>
    </div>
  )
}

export function Badge({
  tone,
  children,
}: {
  tone: 'good' | 'bad' | 'warn' | 'plain'
  children: ComponentChildren
}) {
  return <span class={`badge ${tone}`}>{children}</span>
}
