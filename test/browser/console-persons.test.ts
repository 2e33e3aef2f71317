import { expect, test } from 'vitest'
import { world } from '../support/world.ts'
import { isLeftOut } from './page.ts'
import { ask, balance, ended, visit } from './visitor.ts'

test.skipIf(isLeftOut)('what somebody wrote and did not send is for nobody else in this tab', async () => {
  const at = await world()
  const [first, second] = [await at.person(), await at.person()]
  const draft = 'what I would rather keep to myself'
  await visit(at, first, async (page) => {
    const field = page.getByLabel('Your message')
    await field.fill(draft)
    await page.reload()
    await expect.poll(() => field.inputValue()).toBe(draft)
    await page.goto(`${at.url}/account`)
    await page.getByRole('button', { name: 'Sign out' }).click()
    await page.getByLabel('Mail').fill(second.mail)
    await page.getByLabel('Password').fill(second.password)
    await page.getByRole('button', { name: 'Sign in' }).click()
    await page.waitForSelector('.shell')
    await page.goto(at.url)
    await field.waitFor()
    expect(await field.inputValue()).toBe('')
    expect(await page.evaluate(() => JSON.stringify({ ...sessionStorage, ...localStorage }))).not.toContain(
      draft,
    )
  })
})

test.skipIf(isLeftOut)(
  'a page whose cookies became another person’s shows that person when one comes back',
  async () => {
    const at = await world()
    const [first, second] = [await at.richPerson(11), await at.richPerson(22)]
    await visit(at, first, async (page) => {
      await expect.poll(() => balance(page)).toBe(11)
      const { mail, password } = second
      await page.request.post(`${at.url}/api/auth/login`, { data: { mail, password } })
      await page.evaluate(() => dispatchEvent(new Event('focus')))
      await expect.poll(() => balance(page)).toBe(22)
    })
  },
)

test.skipIf(isLeftOut)(
  'credits whose booking was not answered are booked once, also from a new dialog',
  async () => {
    const at = await world()
    const person = await at.person()
    await visit(at, person, async (page, seen) => {
      let isLost = true
      await page.route('**/api/transaction/my/make', async (route) => {
        if (!isLost) return route.continue()
        await route.fetch()
        await route.abort()
      })
      const topUp = async () => {
        await page.locator('.sidebar').getByRole('button', { name: 'Top up' }).click()
        await page.getByLabel('Amount').fill('7')
        await page.getByRole('button', { name: 'Add credits' }).click()
      }
      await topUp()
      await page.getByText('the same amount again is booked only once').waitFor()
      await page.getByRole('button', { name: 'Cancel' }).click()
      isLost = false
      await topUp()
      await page.getByText('7 credits are yours').waitFor()
      expect((await person.get<any>('/api/user/profile')).body.balance).toBe(7)
      await topUp()
      await page.getByText('Your balance is 14').waitFor()
      expect((await person.get<any>('/api/transaction/my')).body.data).toHaveLength(2)
      seen.errors.length = 0
    })
  },
)

test.skipIf(isLeftOut)('the price on the page is that of now when one comes back to it', async () => {
  const at = await world()
  const administrator = await at.administrator()
  const person = await at.richPerson(50)
  const { modelUid, name } = await at.model({ token_cost: 1000 })
  await visit(at, person, async (page) => {
    await page.getByLabel('Model', { exact: true }).selectOption({ label: name })
    await page.getByText('1,000 tokens cost 1 credit').first().waitFor()
    await administrator.put('/api/model/update', { uid: modelUid, token_cost: 10 })
    await page.evaluate(() => dispatchEvent(new Event('focus')))
    await page.getByText('1,000 tokens cost 100 credits').first().waitFor()
    await ask(page, '[[say:dear]]')
    await ended(page)
  })
})

test.skipIf(isLeftOut)('words from right to left are laid out so', async () => {
  const at = await world()
  const person = await at.richPerson(50)
  const { name } = await at.model({ token_cost: 1000 })
  await visit(at, person, async (page) => {
    await ask(page, '[[say:שלום עולם.\n\nand in English]] שלום', name)
    await ended(page)
    const directions = (selector: string) =>
      page.evaluate(
        (of) => Array.from(document.querySelectorAll(of), (part) => getComputedStyle(part).direction),
        selector,
      )
    expect(await directions('.answer > .prose p')).toEqual(['rtl', 'ltr'])
  })
})
