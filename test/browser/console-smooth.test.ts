import { expect, test } from 'vitest'
import { world } from '../support/world.ts'
import { isLeftOut } from './page.ts'
import { answerText, ask, ended, plain, visit, written } from './visitor.ts'

const WORDS = 5_000

test.skipIf(isLeftOut)(
  'an answer of 5,000 words: no layout jump, nothing drawn twice, still usable while it is written',
  async () => {
    const at = await world()
    const person = await at.richPerson(1000)
    const { name } = await at.model({
      type: 'demo',
      token_cost: 1000,
      context_tokens: 100_000,
      max_output_tokens: 10_000,
    })
    await visit(at, person, async (page) => {
      await page.evaluate(() => {
        const seen = { shift: 0, made: 0, frames: 0 }
        Object.assign(window, { seen })
        new PerformanceObserver((list) => {
          for (const entry of list.getEntries() as any[]) if (!entry.hadRecentInput) seen.shift += entry.value
        }).observe({ type: 'layout-shift', buffered: false })
        new MutationObserver((records) => {
          for (const { addedNodes } of records)
            for (const node of addedNodes) if ((node as Element).classList?.contains('block')) seen.made++
        }).observe(document.body, { childList: true, subtree: true })
        const count = () => {
          seen.frames++
          requestAnimationFrame(count)
        }
        requestAnimationFrame(count)
      })
      await ask(page, `[[tokens=${WORDS}]] [[delay=3]] Tell me about billing`, name)
      await written(page, 2_000)
      const begun = await page.evaluate(() => {
        ;(document.querySelector('.answer .block') as any).isFirst = true
        Object.assign((window as any).seen, { shift: 0, made: 0, frames: 0 })
        return document.querySelector('.answer > .prose')?.children.length ?? 0
      })

      // The end stays in view, until the reader scrolls up: then nothing moves them.
      const fromEnd = () =>
        page
          .locator('.scroller')
          .evaluate(({ scrollHeight, scrollTop, clientHeight }) => scrollHeight - scrollTop - clientHeight)
      expect(await fromEnd()).toBeLessThan(48)
      await page.locator('.scroller').hover()
      await page.mouse.wheel(0, -900)
      await page.getByRole('button', { name: 'To the newest words' }).waitFor()
      const place = () => page.locator('.scroller').evaluate(({ scrollTop }) => scrollTop)
      const [at1, length1] = [await place(), (await answerText(page)).length]
      await written(page, length1 + 1_000)
      expect(await place()).toBe(at1)

      // The field takes what is typed meanwhile.
      await page.getByLabel('Your message').pressSequentially('my next question')
      await expect.poll(() => page.getByLabel('Your message').inputValue()).toBe('my next question')
      await page.getByRole('button', { name: 'To the newest words' }).click()
      await expect.poll(fromEnd).toBeLessThan(48)

      await page.locator('.answer.last .paid').waitFor({ timeout: 60_000 })
      const { seen, blocks, isFirst } = await page.evaluate(() => ({
        seen: (window as any).seen as { shift: number; made: number; frames: number },
        blocks: document.querySelector('.answer > .prose')?.children.length ?? 0,
        isFirst: (document.querySelector('.answer .block') as any).isFirst === true,
      }))
      expect(seen.shift).toBeLessThan(0.02)
      // What was complete was left alone, to the end and beyond it.
      expect(isFirst).toBe(true)
      // A frame draws the block at the end, and now and then the one that begins; never the whole answer.
      expect(seen.made).toBeLessThan(seen.frames * 2 + (blocks - begun) * 3)
      expect(seen.made).toBeLessThan(blocks * blocks)

      const chatUid = new URL(page.url()).pathname.slice('/chats/'.length)
      const { body } = await person.get<{ data: { message: string }[] }>(
        `/api/chat/${chatUid}/messages?limit=1`,
      )
      const { message } = body.data[0]!
      expect(message.split(/\s+/).length).toBeGreaterThan(WORDS * 0.9)
      // Numbers of lists are drawn, not text.
      const letters = (text: string) => plain(text).replace(/\d\./g, '')
      expect(letters(await answerText(page))).toBe(letters(message))
    })
  },
)

test.skipIf(isLeftOut)('what is drawn as it grows is in the end what is drawn at once', async () => {
  const at = await world()
  const person = await at.richPerson(100)
  const { name } = await at.model({ type: 'demo', token_cost: 1000 })
  const text = [
    'A paragraph that\ngoes on *over* lines.\n\n# A heading\n\n- one\n- two\n\n  still two\n- three\n\n1. first\n2. second\n',
    'Setext heading\n---\n\n```ts\nconst a = 1\n\nconst b = a < 2 ? "x" : `y`\n```\n\n> quoted\nlazily\n\n',
    '| a | b |\n|---|:-:|\n| 1 | 2 |\n\nA [reference][r] and `code`.\n\n[r]: https://example.com/r\n\n---\n\n',
    // Drawn as text long before it is known to be a link; and one whose definition was read long ago.
    'What [is told][late] only at the end of it all.\n\n',
    'One of the paragraphs that stand between.\n\n'.repeat(6),
    'Again the [reference][r].\n\nThe end.\n\n[late]: https://example.com/late',
  ].join('\n')
  await visit(at, person, async (page) => {
    await ask(page, `[[delay=8]] [[say:${text}]]`, name)
    await ended(page)
    await page.locator('[data-coloured]').waitFor()
    const grown = await page.locator('.answer > .prose').innerHTML()
    await page.reload()
    await ended(page)
    await page.locator('[data-coloured]').waitFor()
    await expect.poll(() => page.locator('.answer > .prose').innerHTML()).toBe(grown)
    expect(grown.split('href="https://example.com/r"')).toHaveLength(3)
    expect(grown).toContain('href="https://example.com/late"')
    expect(grown).toContain('<span class="hljs-keyword">const</span>')
  })
})

test.skipIf(isLeftOut)(
  'a long chat opens at its end; what is earlier comes in above, and moves nothing',
  async () => {
    const at = await world()
    const person = await at.richPerson(1000)
    const { modelUid } = await at.model({ token_cost: 1000 })
    const { chatUid } = (await person.post<{ chatUid: string }>('/api/chat/create', { title: 'Long' })).body
    for (let turn = 1; turn <= 30; turn++) {
      const message = `[[say:answer ${turn}]] question ${turn}`
      await person.post('/api/chat/message', { role: 'user', message, chatUid, modelUid })
    }
    await visit(
      at,
      person,
      async (page) => {
        await page.getByText('answer 30', { exact: true }).waitFor()
        await expect.poll(() => page.getByText('answer 30', { exact: true }).isVisible()).toBe(true)
        await expect.poll(() => page.locator('.turn').count()).toBe(25)
        await page.locator('.scroller').evaluate((box) => box.scrollTo(0, 0))
        const top = () =>
          page
            .getByText('answer 6', { exact: true })
            .evaluate((text) => Math.round(text.getBoundingClientRect().top))
        const before = await top()
        await page.getByRole('button', { name: 'Earlier messages' }).click()
        await page.getByText('answer 1', { exact: true }).waitFor({ state: 'attached' })
        await expect.poll(() => page.locator('.turn').count()).toBe(30)
        // The button above has gone with the last page.
        await expect.poll(async () => Math.abs((await top()) - before)).toBeLessThan(2)
        await page.getByRole('button', { name: 'Earlier messages' }).waitFor({ state: 'detached' })
      },
      `/chats/${chatUid}`,
    )
  },
)
