import DOMPurify, { type Config } from 'dompurify'
import { Lexer, Marked, type Token, type Tokens, type TokensList } from 'marked'

// What a model writes is Markdown from a stranger. Three walls: HTML in it is shown as text, what becomes of the rest
// passes DOMPurify with a short list of elements, and the page's policy lets no inline script run.

const escapes: Record<string, string> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}
const escaped = (text: string): string => text.replace(/[&<>"']/g, (sign) => escapes[sign]!)

const marked = new Marked({
  gfm: true,
  renderer: {
    html: ({ text }) => escaped(text),
    // An image would tell its host who reads this, and when.
    image: ({ href, text }) => `<a href="${escaped(href)}">${escaped(text || href)}</a>`,
    // A heading of an answer is none of the page.
    heading({ tokens, depth }) {
      return `<p class="heading heading-${Math.min(depth, 4)}">${this.parser.parseInline(tokens)}</p>`
    },
    checkbox: ({ checked }) => (checked ? '☑ ' : '☐ '),
  },
})

const allowed: Config & { RETURN_DOM_FRAGMENT: true } = {
  ALLOWED_TAGS:
    'a b blockquote br code del em hr i li ol p pre strong sub sup table tbody td th thead tr ul'.split(' '),
  ALLOWED_ATTR: ['href', 'start', 'class', 'align'],
  ALLOWED_URI_REGEXP: /^(?:https?:|mailto:)/i,
  RETURN_DOM_FRAGMENT: true,
}
DOMPurify.addHook('afterSanitizeAttributes', (element) => {
  if (element.tagName !== 'A') return
  element.setAttribute('target', '_blank')
  element.setAttribute('rel', 'noopener noreferrer nofollow')
})

/** Where links by reference lead. */
export type Links = TokensList['links']

/** A text taken apart; `links` are those of the text before it, which go before its own. */
export function tokensOf(text: string, links: Links): Token[] {
  const lexer = new Lexer(marked.defaults)
  Object.assign(lexer.tokens.links, links)
  return lexer.lex(text)
}

/** Paragraphs, lists, code…: whatever is drawn. */
export const isBlock = ({ type }: Token): boolean => type !== 'space' && type !== 'def'

export const isDefinition = (token: Token): token is Tokens.Def => token.type === 'def'

/** One block as HTML, not yet safe to show. */
export const htmlOf = (block: Token): string => marked.parser([block])

/** What `htmlOf` gave, as elements that are safe to show. */
export function elementOf(html: string): HTMLElement {
  const holder = document.createElement('div')
  holder.className = 'block'
  const fragment = DOMPurify.sanitize(html, allowed)
  for (const table of fragment.querySelectorAll('table')) table.replaceWith(wrapped(table))
  for (const code of fragment.querySelectorAll('pre > code')) code.parentElement!.replaceWith(framed(code))
  // Each part in the direction of its own first letter.
  for (const part of fragment.querySelectorAll('p, li, ul, ol, blockquote, th, td'))
    part.setAttribute('dir', 'auto')
  holder.append(fragment)
  return holder
}

/** Wide tables scroll by themselves, by keyboard too. */
function wrapped(table: Element): HTMLElement {
  const frame = document.createElement('div')
  frame.className = 'table-scroll'
  frame.tabIndex = 0
  frame.setAttribute('role', 'region')
  frame.setAttribute('aria-label', 'Table')
  frame.append(table.cloneNode(true))
  return frame
}

/** Code with its language and a button that copies it. */
function framed(code: Element): HTMLElement {
  const language = /language-([\w+#.-]+)/.exec(code.className)?.[1] ?? ''
  const frame = document.createElement('div')
  frame.className = 'code'
  const bar = document.createElement('div')
  bar.className = 'code-bar'
  const name = document.createElement('span')
  name.textContent = language || 'text'
  const button = document.createElement('button')
  button.type = 'button'
  button.className = 'code-copy'
  button.textContent = 'Copy'
  button.setAttribute('aria-label', `Copy this ${language || 'text'}`)
  button.addEventListener('click', async () => {
    await navigator.clipboard.writeText(code.textContent ?? '')
    button.textContent = 'Copied'
    setTimeout(() => {
      button.textContent = 'Copy'
    }, 1_500)
  })
  bar.append(name, button)
  const pre = document.createElement('pre')
  pre.tabIndex = 0
  const inner = document.createElement('code')
  if (language) inner.dataset.language = language
  inner.textContent = code.textContent
  pre.append(inner)
  frame.append(bar, pre)
  return frame
}

export const isCode = (block: Token): block is Tokens.Code => block.type === 'code'
