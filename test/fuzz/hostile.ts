/** Requests that mean harm: one to three things at once, of which nobody says how they must be refused. */
import { deflateSync, gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { operationOf } from '../support/contract.ts'
import type { Operation } from './document.ts'
import { type Draft, draft } from './drafts.ts'
import { members, raw, take } from './marks.ts'
import { CREDENTIALS, HEADERS, METHODS, ODD_NAMES, QUERIES, SEGMENTS, TEXTS, TYPES } from './nasty.ts'
import { among, chance, type Draw, hostile as harm, nth } from './values.ts'

/** What becomes of a draft. */
type Blow = [name: string, strike: (made: Draft, draw: Draw) => Partial<Draft>]

const BYTES = fc.uint8Array({ maxLength: 60 })

const fieldOf = ({ operation }: Draft, draw: Draw) =>
  among(draw, Object.keys(operation.body?.properties ?? {}))
const pairsOf = ({ body }: Draft): [string, unknown][] => Object.entries((body ?? {}) as object)
const each = (path: Draft['path'], value: () => unknown) =>
  Object.fromEntries(Object.keys(path).map((name) => [name, value()]))

/** Struck in this order: a body is still an object when its members are meant. */
const BODY: Blow[] = [
  ['a field', (made, draw) => ({ body: { ...(made.body as object), [fieldOf(made, draw)]: harm(draw) } })],
  [
    'a text in a field',
    (made, draw) => ({ body: { ...(made.body as object), [fieldOf(made, draw)]: among(draw, TEXTS) } }),
  ],
  [
    'odd members',
    (made, draw) => ({
      body: members([
        ...pairsOf(made),
        [among(draw, ODD_NAMES), harm(draw)],
        [among(draw, ODD_NAMES), harm(draw)],
      ]),
    }),
  ],
  [
    'a member twice',
    (made, draw) => {
      const pairs = pairsOf(made)
      const again: [string, unknown][] = pairs.length > 0 ? [[among(draw, pairs)[0], harm(draw)]] : []
      return { body: members([...pairs, ...again]) }
    },
  ],
  ['another body', (_, draw) => ({ body: harm(draw) })],
  ['deep in itself', () => ({ body: raw('['.repeat(100_000) + ']'.repeat(100_000)) })],
  ['a large one', () => ({ body: { padding: 'x'.repeat(1024 * 1024) } })],
  ['no body', () => ({ body: undefined })],
  ['cut', (_, draw) => ({ mangle: (text) => text.slice(0, nth(draw) % (text.length + 1)) })],
  ['a byte order mark', () => ({ mangle: (text) => `\ufeff${text}` })],
  ['bytes that are no text', (_, draw) => ({ mangle: () => draw(BYTES) })],
  ['broken UTF-8', () => ({ mangle: (text) => Buffer.from(text.replace('"', '"\u00ff'), 'latin1') })],
  ['UTF-16', () => ({ mangle: (text) => Buffer.from(`\ufeff${text}`, 'utf16le') })],
  [
    'zipped, and it says so',
    ({ headers }) => ({
      mangle: (text) => gzipSync(text),
      headers: [...headers, ['Content-Encoding', 'gzip']],
    }),
  ],
  ['deflated', () => ({ mangle: (text) => deflateSync(text) })],
  ['another type', (_, draw) => ({ contentType: among(draw, TYPES) })],
  ['two types', ({ headers }) => ({ headers: [...headers, ['Content-Type', 'text/plain']] })],
]

const ADDRESS: Blow[] = [
  [
    'a strange segment',
    ({ path }, draw) => ({ path: each(path, () => among(draw, SEGMENTS)), encoded: true }),
  ],
  ['a nasty segment', ({ path }, draw) => ({ path: each(path, () => among(draw, TEXTS)), encoded: false })],
]

const ANY: Blow[] = [
  [
    'queries',
    ({ query }, draw) => {
      const value = () => (chance(draw, 3) ? take('cursor', nth(draw)) : among(draw, TEXTS))
      return { query: [...query, [among(draw, QUERIES), value()], [among(draw, QUERIES), value()]] }
    },
  ],
  [
    'a query twice',
    ({ query }, draw) => {
      const [name, value] = query[0] ?? ['limit', '1']
      return { query: [...query, [name, value], [name, among(draw, TEXTS)]] }
    },
  ],
  ['a long query', ({ query }) => ({ query: [...query, ['search', 'é'.repeat(2_000)]] })],
  [
    'headers',
    ({ headers }, draw) => {
      const some = [among(draw, HEADERS), among(draw, HEADERS)]
      const drawn = some.map(([name, values]): [string, unknown] => [name, among(draw, values)])
      return { headers: [...headers, ...drawn] }
    },
  ],
  ['credentials', (_, draw) => ({ credential: among(draw, CREDENTIALS) })],
  [
    'another method',
    ({ operation, actor }, draw) => {
      const method = among(draw, METHODS)
      const sample = operation.path.replace(/\{\w+\}/g, '019abf6e-7c1d-7a53-9d0e-3f1f6a0c2b11')
      // Whoever closes an account so is a spare.
      const closes = operationOf(method, sample)?.operationId === 'closeAccount'
      return { method, actor: closes ? 'spare' : actor }
    },
  ],
]

/** A draft with one to three blows struck. */
export function hostile(draw: Draw, operation: Operation): Draft {
  let made: Draft = { ...draft(draw, operation), kind: 'hostile' }
  const blows = [
    ...ANY,
    ...(operation.body ? [...BODY, ...BODY] : []),
    ...(Object.keys(made.path).length > 0 ? [...ADDRESS, ...ADDRESS, ...ADDRESS] : []),
  ]
  const struck = Array.from({ length: 1 + (nth(draw) % 3) }, () => among(draw, blows))
  struck.sort((a, b) => BODY.indexOf(a) - BODY.indexOf(b))
  for (const [, strike] of struck) made = { ...made, ...strike(made, draw) }
  return { ...made, twist: struck.map(([name]) => name).join(', ') }
}
