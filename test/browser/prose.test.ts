/** What is drawn of a text that grows, in a page of its own: `createProse` without the rest of the console. */
import { build } from 'esbuild'
import fc from 'fast-check'
import type { Page } from 'playwright-core'
import { expect, test } from 'vitest'
import { root } from '../../dev/root.ts'
import { world } from '../support/world.ts'
import { isLeftOut, withPage } from './page.ts'

/** A drawing after each piece of a text: the blocks that stand, each by the number of its element. */
type Drawing = { id: number; html: string }[]

async function drawing(
  look: (draw: (pieces: string[], isWhole?: boolean) => Promise<Drawing[]>) => Promise<void>,
) {
  const { outputFiles } = await build({
    absWorkingDir: root,
    stdin: { contents: `export { createProse } from './console/parts/prose.tsx'`, resolveDir: root },
    ...{ bundle: true, write: false, format: 'iife', globalName: 'parts', jsx: 'automatic' },
    jsxImportSource: 'preact',
  })
  const script = outputFiles[0]!.text
  await withPage(`${(await world()).url}/health`, async (page: Page) => {
    // Not by a tag: the policy of the page lets none run.
    await page.evaluate(`globalThis.parts = (() => { ${script}; return parts })()`)
    await look((pieces, isWhole = true) =>
      page.evaluate(
        async ([pieces, isWhole]) => {
          const holder = document.createElement('div')
          const prose = (globalThis as any).parts.createProse(holder)
          const ids = new Map<Element, number>()
          const seen = () =>
            Array.from(holder.children, (element) => {
              if (!ids.has(element)) ids.set(element, ids.size)
              return { id: ids.get(element)!, html: element.innerHTML }
            })
          const drawings: { id: number; html: string }[][] = []
          let text = ''
          for (const piece of pieces) {
            text += piece
            prose.show(text, false)
            drawings.push(seen())
          }
          if (isWhole) prose.show(text, true)
          // Colours come a moment later.
          await new Promise((resolve) => setTimeout(resolve, 0))
          drawings.push(seen())
          return drawings
        },
        [pieces, isWhole] as const,
      ),
    )
  })
}

test.skipIf(isLeftOut)('a text that grew is drawn as one that came at once, however it was cut', () =>
  drawing(async (draw) => {
    const block = fc.constantFrom(
      ...['A paragraph of [one][a] and [two][b].', 'Setext\n---', '# Heading', '---', '> quoted\nlazily'],
      ...[
        '- one\n- two\n\n  still two\n- three',
        '1. first\n\n2. second',
        '| a | b |\n|---|:-:|\n| 1 | [a] |',
      ],
      ...[
        '```ts\nconst a = 1\n\n[a]: no\n```',
        '~~~\nopen',
        '<b>no</b>',
        '    indented',
        'a',
        '*',
        '[a]',
        '',
      ],
      ...['[a]: https://example.com/a', '[b]: https://example.com/b "B"', '[a]: https://example.com/other'],
    )
    const text = fc
      .tuple(fc.array(block, { minLength: 1, maxLength: 12 }), fc.constantFrom('\n\n', '\n', '\r\n\r\n'))
      .map(([blocks, between]) => blocks.join(between))
    await fc.assert(
      fc.asyncProperty(text, fc.integer({ min: 1, max: 40 }), async (text, most) => {
        const pieces = text.match(new RegExp(`[^]{1,${most}}`, 'g')) ?? []
        const html = (drawings: Drawing[]) => drawings.at(-1)!.map((each) => each.html)
        expect(html(await draw(pieces))).toEqual(html(await draw([text])))
      }),
      { numRuns: 300 },
    )
  }),
)

test.skipIf(isLeftOut)(
  'a block that is complete is made once: its links stay, whatever comes behind it',
  () =>
    drawing(async (draw) => {
      const text = '[r]: https://e.com\n\nOne [a][r].\n\nTwo [b][r].\n\nThree [c][r].\n\nFour.\n\nFive.'
      const drawings = await draw([...text])
      for (const [place, word] of ['One', 'Two', 'Three'].entries()) {
        const linked = drawings.map((blocks) => blocks[place]).filter((each) => each?.html.includes('<a '))
        expect(linked.at(-1)!.html).toContain(word)
        const from = drawings.findIndex((blocks) => blocks[place]?.html.includes(`${word} <a `))
        expect(drawings.slice(from).every((blocks) => blocks[place]!.html.includes('<a '))).toBe(true)
      }
      const complete = drawings.slice(text.indexOf('Three')).map((blocks) => blocks[0]!.id)
      expect(new Set(complete).size).toBe(1)
    }),
)

test.skipIf(isLeftOut)('half of an address is no link, and a word within a definition is no block', () =>
  drawing(async (draw) => {
    const cut = await draw(['A [x][r]\n\nB\n\n', 'C\n\n[r]: https://exa', 'mple.com/page\n\nD\n\nE\n\nF'])
    expect(JSON.stringify(cut)).not.toContain('https://exa\\"')
    expect(cut.at(-1)![0]!.html).toContain('https://example.com/page')

    const within = 'Intro.\n\n[r]: https://e.com/r\n\nr\n\nSecond.\n\nThird.\n\nFourth.\n\nFifth.'
    const drawings = await draw([...within])
    const last = drawings.at(-1)!.map(({ html }) => html)
    expect(last).toHaveLength(6)
    for (const blocks of drawings) expect(blocks.length).toBeLessThanOrEqual(6)
    expect(JSON.stringify(drawings)).not.toContain(']: https')
  }),
)

test.skipIf(isLeftOut)(
  'lines that end with CRLF settle as others do: code has its colours before the end',
  () =>
    drawing(async (draw) => {
      const text = '- a\r\n- b\r\n\r\n```ts\r\nconst a = 1\r\n```\r\n\r\nOne.\r\n\r\nTwo.\r\n\r\nThree.'
      const blocks = (await draw([...text], false)).at(-1)!
      expect(blocks).toHaveLength(5)
      expect(blocks[1]!.html).toContain('hljs-keyword')
    }),
)
