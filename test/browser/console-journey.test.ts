import { randomUUID } from 'node:crypto'
import { expect, test } from 'vitest'
import { world } from '../support/world.ts'
import { isLeftOut, withPage } from './page.ts'
import { answerText, ask, balance, ended, visit, written } from './visitor.ts'

test.skipIf(isLeftOut)(
  'a new person: sign up, top up, a first answer, a reload in its middle, stop, statement, chart, sign out and in',
  async () => {
    const at = await world()
    const { name } = await at.model({ type: 'demo', token_cost: 1000 })
    const mail = `${randomUUID()}@example.com`
    await withPage(at.url, async (page, seen) => {
      await page.getByRole('button', { name: 'Create an account' }).click()
      await page.getByLabel('First name').fill('Ada')
      await page.getByLabel('Last name').fill('Byron')
      await page.getByLabel('Mail').fill(mail)
      await page.getByLabel('Password').fill('short')
      await page.getByRole('button', { name: 'Create account' }).click()
      await page.getByText('must have 8 to 128 characters').waitFor()
      await page.getByLabel('Password').fill('a long password')
      await page.getByRole('button', { name: 'Create account' }).click()
      await page.getByText('You have no credits').waitFor()
      await expect.poll(() => balance(page)).toBe(0)

      // Without credits a question is refused, and stays in the field.
      await ask(page, 'Can I have this for nothing?', name)
      await page.getByRole('alert').getByText('credits; 0.00 are available').waitFor()
      await expect
        .poll(() => page.getByLabel('Your message').inputValue())
        .toBe('Can I have this for nothing?')

      await page.getByRole('alert').getByRole('button', { name: 'Top up' }).click()
      await page.getByLabel('Amount').fill('10')
      await page.getByRole('button', { name: 'Add credits' }).click()
      await expect.poll(() => balance(page)).toBe(10)

      // The first answer comes word by word; a reload in its middle loses none.
      await ask(page, '[[tokens=2000]] [[delay=25]] Tell me about holds')
      await written(page, 100)
      await expect.poll(() => page.locator('.balance-held').textContent()).toContain('on hold')
      const before = await answerText(page)
      await page.reload()
      await written(page, before.length + 50)
      expect((await answerText(page)).startsWith(before.slice(0, -1))).toBe(true)
      expect(new URL(page.url()).pathname).toMatch(/^\/chats\/[0-9a-f-]{36}$/)
      await page.getByLabel('Your message').waitFor()
      await page.keyboard.press('Escape')
      await page.getByText('Stopped. You paid for what was written.').waitFor()
      await ended(page)
      const paid = await page.locator('.answer.last .paid').textContent()
      const [, cost = ''] = /tokens([\d.]+) credits/.exec(paid ?? '') ?? []
      await expect.poll(() => balance(page)).toBeLessThan(10)
      const left = await balance(page)
      expect(Number(cost)).toBeCloseTo(10 - left, 4)

      await page.getByRole('link', { name: 'Statement', exact: true }).first().click()
      await page.getByRole('heading', { name: 'Statement' }).waitFor()
      const rows = page.locator('.table tbody tr')
      await expect.poll(() => rows.count()).toBe(2)
      expect(await rows.nth(0).textContent()).toContain(`−${cost}`)
      expect(await rows.nth(1).textContent()).toContain('+10.00')
      await page.getByLabel('Kind').selectOption({ label: 'Purchase' })
      await expect.poll(() => rows.count()).toBe(1)
      const [download] = await Promise.all([
        page.waitForEvent('download'),
        page.getByRole('button', { name: 'CSV' }).click(),
      ])
      const csv = await (await download.createReadStream()).toArray()
      expect(Buffer.concat(csv).toString()).toMatch(/^uid,.*\r?\n[^\n]+,10,PURCHASE,[^\n]+\r?\n$/)

      await page.getByRole('link', { name: 'Usage' }).click()
      const chart = page.getByRole('img', { name: /^Credits per day: / })
      await chart.waitFor()
      expect(await chart.getAttribute('aria-label')).toContain(`${cost} credits in all`)
      await expect.poll(() => page.locator('.plot rect').count()).toBeGreaterThan(1)
      await page.getByText('The same as a table').first().click()
      await page
        .getByRole('row', { name: new RegExp(`${cost}$`) })
        .first()
        .waitFor()

      await page.getByRole('button', { name: 'Sign out' }).click()
      await page.getByRole('heading', { name: 'Welcome back' }).waitFor()
      expect(await page.evaluate(() => JSON.stringify({ ...localStorage, ...sessionStorage }))).not.toMatch(
        /eyJ/,
      )
      await page.getByLabel('Mail').fill(mail)
      await page.getByLabel('Password').fill('a wrong password')
      await page.getByRole('button', { name: 'Sign in' }).click()
      await page.getByText('The mail address or the password is wrong.').waitFor()
      await page.getByLabel('Password').fill('a long password')
      await page.getByRole('button', { name: 'Sign in' }).click()
      // Where they were when they left.
      await page.getByRole('heading', { name: 'Usage' }).waitFor()
      expect(seen.strangers).toEqual([])
      // Refusals that were provoked, and the question who is there, are all that the browser complains about.
      expect(seen.errors.filter((error) => !/status of (401|402|422)/.test(error))).toEqual([])
    })
  },
)

test.skipIf(isLeftOut)(
  'chats: search, rename, delete; answers: again, copy, the model is remembered',
  async () => {
    const at = await world()
    const person = await at.richPerson(100)
    const [first, second] = [await at.model({ token_cost: 1000 }), await at.model({ token_cost: 500 })]
    await visit(at, person, async (page) => {
      await page.context().grantPermissions(['clipboard-read', 'clipboard-write'])
      await ask(page, '[[say:An answer about **walruses**]] walrus?', first.name)
      await ended(page)
      await expect.poll(() => page.locator('.answer.last .prose strong').textContent()).toBe('walruses')
      await page.getByRole('button', { name: 'Copy the answer' }).click()
      await expect
        .poll(() => page.evaluate(() => navigator.clipboard.readText()))
        .toBe('An answer about **walruses**')

      // Again, by another model: both answers stay, the newest is shown.
      await page.getByLabel('Model', { exact: true }).selectOption({ label: second.name })
      await page.getByRole('button', { name: 'Answer again' }).click()
      await page.getByText('2 of 2').waitFor()
      await expect.poll(() => page.locator('.answer.last .paid').textContent()).toContain(second.name)
      await page.getByRole('button', { name: 'The answer before' }).click()
      await page.getByText('1 of 2').waitFor()
      await expect.poll(() => page.locator('.answer.last .paid').textContent()).toContain(first.name)

      await page
        .getByRole('button', { name: /^What to do with/ })
        .first()
        .click()
      await page.getByRole('menuitem', { name: 'Rename' }).click()
      await page.getByLabel('Title of the chat').fill('Large animals')
      await page.keyboard.press('Enter')
      await page.getByRole('heading', { name: 'Large animals' }).waitFor()

      await page.getByRole('link', { name: 'New chat' }).click()
      await expect
        .poll(() => page.getByLabel('Model', { exact: true }).locator('option:checked').textContent())
        .toBe(second.name)
      await page.reload()
      await expect
        .poll(() => page.getByLabel('Model', { exact: true }).locator('option:checked').textContent())
        .toBe(second.name)

      await page.keyboard.press('Control+k')
      await page.getByRole('combobox', { name: /Search/ }).fill('large ANI')
      await page.getByRole('option', { name: 'Large animals' }).waitFor()
      await page.keyboard.press('Enter')
      await page.getByRole('heading', { name: 'Large animals' }).waitFor()

      await page.getByRole('button', { name: 'What to do with “Large animals”' }).click()
      await page.getByRole('menuitem', { name: 'Delete' }).click()
      await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click()
      await page.getByText('Your chats will be here.').waitFor()
      const { body } = await person.get<{ data: unknown[] }>('/api/chat/all')
      expect(body.data).toEqual([])
    })
  },
)
