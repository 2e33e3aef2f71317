import { expect, test } from 'vitest'
import { world } from '../support/world.ts'
import { isLeftOut, withPage } from './page.ts'

test.skipIf(isLeftOut)('the documentation lists every operation and asks no other host', async () => {
  const { url, call } = await world()
  const { body } = await call<{ paths: Record<string, object> }>('GET', '/openapi.json')
  const operations = Object.values(body.paths).flatMap((path) => Object.keys(path)).length
  await withPage(`${url}/docs`, async (page, seen) => {
    await page.waitForSelector('.opblock')
    await expect.poll(() => page.locator('.opblock').count()).toBe(operations)
    expect(await page.title()).toContain('bothub-edge')

    // Try it out works from the page itself, under its own policy.
    const ready = page.locator('#operations-health-ready')
    await ready.locator('.opblock-summary-control').click()
    await ready.locator('.execute').click()
    const answer = ready.locator('.live-responses-table tbody .response-col_status').first()
    await answer.waitFor()
    await expect.poll(() => answer.textContent()).toContain('200')
    expect(seen).toEqual({ errors: [], strangers: [] })
  })
})
