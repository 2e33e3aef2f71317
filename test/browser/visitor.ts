import type { Page } from 'playwright-core'
import { expect } from 'vitest'
import type { Person, World } from '../support/world.ts'
import { type Seen, withPage } from './page.ts'

/** Somebody who is signed in, in front of the console. */
export async function visit(
  at: World,
  person: Pick<Person, 'mail' | 'password'>,
  look: (page: Page, seen: Seen) => Promise<void>,
  path = '/',
): Promise<void> {
  await withPage(`${at.url}/health`, async (page, seen) => {
    const { mail, password } = person
    const answer = await page.request.post(`${at.url}/api/auth/login`, { data: { mail, password } })
    expect(answer.status()).toBe(200)
    await page.goto(at.url + path)
    await page.waitForSelector('.shell')
    seen.errors.length = 0
    await look(page, seen)
    expect(seen).toEqual({ errors: [], strangers: [] })
  })
}

/** Writes into the composer and sends by Enter. */
export async function ask(page: Page, message: string, model?: string): Promise<void> {
  if (model) await page.getByLabel('Model', { exact: true }).selectOption({ label: model })
  await page.getByLabel('Your message').fill(message)
  await page.getByLabel('Your message').press('Enter')
}

/** The text of the newest answer as it stands on the page; empty while there is none. */
export const answerText = (page: Page): Promise<string> =>
  page.evaluate(() => {
    const proses = document.querySelectorAll('.answer > .prose')
    return proses[proses.length - 1]?.textContent?.trim() ?? ''
  })

/** Waits until the newest answer has that many characters. */
export const written = (page: Page, characters: number): Promise<void> =>
  expect
    .poll(async () => (await answerText(page)).length, { timeout: 30_000 })
    .toBeGreaterThan(characters) as Promise<void>

/** Waits for the end of the newest answer: what it cost is told then. */
export async function ended(page: Page): Promise<void> {
  await page.locator('.answer.last .paid').waitFor({ timeout: 30_000 })
}

/** The balance as the sidebar tells it, to the last digit. */
export const balance = async (page: Page): Promise<number> =>
  Number((await page.locator('.balance-sum').getAttribute('title'))?.replace(/[^\d.]/g, ''))

/** Text in the way an answer's elements show it: without the marks of Markdown. */
export const plain = (text: string): string => text.replace(/[*`_#]/g, '').replace(/\s+/g, '')
