import { expect, test } from 'vitest'
import { world } from '../support/world.ts'
import { isLeftOut } from './page.ts'
import { ask, balance, ended, visit } from './visitor.ts'

test.skipIf(isLeftOut)(
  'an administrator: a model made and tried, credits booked, a person blocked, the audit',
  async () => {
    const at = await world()
    const administrator = await at.administrator()
    const person = await at.person()
    await person.patch('/api/user/profile', { firstName: 'Edsger', lastName: person.uid.slice(-12) })
    const name = `oracle-${administrator.uid.slice(-8)}`
    await visit(
      at,
      administrator,
      async (page, seen) => {
        await page.getByRole('button', { name: 'Add a model' }).click()
        const form = page.getByRole('dialog')
        await form.getByLabel('Name').fill(name)
        await form.getByLabel('Address of the upstream').fill('https://localhost')
        await form.getByLabel('Asked for as').fill('demo-instant')
        await form.getByLabel('One credit buys').fill('0')
        await form.getByText('Enter a price').waitFor()
        await form.getByLabel('One credit buys').fill('400')
        await form.getByText('1,000 tokens cost 2.5 credits.').waitFor()
        await form.getByText('Read and written apart').click()
        await form.getByLabel('Read', { exact: true }).fill('500')
        await form.getByLabel('Written', { exact: true }).fill('2000')
        await form.getByText('1,000 tokens cost 0.5 read, 2 written.').waitFor()
        await form.getByLabel('Address of the upstream').fill(`${at.upstream.url}/nowhere`)
        await form.getByRole('button', { name: 'Save and test' }).click()
        const card = page.getByRole('listitem').filter({ has: page.getByRole('heading', { name }) })
        await card.getByText(/404|failed|status/).waitFor()

        await card.getByRole('button', { name: 'What to do with' }).click()
        await page.getByRole('menuitem', { name: 'Edit' }).click()
        await form.getByLabel('Address of the upstream').fill(at.upstream.url)
        await form.getByRole('button', { name: 'Save and test' }).click()
        await card.getByText(/It answers, in [\d,]+ ms/).waitFor()
        await card.getByRole('switch').uncheck({ force: true })
        await card.getByText('Off', { exact: true }).waitFor()
        await card.getByRole('switch').check({ force: true })
        await card.getByText('Off', { exact: true }).waitFor({ state: 'detached' })

        // It can be asked, at its price.
        await page.getByRole('button', { name: 'Top up' }).click()
        await page.getByRole('button', { name: '100', exact: true }).click()
        await page.getByRole('button', { name: 'Add credits' }).click()
        await expect.poll(() => balance(page)).toBe(100)
        await page.getByRole('link', { name: 'New chat' }).click()
        await ask(page, '[[say:one two three]]', name)
        await ended(page)
        await expect.poll(() => balance(page)).toBeLessThan(100)

        await page.getByRole('link', { name: 'People' }).click()
        await page.getByLabel('Search by name or mail').fill(person.uid.slice(-12))
        const row = page.getByRole('row').filter({ hasText: person.mail })
        await row.getByRole('button').click()
        await page.getByRole('menuitem', { name: 'Book credits' }).click()
        await page.getByRole('dialog').getByLabel('Kind').selectOption({ label: 'Adjustment' })
        await page.getByLabel('Amount').fill('-5')
        await page.getByLabel('Description').fill('A mistake of ours')
        await page.getByRole('button', { name: 'Book', exact: true }).click()
        await page
          .getByRole('dialog')
          .getByRole('alert')
          .getByText(/negative|not be debited|available/)
          .waitFor()
        await page.getByLabel('Amount').fill('12.5')
        await page.getByRole('button', { name: 'Book', exact: true }).click()
        await page.getByText('Booked +12.50.').waitFor()
        await expect.poll(() => row.textContent()).toContain('12.50')

        await row.getByRole('button').click()
        await page.getByRole('menuitem', { name: 'Block' }).click()
        await page.getByRole('dialog').getByRole('button', { name: 'Block' }).click()
        await row.getByText('Blocked').first().waitFor({ state: 'attached' })
        expect((await person.get('/api/user/profile')).status).toBe(403)
        await row.getByRole('button').click()
        await page.getByRole('menuitem', { name: 'Unblock' }).click()
        await row.getByText('Active').first().waitFor({ state: 'attached' })

        await page.getByRole('link', { name: 'Bookings' }).click()
        await page.getByRole('row').filter({ hasText: 'A mistake of ours' }).first().waitFor()

        await page.getByRole('link', { name: 'Audit' }).click()
        await page.getByRole('heading', { name: 'The books agree' }).waitFor()
        await page.getByText(/\d+ accounts checked/).waitFor()

        await page.getByRole('link', { name: 'Models' }).click()
        await card.getByRole('button', { name: 'What to do with' }).click()
        await page.getByRole('menuitem', { name: 'Delete' }).click()
        await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click()
        await card.waitFor({ state: 'detached' })
        seen.errors = seen.errors.filter((error) => !/status of (409|422)/.test(error))
      },
      '/admin/models',
    )
  },
)

test.skipIf(isLeftOut)('a key: its secret shown once, used at the door, bounded, revoked', async () => {
  const at = await world()
  const person = await at.richPerson(20)
  const { name } = await at.model({ token_cost: 1000 })
  await visit(
    at,
    person,
    async (page) => {
      await page.context().grantPermissions(['clipboard-read', 'clipboard-write'])
      await page.getByText('No keys yet').waitFor()
      await page.getByRole('button', { name: 'New key' }).click()
      await page.getByRole('dialog').getByLabel('Name').fill('Nightly report')
      await page.getByLabel('Budget').fill('5')
      await page.getByLabel('Last day').fill('2033-03-03')
      await page.getByRole('checkbox', { name, exact: true }).check()
      await page.getByRole('button', { name: 'Make the key' }).click()
      await page.getByRole('heading', { name: 'Keep this key now' }).waitFor()
      await page.getByRole('button', { name: 'Copy' }).click()
      const secret = await page.evaluate(() => navigator.clipboard.readText())
      await expect.poll(() => page.locator('.secret code').textContent()).toBe(secret)

      const answer = await fetch(`${at.url}/v1/chat/completions`, {
        method: 'POST',
        headers: { Authorization: `Bearer ${secret}`, 'Content-Type': 'application/json' },
        body: JSON.stringify({ model: name, messages: [{ role: 'user', content: '[[say:hello]]' }] }),
      })
      expect(answer.status).toBe(200)

      await page.getByRole('button', { name: 'I have kept it' }).click()
      await page.reload()
      const row = page.getByRole('row').filter({ hasText: 'Nightly report' })
      await row.getByText('of 5 credits').waitFor()
      expect(await row.textContent()).toContain('until Mar 3, 2033')
      expect(await row.textContent()).toContain(`for ${name}`)
      expect(await page.content()).not.toContain(secret)

      await row.getByRole('button').click()
      await page.getByRole('menuitem', { name: 'Edit' }).click()
      await expect.poll(() => page.getByLabel('Last day').inputValue()).toBe('2033-03-03')
      await page.getByLabel('Budget').fill('7.5')
      await page.getByRole('button', { name: 'Save' }).click()
      await row.getByText('of 7.5 credits').waitFor()

      await row.getByRole('button').click()
      await page.getByRole('menuitem', { name: 'Revoke' }).click()
      await page.getByRole('dialog').getByRole('button', { name: 'Revoke' }).click()
      await row.getByText('Revoked').waitFor()

      await page.getByRole('link', { name: 'Usage' }).click()
      await page.getByRole('rowheader', { name: 'Nightly report' }).waitFor()
    },
    '/keys',
  )
})
