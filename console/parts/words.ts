// How numbers and times are written, everywhere the same.

const exact = new Intl.NumberFormat('en', { maximumFractionDigits: 6 })
const booked = new Intl.NumberFormat('en', { minimumFractionDigits: 2, maximumFractionDigits: 6 })
const brief = new Intl.NumberFormat('en', { minimumFractionDigits: 2, maximumFractionDigits: 2 })
const fine = new Intl.NumberFormat('en', { minimumFractionDigits: 2, maximumFractionDigits: 4 })
const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 })
const short = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 })
const moment = new Intl.DateTimeFormat('en', { dateStyle: 'medium', timeStyle: 'short' })
const time = new Intl.DateTimeFormat('en', { timeStyle: 'short' })
const date = new Intl.DateTimeFormat('en', { dateStyle: 'medium' })

/** To the last of its 6 decimals: where money is accounted for. */
export const exactly = (credits: number): string => exact.format(credits)

/** For a glance; never shows something as nothing. */
export function credits(amount: number): string {
  const size = Math.abs(amount)
  if (size !== 0 && size < 0.0001) return exact.format(amount)
  return (size >= 100 ? brief : fine).format(amount)
}

/** The same in columns, with two decimals at least. */
export const inBooks = (credits: number): string => booked.format(credits)

export const signed = (amount: number): string =>
  `${amount > 0 ? '+' : amount < 0 ? '−' : ''}${inBooks(Math.abs(amount))}`
export const count = (number: number): string => whole.format(number)
export const compact = (number: number): string => short.format(number)
export const many = (number: number, one: string, more = `${one}s`): string =>
  `${count(number)} ${number === 1 ? one : more}`
export const momentOf = (iso: string): string => moment.format(new Date(iso))
export const timeOf = (iso: string): string => time.format(new Date(iso))
export const dateOf = (iso: string): string => date.format(new Date(iso))

/** The heading of a list that runs back in time. */
export function periodOf(iso: string, now = new Date()): string {
  const midnight = new Date(now.getFullYear(), now.getMonth(), now.getDate()).getTime()
  const days = Math.ceil((midnight - new Date(iso).getTime()) / 86_400_000)
  if (days <= 0) return 'Today'
  if (days === 1) return 'Yesterday'
  if (days <= 7) return 'This week'
  return days <= 30 ? 'This month' : 'Earlier'
}
