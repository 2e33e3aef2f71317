import { ask, urlOf } from '../wire/api.ts'

/** More would rather be asked for by a program. */
const MOST_FILES = 20

/**
 * Saves a list as a CSV file, the service's own. What does not fit one answer is fetched on and appended.
 * @throws Refusal
 */
export async function saveCsv(
  path: string,
  query: Record<string, string | undefined>,
  name: string,
): Promise<void> {
  const parts: string[] = []
  let url: string | undefined = urlOf(path, { query })
  while (url && parts.length < MOST_FILES) {
    const answer = await ask('get', url, { accept: 'text/csv' })
    const text = await answer.text()
    parts.push(parts.length === 0 ? text : text.slice(text.indexOf('\n') + 1))
    url = /<([^>]+)>;\s*rel="next"/.exec(answer.headers.get('link') ?? '')?.[1]
  }
  const link = document.createElement('a')
  link.href = URL.createObjectURL(new Blob(parts, { type: 'text/csv' }))
  link.download = name
  link.click()
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000)
}

/** A date field as the instant at which that day begins here; `after` it, the day has ended. */
export const dayStart = (date: string): string | undefined =>
  date ? new Date(`${date}T00:00`).toISOString() : undefined
export function dayEnd(date: string): string | undefined {
  if (!date) return undefined
  const end = new Date(`${date}T00:00`)
  end.setDate(end.getDate() + 1)
  return end.toISOString()
}
