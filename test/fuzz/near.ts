/** Requests with one thing wrong, each of which knows how it must be refused. */
import { gzipSync } from 'node:zlib'
import { operationOf } from '../support/contract.ts'
import { type Operation, type Parameter, type Schema, typesOf } from './document.ts'
import { type Credential, type Draft, draft, meaning } from './drafts.ts'
import { type Slot, take } from './marks.ts'
import { type Draw, misfits, nth } from './values.ts'

interface Twist {
  name: string
  expected: number[]
  /** The field that must be named among `errors`. */
  blamed?: string
  /** What becomes of a draft that fits. */
  change(made: Draft, draw: Draw): Partial<Draft>
}

const SAMPLE = '019abf6e-7c1d-7a53-9d0e-3f1f6a0c2b11'
/** Another person's, where one's own belongs. */
const FOREIGN: Partial<Record<Slot, Slot>> = {
  chat: 'foreignChat',
  spareChat: 'foreignChat',
  message: 'foreignMessage',
  transaction: 'foreignTransaction',
  key: 'foreignKey',
}
const FIELDS_OF_IDS = new Set<Slot | undefined>([
  ...(['chat', 'message', 'model', 'spareModel', 'spareUser', 'modelName'] as const),
])

/** The body with another value of the field. */
const put = ({ body }: Draft, field: string, value: unknown) => ({ ...(body as object), [field]: value })

function ofBody({ body: schema, bodyRequired }: Operation, unfit: number): Twist[] {
  if (!schema) return []
  const twists: Twist[] = []
  const expected = [unfit]
  for (const [field, each] of Object.entries(schema.properties ?? {})) {
    for (const [what, value] of misfits(each))
      twists.push({
        name: `${field}: ${what}`,
        expected,
        blamed: field,
        change: (made) => ({ body: put(made, field, value) }),
      })
    if (schema.required?.includes(field))
      twists.push({
        name: `no ${field}`,
        expected,
        blamed: field,
        change: (made) => ({ body: put(made, field, undefined) }),
      })
  }
  if (schema.additionalProperties === false)
    for (const name of ['isAdministrator', '__proto__', 'constructor', 'balance'])
      twists.push({
        name: `one more field: ${name}`,
        expected,
        change: (made) => ({ body: Object.fromEntries([...Object.entries(made.body as object), [name, 1]]) }),
      })
  const bodies: unknown[] = [null, [], 'text', 7, true, ...(schema.minProperties ? [{}] : [])]
  for (const body of bodies)
    twists.push({ name: `${JSON.stringify(body)} for a body`, expected, change: () => ({ body }) })
  const mangled: [string, NonNullable<Draft['mangle']>][] = [
    ['cut in the middle', (text) => text.slice(0, -1)],
    ['single quotes', () => "{'a': 1}"],
    ['a trailing comma', (text) => text.replace(/\}$/, ',}')],
    ['two values', (text) => `${text}${text}`],
    ['zipped without saying so', (text) => gzipSync(text)],
    ['in UTF-16', (text) => Buffer.from(text, 'utf16le')],
  ]
  for (const [name, mangle] of mangled) twists.push({ name, expected: [400], change: () => ({ mangle }) })
  const types = ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data', 'application/xml']
  for (const contentType of types)
    twists.push({ name: `as ${contentType}`, expected: [415], change: () => ({ contentType }) })
  if (bodyRequired)
    twists.push({
      name: 'no body',
      expected: [400, 415, unfit],
      change: () => ({ body: undefined, contentType: undefined }),
    })
  return twists
}

/** What descriptions say of texts in a query, and schemas do not. */
const UNSAID: Record<string, string[]> = {
  cursor: ['abc', '', '\u0000', Buffer.from(`2026-13-01 00:00:00+00|${SAMPLE}`).toString('base64url')],
  from: ['yesterday', '2030-02-30', '2030-01-01T00:00:00', '99999-01-01'],
  to: ['yesterday', '2030-02-30'],
}
/** Whether any text will do. */
const isOpen = (schema: Schema) => typesOf(schema).includes('string') && !schema.enum && !schema.format

function ofQuery({ name, schema }: Parameter, unfit: number): Twist[] {
  // What a query carries is text: a number may be missed by a word, a text by none.
  const wrong = misfits(schema).filter(
    ([, value]) => typeof value === 'string' || (typeof value === 'number' && !isOpen(schema)),
  )
  const unsaid = (UNSAID[name] ?? []).map((value): [string, unknown] => [JSON.stringify(value), value])
  const twists = [...wrong, ...unsaid].map(
    ([what, value]): Twist => ({
      name: `?${name}: ${what}`,
      // A ticket is looked at first, as any proof of who calls.
      ...(name === 'ticket' ? { expected: [401, unfit] } : { expected: [unfit], blamed: name }),
      change: ({ query }) => ({ query: [...query.filter(([each]) => each !== name), [name, String(value)]] }),
    }),
  )
  if (name === 'ticket')
    twists.push({
      name: 'a ticket that is none',
      expected: [401],
      change: () => ({ credential: 'none', query: [['ticket', 'abc']] }),
    })
  return twists
}

function ofNames(operation: Operation, unfit: number): Twist[] {
  const twists: Twist[] = []
  for (const parameter of operation.parameters) {
    const { in: place, name, schema } = parameter
    if (place === 'query') twists.push(...ofQuery(parameter, unfit))
    if (place === 'header')
      for (const value of ['two words', '', 'x'.repeat(256), 'é'])
        twists.push({
          name: `${name}: ${JSON.stringify(value.slice(0, 12))}`,
          expected: [unfit],
          change: ({ headers }) => ({ headers: [...headers, [name, value]] }),
        })
    if (place !== 'path') continue
    const slot = meaning(operation, name)
    const inPath = (what: string, expected: number[], value: (draw: Draw) => unknown) =>
      twists.push({
        name: `${name}: ${what}`,
        expected,
        change: ({ path }, draw) => ({ path: { ...path, [name]: value(draw) } }),
      })
    inPath("nobody's", [404], () => take('nothing', 0))
    if (schema.format === 'uuid')
      for (const value of ['7', 'null', `${SAMPLE}0`]) inPath(value, [404, 422], () => value)
    if (slot && FOREIGN[slot]) inPath("another person's", [404], (draw) => take(FOREIGN[slot]!, nth(draw)))
  }
  for (const field of Object.keys(operation.body?.properties ?? {})) {
    const slot = meaning(operation, field)
    if (!slot || !FIELDS_OF_IDS.has(slot)) continue
    const instead = (what: string, other: Slot) =>
      twists.push({
        name: `${field}: ${what}`,
        expected: [404],
        change: (made, draw) => {
          const value = take(other, nth(draw))
          const asked = operation.id === 'sendMessage' ? { role: 'user', modelUid: take('model', 0) } : {}
          const body = { ...(made.body as object), ...asked }
          return { body: { ...body, [field]: field === 'models' ? [value] : value } }
        },
      })
    instead("nobody's", 'nothing')
    if (FOREIGN[slot]) instead("another person's", FOREIGN[slot])
  }
  return twists
}

function ofCallers({ guard, method }: Operation): Twist[] {
  if (guard === 'anyone') return []
  const by = (credential: Credential, expected = [401]): Twist => ({
    name: `credentials: ${credential}`,
    expected,
    change: () => ({ credential }),
  })
  const all = [by('none'), by('cut'), by('refresh token'), by('other door'), by('expired'), by('doubled')]
  if (guard !== 'key' && method !== 'GET') all.push(by('cookie of a foreign page', [403]))
  if (guard === 'administrator')
    all.push({ name: 'no administrator', expected: [403], change: () => ({ actor: 'person' }) })
  return all
}

function ofMethods({ path, method }: Operation): Twist[] {
  const sample = path.replace(/\{\w+\}/g, SAMPLE)
  return ['GET', 'POST', 'PUT', 'PATCH', 'DELETE']
    .filter((other) => other !== method && !operationOf(other, sample))
    .map((other) => ({
      name: `by ${other}`,
      expected: [404, 405],
      change: ({ body }) => ({ method: other, body: other === 'GET' ? undefined : body }),
    }))
}

/** Every one thing that can be wrong with a request to this operation. */
export function twistsOf(operation: Operation): Twist[] {
  const unfit = operation.path.startsWith('/v1/') ? 400 : 422
  const inside = [...ofBody(operation, unfit), ...ofNames(operation, unfit)]
  return [...inside, ...ofCallers(operation), ...ofMethods(operation)]
}

/** A draft with the one thing wrong. */
export function near(draw: Draw, operation: Operation, twist: Twist): Draft {
  const fitting = draft(draw, operation)
  // By bearer: cookies have rules of their own. A key that was used before would be told first.
  const credential = fitting.credential === 'cookie' ? 'bearer' : fitting.credential
  const headers = fitting.headers.filter(([name]) => name !== 'Idempotency-Key')
  const made: Draft = { ...fitting, credential, headers, kind: 'near', twist: twist.name }
  const blamed = twist.blamed === undefined ? {} : { blamed: twist.blamed }
  return { ...made, ...twist.change(made, draw), expected: twist.expected, ...blamed }
}
