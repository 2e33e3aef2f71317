import type { Token } from 'marked'
import { useLayoutEffect, useRef } from 'preact/hooks'
import { elementOf, htmlOf, isBlock, isCode, isDefinition, type Links, tokensOf } from './markdown.ts'

interface Shown {
  /** Not the text: a link by reference becomes one when its definition comes, in some later block. */
  html: string
  element: HTMLElement
  block: Token
}

/** The definition of a link that may still go on: half of an address leads somewhere else. */
const UNFINISHED = /(?:^|\n) {0,3}\[[^\]\n]+\]:[^\n]*$/

/**
 * A text that grows, as elements. Blocks that are complete are made once and then left alone: an addition costs what
 * its last blocks cost, however long the text has become, and nothing above them moves.
 */
export function createProse(holder: HTMLElement) {
  let shown: Shown[] = []
  /** Length of the text whose blocks can change no more: all but the last two. */
  let settled = 0
  let settledBlocks = 0
  /** What that text defined. */
  let links: Links = {}
  let text = ''

  const show = (whole: string, isWhole: boolean) => {
    const next = whole.replaceAll('\r\n', '\n').replaceAll('\r', '\n')
    if (isWhole || !next.startsWith(text.slice(0, settled))) {
      settled = 0
      settledBlocks = 0
      links = {}
    }
    text = next
    const open = next.slice(settled)
    const tokens = tokensOf(isWhole ? open : open.replace(UNFINISHED, ''), links)
    const blocks = tokens.filter(isBlock)
    const kept = shown.slice(0, settledBlocks)
    for (const block of blocks) {
      const present = shown[kept.length]
      const html = htmlOf(block)
      if (present?.html === html) kept.push(present)
      else {
        const made = { html, block, element: elementOf(html) }
        if (present) present.element.replaceWith(made.element)
        else holder.append(made.element)
        kept.push(made)
      }
    }
    for (const { element } of shown.slice(kept.length)) element.remove()
    shown = kept
    if (isWhole) {
      void colour(shown)
      return
    }
    // The last block may still become another one, and may swallow the one before it.
    const firm = tokens.slice(0, blocks.length < 2 ? 0 : tokens.indexOf(blocks.at(-2)!))
    const raw = firm.map((token) => token.raw).join('')
    if (!open.startsWith(raw)) return
    const firmBlocks = settledBlocks + firm.filter(isBlock).length
    void colour(shown.slice(settledBlocks, firmBlocks))
    settled += raw.length
    settledBlocks = firmBlocks
    for (const { tag, href, title } of firm.filter(isDefinition)) links[tag] ??= { href, title }
  }
  return { show }
}

/** Colours for code come when there is code, in a file of their own. */
async function colour(blocks: Shown[]): Promise<void> {
  const codes = blocks.filter(({ block }) => isCode(block))
  if (codes.length === 0) return
  const { highlight } = await import('./highlight.ts')
  for (const { element } of codes) {
    const code = element.querySelector<HTMLElement>('code[data-language]:not([data-coloured])')
    if (code) highlight(code)
  }
}

/** `isGrowing`: more is to come. At most one drawing a frame. */
export function Prose({
  text,
  isGrowing,
  onDrawn,
}: {
  text: string
  isGrowing: boolean
  onDrawn?: (() => void) | undefined
}) {
  const holder = useRef<HTMLDivElement>(null)
  const prose = useRef<ReturnType<typeof createProse>>(null)
  const latest = useRef({ text, isGrowing, onDrawn })
  const frame = useRef(0)
  latest.current = { text, isGrowing, onDrawn }
  useLayoutEffect(() => {
    const draw = () => {
      frame.current = 0
      prose.current ??= createProse(holder.current!)
      prose.current.show(latest.current.text, !latest.current.isGrowing)
      latest.current.onDrawn?.()
    }
    // What is whole is there with the first paint.
    if (!isGrowing) {
      cancelAnimationFrame(frame.current)
      draw()
    } else if (frame.current === 0) frame.current = requestAnimationFrame(draw)
  }, [text, isGrowing])
  useLayoutEffect(() => () => cancelAnimationFrame(frame.current), [])
  return <div class={isGrowing ? 'prose growing' : 'prose'} ref={holder} />
}
