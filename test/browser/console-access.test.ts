import axe from 'axe-core'
import type { Page } from 'playwright-core'
import { expect, test } from 'vitest'
import { world } from '../support/world.ts'
import { isLeftOut, withPage } from './page.ts'
import { ask, ended, visit } from './visitor.ts'

/** What axe calls serious or critical, as lines that say where. Colours are all that the dark theme changes. */
async function faults(page: Page, view: string, schemes: ('light' | 'dark')[]): Promise<string[]> {
  const found: string[] = []
  await page.evaluate(axe.source)
  for (const colorScheme of schemes) {
    await page.emulateMedia({ colorScheme })
    await settle(page)
    const run = colorScheme === 'light' ? 'axe.run()' : 'axe.run({ runOnly: ["color-contrast"] })'
    const { violations, passes } = (await page.evaluate(run)) as axe.AxeResults
    expect(passes.map(({ id }) => id)).toContain('color-contrast')
    for (const { impact, id, nodes } of violations)
      if (impact === 'serious' || impact === 'critical')
        for (const { html, failureSummary } of nodes)
          found.push(`${view}, ${colorScheme}: ${id}: ${html.slice(0, 160)} ${failureSummary}`)
  }
  return found
}

/** What is fading in or out has not the colours that it will have. */
const settle = (page: Page): Promise<unknown> =>
  page.evaluate(() => {
    const fading = document
      .getAnimations()
      .filter(({ effect }) => effect?.getComputedTiming().iterations === 1)
    return Promise.all(fading.map(({ finished }) => finished.catch(() => undefined)))
  })

const looks = {
  wide: { width: 1280, schemes: ['light', 'dark'] },
  phone: { width: 390, schemes: ['light'] },
} as const

test.skipIf(isLeftOut).each(['wide', 'phone'] as const)(
  'axe finds nothing serious on any view: %s',
  async (look) => {
    const at = await world()
    const administrator = await at.administrator()
    const { name } = await at.model({ token_cost: 1000 })
    await administrator.post('/api/transaction/my/make', { amount: 50, type: 'PURCHASE' })
    await administrator.post('/api/key/create', { name: 'Nightly report', budget: 5 })
    const { width, schemes } = looks[look]
    const prepare = (page: Page) => page.setViewportSize({ width, height: 900 })
    const found: string[] = []
    await withPage(at.url, async (page) => {
      await prepare(page)
      await page.getByRole('heading', { name: 'Welcome back' }).waitFor()
      found.push(...(await faults(page, 'sign in', [...schemes])))
      await page.getByRole('button', { name: 'Create an account' }).click()
      await page.getByLabel('Password').fill('short')
      await page.getByRole('button', { name: 'Create account' }).click()
      await page.getByText('must have 8 to 128 characters').waitFor()
      found.push(...(await faults(page, 'sign up', [...schemes])))
    })
    await visit(at, administrator, async (page, seen) => {
      await prepare(page)
      const check = async (view: string) => found.push(...(await faults(page, view, [...schemes])))
      await check('new chat')
      const text =
        '# A heading\n\nWith `code`, a [link](https://example.com).\n\n```js\nlet x = "y" // why\n```\n\n| a |\n|---|\n| 1 |'
      await ask(page, `[[say:${text}]]`, name)
      await ended(page)
      await page.locator('[data-coloured]').waitFor()
      await check('chat')
      await ask(page, '[[fault:cut-after=2]] [[delay=0]] and now fail')
      await page.locator('.ended.failed').waitFor()
      await check('a failed answer')
      await ask(page, '[[tokens=3000]] [[delay=30]] and go on')
      await page.locator('.growing').waitFor()
      await check('a growing answer')
      await page.getByRole('button', { name: 'Stop the answer' }).click()
      await page.getByText('Stopped. You paid').waitFor()
      await page.keyboard.press('Control+k')
      await page.getByRole('option', { name: 'New chat' }).waitFor()
      await check('search')
      await page.keyboard.press('Escape')
      if (look === 'phone') {
        await page.getByRole('button', { name: 'Menu', exact: true }).click()
        await check('the sidebar over the page')
        await page.keyboard.press('Escape')
      }
      for (const [path, ready] of [
        ['/statement', '.table .amount'],
        ['/usage', '.plot rect'],
        ['/keys', '.table .badge'],
        ['/account', '.card'],
        ['/admin/models', '.card.model'],
        ['/admin/users', '.table .menu-button'],
        ['/admin/bookings', '.table .amount'],
        ['/admin/audit', '.verdict'],
        ['/chats/0199f6e2-7c1d-7a53-9d0e-3f1f6a0c2b11', '.empty'],
      ] as const) {
        await page.goto(at.url + path)
        await page.locator(ready).first().waitFor({ state: 'attached' })
        await check(path)
      }
      for (const [path, button, ready] of [
        ['/statement', 'Top up', 'dialog'],
        ['/keys', 'New key', 'dialog'],
        ['/admin/models', 'Add a model', 'dialog .example'],
      ] as const) {
        await page.goto(at.url + path)
        await page.locator('.page-actions').getByRole('button', { name: button }).click()
        await page.locator(ready).waitFor()
        await check(`${path}: ${button}`)
      }
      seen.errors = seen.errors.filter((error) => !/status of 404/.test(error))
    })
    expect(found).toEqual([])
  },
  600_000,
)
