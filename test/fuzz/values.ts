/** Values for a schema: those that fit it, those that miss it by one thing, and those that mean harm. */
import fc from 'fast-check'
import type { Schema } from './document.ts'
import { typesOf } from './document.ts'
import { members, raw, take } from './marks.ts'
import { NUMBERS, ODD_NAMES, TEXTS } from './nasty.ts'

export type Draw = <Value>(arbitrary: fc.Arbitrary<Value>) => Value

/** The same draws for the same seed. Arbitraries are kept: making one costs more than drawing from it. */
export function drawer(seed: number): Draw {
  const [generate] = fc.sample(fc.gen(), { seed, numRuns: 1 })
  return (arbitrary) => generate!(() => arbitrary)
}

export const among = <Value>(draw: Draw, list: readonly Value[]): Value =>
  list[draw(fc.nat(list.length - 1))]!
export const chance = (draw: Draw, oneIn: number): boolean => draw(fc.nat(oneIn - 1)) === 0
export const nth = (draw: Draw): number => draw(fc.nat(10_000))

const LETTERS = fc.string({ unit: 'grapheme-ascii', minLength: 1, maxLength: 40 })
const CHARACTERS = fc.array(fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }), {
  minLength: 1,
  maxLength: 60,
})
const EMOJI = '🙂'
const patterns = new Map<string, fc.Arbitrary<string>>()
const visible = /[\p{L}\p{N}]/u

/**
 * Text of so many code points, which is how JSON Schema counts. It begins and ends with a letter: blanks at the ends
 * fall away from most fields, and control characters are no part of a name.
 */
function text(draw: Draw, least: number, most: number): string {
  if (most < 3) return 'x'.repeat(Math.max(least, 1))
  if (chance(draw, 12) && most <= 5_000) return EMOJI.repeat(most)
  if (chance(draw, 12) && most <= 5_000) return 'x'.repeat(most)
  if (chance(draw, 12)) return 'x'.repeat(Math.max(least, 1))
  const drawn = chance(draw, 2)
    ? [...draw(LETTERS)]
    : draw(CHARACTERS).filter((each) => visible.test(each) || each.codePointAt(0)! > 0xffff)
  const points = ['a', ...drawn.slice(0, most - 2), 'z']
  return points.join('') + 'x'.repeat(Math.max(0, least - points.length))
}

const decimals = (value: number) => Number(value.toFixed(6))

function number(draw: Draw, { minimum, maximum }: Schema, whole: boolean): number {
  const least = minimum ?? -1000
  const most = maximum ?? 1000
  if (chance(draw, 10)) return least
  if (chance(draw, 10)) return most
  const top = Math.min(most, chance(draw, 2) ? least + 100 : most)
  return whole
    ? draw(fc.integer({ min: Math.ceil(least), max: Math.min(2 ** 31 - 1, Math.floor(top)) }))
    : decimals(least + (top - least) * draw(fc.double({ min: 0, max: 1, noNaN: true })))
}

const LATER = fc.date({
  min: new Date('2030-01-01'),
  max: new Date('2200-01-01'),
  noInvalidDate: true,
})
const ANY = fc.jsonValue({ maxDepth: 2 })

/** A value that fits. `meant` says what a schema cannot: which id, which name, which secret. */
export function fitting(draw: Draw, schema: Schema, meant: (name: string) => unknown): unknown {
  if (schema.enum) return among(draw, schema.enum)
  const types = typesOf(schema)
  if (types.includes('null') && chance(draw, 5)) return null
  switch (types.find((type) => type !== 'null')) {
    case 'string':
      return string(draw, schema)
    case 'integer':
      return number(draw, schema, true)
    case 'number':
      return number(draw, schema, false)
    case 'boolean':
      return chance(draw, 2)
    case 'array': {
      const length = Math.max(schema.minItems ?? 0, draw(fc.integer({ min: 0, max: 3 })))
      return Array.from({ length }, () => fitting(draw, schema.items ?? {}, meant))
    }
    case 'object':
      return object(draw, schema, meant)
    default:
      return draw(ANY)
  }
}

function string(draw: Draw, { format, pattern, minLength, maxLength }: Schema): unknown {
  if (format === 'uuid') return take('nothing', 0)
  if (format === 'email') return take('newMail', 0)
  if (format === 'date-time') return draw(LATER).toISOString()
  if (pattern !== undefined) {
    if (!patterns.has(pattern)) patterns.set(pattern, fc.stringMatching(new RegExp(pattern)))
    return draw(patterns.get(pattern)!)
  }
  return text(draw, minLength ?? 0, maxLength ?? 300)
}

function object(draw: Draw, schema: Schema, meant: (name: string) => unknown): Record<string, unknown> {
  const fields = Object.entries(schema.properties ?? {}).filter(
    ([name]) => schema.required?.includes(name) || chance(draw, 2),
  )
  const missing = (schema.minProperties ?? 0) - fields.length
  if (missing > 0) fields.push(...Object.entries(schema.properties ?? {}).slice(0, missing))
  return Object.fromEntries(
    fields.map(([name, each]) => {
      const value = meant(name)
      return [name, value === undefined ? fitting(draw, each, () => undefined) : value]
    }),
  )
}

/** Values that miss the schema by exactly one thing, each with its name. */
export function misfits(schema: Schema): [string, unknown][] {
  const types = typesOf(schema)
  const wrong: [string, unknown][] = []
  if (types.length === 0) return wrong
  const samples: Record<string, unknown> = {
    string: 'text',
    integer: 7,
    boolean: true,
    array: [1],
    object: {},
  }
  for (const [type, value] of Object.entries(samples))
    if (!types.includes(type) && !(type === 'integer' && types.includes('number')))
      wrong.push([`a ${type}`, value])
  if (!types.includes('null')) wrong.push(['null', null])
  if (types.includes('integer')) wrong.push(['half a number', (schema.minimum ?? 0) + 0.5])
  if (types.includes('integer') || types.includes('number')) {
    if (schema.minimum !== undefined) wrong.push(['too small', schema.minimum - 1])
    if (schema.maximum !== undefined) wrong.push(['too large', schema.maximum + 1])
    wrong.push(['beyond all numbers', raw('1e400')], ['far too large', raw('1e308')])
  }
  if (!types.includes('string')) {
    if (types.includes('array')) {
      const { minItems, maxItems, items = {} } = schema
      if (minItems) wrong.push(['too few', []])
      if (maxItems) wrong.push(['too many', Array.from({ length: maxItems + 1 }, () => take('nothing', 0))])
      for (const [name, value] of misfits(items).slice(0, 2)) wrong.push([`of ${name}`, [value]])
    }
    return wrong
  }
  if (schema.enum) wrong.push(['none of the words', 'something else'], ['in other letters', 'pUrChAsE'])
  if (schema.minLength) wrong.push(['too short', 'x'.repeat(schema.minLength - 1)])
  if (schema.maxLength) wrong.push(['too long', 'x'.repeat(schema.maxLength + 1)])
  if (schema.pattern) wrong.push(['another pattern', '§'])
  const spellings: Record<string, string[]> = {
    uuid: ['7', '019abf6e-7c1d-7a53-9d0e-3f1f6a0c2b1', '{019abf6e-7c1d-7a53-9d0e-3f1f6a0c2b11}', 'null'],
    email: ['nobody', 'a@b', 'a b@c.example', '@c.example'],
    'date-time': ['2030-02-30T00:00:00Z', '2030-01-01', '2030-01-01T00:00:00', '1893456000'],
  }
  for (const value of spellings[schema.format ?? ''] ?? [])
    wrong.push([`not a ${schema.format}: ${value}`, value])
  return wrong
}

const nested = (open: string, close: string, depth: number) => raw(open.repeat(depth) + close.repeat(depth))
const UNIT = fc.string({ unit: 'binary', maxLength: 30 })

/** Any JSON value, most of them unkind. */
export function hostile(draw: Draw): unknown {
  const kinds: (() => unknown)[] = [
    () => among(draw, TEXTS),
    () => among(draw, TEXTS),
    () => draw(UNIT),
    () => raw(among(draw, NUMBERS)),
    () => draw(ANY),
    () => among(draw, [null, true, false, [], {}, [[]], '']),
    () => nested('[', ']', among(draw, [20, 150, 3_000, 60_000])),
    () => raw(`${'{"a":'.repeat(300)}1${'}'.repeat(300)}`),
    () => members([among(draw, ODD_NAMES), among(draw, ODD_NAMES)].map((name) => [name, { isAdmin: true }])),
    () =>
      take(among(draw, ['foreignChat', 'foreignMessage', 'foreignKey', 'spareUser', 'nothing']), nth(draw)),
  ]
  return among(draw, kinds)()
}
