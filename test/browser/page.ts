import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { chromium, type Page } from 'playwright-core'

/** The browser on the PATH, if there is one. Nothing downloads one. */
export const browserPath = (process.env.PATH ?? '')
  .split(delimiter)
  .flatMap((folder) => ['chromium', 'chromium-browser'].map((name) => join(folder, name)))
  .find((path) => existsSync(path))

/** On a machine without a browser these tests are left out; in CI they must run, and so fail. */
export const isLeftOut = browserPath === undefined && !process.env.CI

// Else Chromium asks its maker's servers about itself.
const quiet = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

/** What a page did besides showing itself. */
export interface Seen {
  /** Errors of the console and of scripts. */
  errors: string[]
  /** Requests to any other host. */
  strangers: string[]
}

/** A page in a fresh browser, closed again when `look` is done. */
export async function withPage(url: string, look: (page: Page, seen: Seen) => Promise<void>): Promise<void> {
  if (browserPath === undefined) throw new Error('Chromium is missing: apt-get install chromium')
  const profile = await mkdtemp(join(tmpdir(), 'bothub-browser-'))
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: browserPath,
    headless: true,
    args: quiet,
    viewport: { width: 1280, height: 900 },
  })
  try {
    const page = await context.newPage()
    page.setDefaultTimeout(30_000)
    const seen: Seen = { errors: [], strangers: [] }
    page.on('console', (message) => {
      if (message.type() === 'error') seen.errors.push(`${message.text()} (${message.location().url})`)
    })
    page.on('pageerror', (error) => seen.errors.push(String(error)))
    page.on('request', (request) => {
      const { origin, protocol } = new URL(request.url())
      if (protocol.startsWith('http') && origin !== new URL(url).origin) seen.strangers.push(request.url())
    })
    await page.goto(url)
    await look(page, seen)
  } finally {
    await context.close()
    await rm(profile, { recursive: true, force: true })
  }
}
