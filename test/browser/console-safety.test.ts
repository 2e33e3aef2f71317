import { expect, test } from 'vitest'
import { world } from '../support/world.ts'
import { isLeftOut } from './page.ts'
import { ask, ended, visit } from './visitor.ts'

const attacks = [
  '<script>window.hacked = 1</script>',
  '<img src="x" onerror="window.hacked = 2">',
  '[press me](javascript:window.hacked=3)',
  '[press me too](JaVaScRiPt&colon;window.hacked=4)',
  '[or me](data:text/html;base64,PHNjcmlwdD53aW5kb3cuaGFja2VkPTU8L3NjcmlwdD4=)',
  '<a href="javascript:window.hacked=6">and me</a>',
  '![a picture](https://spy.example/pixel.png)',
  '![another](x "onerror=window.hacked=7")',
  '<iframe srcdoc="<script>parent.hacked = 8</script>"></iframe>',
  '<svg onload="window.hacked = 9"><animate onbegin="window.hacked = 9" attributeName="x" dur="1s"></svg>',
  '<math><mtext><table><mglyph><style><!--</style><img title="--><img src=1 onerror=window.hacked=10>">',
  '<style>body { display: none }</style>',
  '<form action="https://spy.example"><input name="password"><button>Sign in</button></form>',
  '<details open ontoggle="window.hacked = 11">x</details>',
  '`<img src=x onerror=window.hacked=12>` inline',
  '```html\n<script>window.hacked = 13</script>\n<img src=x onerror=window.hacked=13>\n```',
  '```"><img/src=x/onerror=window.hacked=14>\nbody\n```',
  '| <img src=x onerror=window.hacked=15> | b |\n|---|---|\n| [c](vbscript:x) | <b onclick="window.hacked=15">d</b> |',
  '[ok](https://example.com/a?b=1) and <https://example.org/>',
]

test.skipIf(isLeftOut)('nothing that a model, a person or a title says is ever run', async () => {
  const at = await world()
  const person = await at.richPerson(1000)
  const { name } = await at.model({ token_cost: 1000 })
  const attack = attacks.join('\n\n')
  const look = async (page: Parameters<Parameters<typeof visit>[2]>[0]) => {
    await page.locator('.answer.last .prose .code').first().waitFor()
    expect(await page.evaluate(() => (window as any).hacked)).toBeUndefined()
    expect(
      await page
        .locator('#main')
        .evaluate((main) =>
          [
            ...main.querySelectorAll(
              '.turn script, .turn img, .turn iframe, .prose svg, .turn style, .turn form, .turn input, .prose [style]',
            ),
          ].map(({ outerHTML }) => outerHTML),
        ),
    ).toEqual([])
    const links = await page.locator('.turn a').evaluateAll((all) =>
      all.map((link) => ({
        href: (link as HTMLAnchorElement).getAttribute('href'),
        rel: link.getAttribute('rel'),
      })),
    )
    for (const { href, rel } of links) {
      if (href !== null) expect(href).toMatch(/^(https?:|mailto:)/)
      expect(rel).toContain('noopener')
    }
    expect(links.some(({ href }) => href === 'https://example.com/a?b=1')).toBe(true)
    const handlers = await page
      .locator('#main')
      .evaluate((main) =>
        [...main.querySelectorAll('.turn *')].flatMap((element) =>
          [...element.attributes]
            .filter(({ name: attribute }) => attribute.startsWith('on'))
            .map(({ name: attribute }) => attribute),
        ),
      )
    expect(handlers).toEqual([])
    // It is shown as the text that it is.
    await expect
      .poll(() => page.locator('.answer.last .prose').textContent())
      .toContain('<script>window.hacked = 1</script>')
    for (const text of ['press me', 'or me'])
      await page.getByText(text, { exact: true }).first().click({ noWaitAfter: true })
    expect(await page.evaluate(() => (window as any).hacked)).toBeUndefined()
  }
  await visit(at, person, async (page) => {
    await ask(page, `[[say:${attack}]] <img src=x onerror="window.hacked = 16">`, name)
    await ended(page)
    await look(page)
    await page
      .getByRole('button', { name: /^What to do with/ })
      .first()
      .click()
    await page.getByRole('menuitem', { name: 'Rename' }).click()
    await page.getByLabel('Title of the chat').fill('<img src=x onerror="window.hacked = 17">')
    await page.keyboard.press('Enter')
    await page.getByRole('heading', { name: '<img src=x' }).waitFor()
    await page.reload()
    await look(page)
  })
})

test.skipIf(isLeftOut)('the page itself refuses inline script, inline style and foreign hosts', async () => {
  const at = await world()
  const person = await at.person()
  await visit(at, person, async (page, seen) => {
    const outcome = await page.evaluate(async () => {
      const violations: string[] = []
      document.addEventListener('securitypolicyviolation', ({ effectiveDirective }) =>
        violations.push(effectiveDirective),
      )
      const tried: Record<string, string> = {}
      const attempt = (name: string, act: () => void) => {
        try {
          act()
        } catch (error) {
          tried[name] = (error as Error).name
        }
      }
      attempt('innerHTML', () => {
        document.createElement('div').innerHTML = '<img src=x onerror="window.hacked = 1">'
      })
      attempt('script', () => {
        const script = document.createElement('script')
        script.textContent = 'window.hacked = 2'
        document.body.append(script)
      })
      document.body
        .insertAdjacentElement('beforeend', document.createElement('div'))!
        .setAttribute('style', 'color: red')
      const foreign = await fetch('https://spy.example/').then(
        () => 'sent',
        () => 'refused',
      )
      await new Promise((resolve) => setTimeout(resolve, 50))
      return { violations, tried, foreign, hacked: (window as any).hacked }
    })
    expect(outcome.hacked).toBeUndefined()
    expect(outcome.tried).toEqual({ innerHTML: 'TypeError', script: 'TypeError' })
    expect(outcome.foreign).toBe('refused')
    expect(outcome.violations).toEqual(
      expect.arrayContaining(['require-trusted-types-for', 'style-src-attr', 'connect-src']),
    )
    seen.errors.length = 0
    seen.strangers.length = 0
  })
})
