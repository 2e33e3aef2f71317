import { randomUUID } from 'node:crypto'
import type { Page } from 'playwright-core'
import { expect, test } from 'vitest'
import { world } from '../support/world.ts'
import { isLeftOut, withPage } from './page.ts'

/** Opens an operation, fills in what it asks for, presses Execute, and reads the live answer. */
async function execute<Body>(
  page: Page,
  operation: string,
  { body, params = {} }: { body?: object; params?: Record<string, string> } = {},
): Promise<{ status: string; body: Body }> {
  const block = page.locator(`#operations-${operation}`)
  if (!(await block.locator('.execute').isVisible())) await block.locator('.opblock-summary-control').click()
  if (body) await block.locator('.body-param__text').fill(JSON.stringify(body))
  for (const [name, value] of Object.entries(params))
    await block.locator(`tr[data-param-name="${name}"] input`).fill(value)
  const clear = block.locator('.btn-clear')
  if (await clear.isVisible()) await clear.click()
  await block.locator('.execute').click()
  const answer = block.locator('.live-responses-table tbody tr.response')
  await answer.waitFor({ timeout: 30_000 })
  const status = (await answer.locator('.response-col_status').textContent())?.trim().slice(0, 3) ?? ''
  const text = (await answer.locator('.response-col_description .microlight').first().textContent()) ?? ''
  return { status, body: JSON.parse(text) as Body }
}

test.skipIf(isLeftOut)(
  'the way of the README by clicking: register, Authorize, top up, chat, message',
  async () => {
    const at = await world()
    const { modelUid } = await at.model({ token_cost: 1000 })
    const mail = `${randomUUID()}@example.com`
    const password = 'a long password'
    await withPage(`${at.url}/docs`, async (page, seen) => {
      await page.waitForSelector('.opblock')
      const registered = await execute<{ user: { mail: string } }>(page, 'auth-register', {
        body: { firstName: 'Ada', lastName: 'Byron', mail, password },
      })
      expect(registered).toMatchObject({ status: '201', body: { user: { mail } } })

      // The token that came with it is in place: one click on Authorize shows it.
      await page.locator('.auth-wrapper > .authorize').click()
      const bearer = page.locator('.auth-container').filter({ hasText: 'bearer (http, Bearer)' })
      await bearer
        .getByRole('button', { name: 'Remove authorization' })
        .or(bearer.getByText('Logout'))
        .first()
        .waitFor()
      await page.locator('.btn-done').first().click()
      // From here on by the bearer alone.
      await page.context().clearCookies()

      const topped = await execute<{ newBalance: number }>(page, 'transactions-makeOwnTransaction', {
        body: { amount: 10, type: 'PURCHASE', description: 'by hand' },
      })
      expect(topped).toMatchObject({ status: '201', body: { newBalance: 10 } })
      const models = await execute<{ data: { uid: string }[] }>(page, 'models-listModels', {
        params: { limit: '100' },
      })
      expect(models.body.data.some(({ uid }) => uid === modelUid)).toBe(true)
      const chat = await execute<{ chatUid: string }>(page, 'chats-createChat', { body: {} })
      const answered = await execute<{ assistantMessage: { message: string }; newBalance: number }>(
        page,
        'chats-sendMessage',
        { body: { role: 'user', message: '[[say:by hand, too]]', chatUid: chat.body.chatUid, modelUid } },
      )
      expect(answered).toMatchObject({
        status: '200',
        body: { assistantMessage: { message: 'by hand, too' } },
      })
      expect(answered.body.newBalance).toBeLessThan(10)

      // Cookies do as well: they come with a sign-in and outlive the page, which keeps no token.
      await execute(page, 'auth-login', { body: { mail, password } })
      await page.reload()
      await page.waitForSelector('.opblock')
      const profile = await execute<{ mail: string }>(page, 'users-readProfile')
      expect(profile).toMatchObject({ status: '200', body: { mail } })
      expect(await page.evaluate(() => JSON.stringify({ ...localStorage, ...sessionStorage }))).not.toMatch(
        /eyJ/,
      )

      // The lines for curl name this very place.
      await page.locator('#operations-feeds-feedEverything .opblock-summary-control').click()
      await page.locator('#operations-feeds-feedEverything').getByText(`${at.url}/api/feed`).first().waitFor()
      expect(seen).toEqual({ errors: [], strangers: [] })
    })
  },
)
