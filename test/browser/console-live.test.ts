import type { Page } from 'playwright-core'
import { expect, test } from 'vitest'
import { type Person, world } from '../support/world.ts'
import { isLeftOut, withPage } from './page.ts'
import { answerText, ask, ended, plain, visit, written } from './visitor.ts'

/** The newest message of the newest chat, as it is stored. */
async function stored(person: Person): Promise<{ message: string; status: string }> {
  const chats = await person.get<{ data: { uid: string }[] }>('/api/chat/all?limit=1')
  const messages = await person.get<{ data: { message: string; status: string }[] }>(
    `/api/chat/${chats.body.data[0]!.uid}/messages?limit=1`,
  )
  return messages.body.data[0]!
}

/** Feeds that a page has opened. */
function feedsOf(page: Page): string[] {
  const urls: string[] = []
  page.on('request', (request) => {
    if (/\/(feed|sse)\b/.test(request.url())) urls.push(request.url())
  })
  return urls
}

test.skipIf(isLeftOut)(
  'a second tab joins in mid-sentence, stops the answer, and both show the stored text',
  async () => {
    const at = await world()
    const person = await at.richPerson(100)
    const { name } = await at.model({ type: 'demo', token_cost: 1000 })
    await visit(at, person, async (page) => {
      await ask(page, '[[tokens=3000]] [[delay=20]] Tell me about streams', name)
      await written(page, 60)
      const second = await page.context().newPage()
      const feeds = feedsOf(second)
      await second.goto(page.url())
      await written(second, (await answerText(page)).length)
      expect(plain(await answerText(page)).slice(0, 60)).toBe(plain(await answerText(second)).slice(0, 60))

      // A chat that is begun in one tab is in the list of the other.
      await second.getByRole('link', { name: 'New chat' }).click()
      await ask(second, '[[say:from the other tab]] Beside', name)
      await ended(second)
      await page.getByRole('link', { name: /Beside/ }).waitFor()
      await second.goBack()
      await second.getByRole('button', { name: 'Stop the answer' }).click()
      await Promise.all([ended(page), ended(second)])
      const message = await person
        .get<{ data: { message: string; status: string }[] }>(
          `/api/chat/${new URL(page.url()).pathname.slice(7)}/messages`,
        )
        .then(({ body }) => body.data[0]!)
      expect(message.status).toBe('STOPPED')
      for (const each of [page, second]) expect(plain(await answerText(each))).toBe(plain(message.message))
      // One feed serves everything that a tab shows.
      expect(feeds).toHaveLength(1)
    })
  },
)

test.skipIf(isLeftOut)(
  'offline and back in the middle of an answer: nothing is lost or told twice',
  async () => {
    const at = await world()
    const person = await at.richPerson(100)
    const { name } = await at.model({ type: 'demo', token_cost: 1000 })
    await visit(at, person, async (page, seen) => {
      await ask(page, '[[chunks=400,size=12]] [[delay=50]] count', name)
      await written(page, 60)
      await page.context().setOffline(true)
      await page.getByText('You are offline.').waitFor()
      const before = (await answerText(page)).length
      await expect.poll(async () => (await stored(person)).status, { timeout: 60_000 }).toBe('COMPLETED')
      await page.context().setOffline(false)
      await ended(page)
      const { message } = await stored(person)
      expect(before).toBeLessThan(message.length)
      expect(plain(await answerText(page))).toBe(plain(message))
      await page.getByText('You are offline.').waitFor({ state: 'detached' })

      // A question that the line swallowed is kept, and asked once only.
      await page.context().setOffline(true)
      await ask(page, '[[say:at last]] Are you there?')
      await page.getByText('Your message is kept').waitFor()
      await page.context().setOffline(false)
      await page.getByLabel('Your message').press('Enter')
      await expect.poll(() => answerText(page), { timeout: 30_000 }).toBe('at last')
      await expect.poll(() => page.locator('.question').count()).toBe(2)
      seen.errors = seen.errors.filter(
        (error) => !/ERR_INTERNET_DISCONNECTED|ERR_NETWORK_CHANGED/.test(error),
      )
    })
  },
)

test.skipIf(isLeftOut)(
  'a session that is ended elsewhere asks to sign in, and goes on where it was',
  async () => {
    const at = await world()
    const person = await at.richPerson(10)
    await visit(
      at,
      person,
      async (page, seen) => {
        await page.getByRole('heading', { name: 'Statement' }).waitFor()
        await page.context().clearCookies()
        await page.getByRole('link', { name: 'Account' }).or(page.locator('.person-name')).first().click()
        await page.getByLabel('First name').fill('Grace')
        await page.getByRole('button', { name: 'Save' }).click()
        await page.getByText('Your session has ended.').waitFor()
        await page.getByLabel('Mail').fill(person.mail)
        await page.getByLabel('Password').fill(person.password)
        await page.getByRole('button', { name: 'Sign in' }).click()
        await page.getByRole('heading', { name: 'Account', exact: true }).waitFor()
        seen.errors = seen.errors.filter((error) => !/status of 401/.test(error))
      },
      '/statement',
    )
  },
)

test.skipIf(isLeftOut)('everything by keyboard alone, and one always sees where one is', async () => {
  const at = await world()
  const person = await at.richPerson(50)
  const { name } = await at.model({ type: 'demo', token_cost: 1000 })
  await withPage(at.url, async (page) => {
    const { keyboard } = page
    await page.getByRole('heading', { name: 'Welcome back' }).waitFor()
    await keyboard.type(person.mail)
    await keyboard.press('Tab')
    await keyboard.type(person.password)
    await keyboard.press('Enter')
    await page.locator('.composer textarea:focus').waitFor()
    await page.getByLabel('Model', { exact: true }).selectOption({ label: name })

    // Enter sends, Shift + Enter does not; Esc stops.
    await page.getByLabel('Your message').focus()
    await keyboard.type('[[tokens=2000]] [[delay=20]] first line')
    await keyboard.press('Shift+Enter')
    await keyboard.type('second line')
    await expect.poll(() => page.getByLabel('Your message').inputValue()).toContain('\nsecond line')
    await keyboard.press('Enter')
    await written(page, 40)
    await page.getByText('The answer is being written.').waitFor({ state: 'attached' })
    await keyboard.press('Escape')
    await page.getByText('Stopped. You paid').waitFor()
    await page.getByText(/^The answer is stopped: \d+ tokens/).waitFor({ state: 'attached' })

    // Search and go, a menu and a dialog.
    await keyboard.press('Control+k')
    await keyboard.type('statem')
    await keyboard.press('Enter')
    await page.getByRole('heading', { name: 'Statement' }).waitFor()
    await expect.poll(() => page.evaluate(() => document.activeElement?.id)).toBe('main')
    await page.locator('.chat-item .menu-button').first().focus()
    await keyboard.press('Enter')
    await page.getByRole('menuitem', { name: 'Rename' }).waitFor()
    const focused = () => page.evaluate(() => document.activeElement?.textContent?.trim())
    await expect.poll(focused).toBe('Rename')
    await keyboard.press('ArrowDown')
    await expect.poll(focused).toBe('Delete')
    await keyboard.press('Enter')
    await page.getByRole('dialog').waitFor()
    await keyboard.press('Escape')
    await page.getByRole('dialog').waitFor({ state: 'detached' })
    await expect.poll(() => page.evaluate(() => document.activeElement?.className)).toContain('menu-button')

    // Whatever has the focus shows it.
    await page.reload()
    await page.getByRole('heading', { name: 'Statement' }).waitFor()
    const invisible: string[] = []
    let isSkipFirst = false
    for (let step = 0; step < 40; step++) {
      await keyboard.press('Tab')
      const seen = await page.evaluate(() => {
        const { activeElement } = document
        if (!activeElement || activeElement === document.body) return undefined
        const frame = activeElement.closest('.control, .composer, .palette-field')
        const styles = [activeElement, ...(frame ? [frame] : [])].map((element) => getComputedStyle(element))
        const isShown = styles.some(
          ({ outlineStyle, outlineWidth }) => outlineStyle !== 'none' && outlineWidth !== '0px',
        )
        return { isShown, what: activeElement.outerHTML.slice(0, 120) }
      })
      if (!seen) continue
      if (step === 0) isSkipFirst = seen.what.includes('skip')
      if (!seen.isShown) invisible.push(seen.what)
    }
    expect(invisible).toEqual([])
    expect(isSkipFirst).toBe(true)
  })
})
