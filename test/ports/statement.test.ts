import { type SQL, sql } from 'drizzle-orm'
import { PgDialect, pgTable, text } from 'drizzle-orm/pg-core'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { statementOf } from '../../src/ports/statement.ts'

const dialect = new PgDialect()
const built = (query: SQL) => {
  const { sql, params } = dialect.sqlToQuery(query)
  return { sql, params }
}

const value = fc.oneof(fc.string(), fc.integer(), fc.double(), fc.boolean(), fc.constant(null), fc.bigInt())
const { query } = fc.letrec<{ query: SQL; piece: unknown }>((tie) => ({
  piece: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    value,
    fc.string().map((word) => sql.raw(word)),
    tie('query'),
  ),
  query: fc.array(tie('piece'), { maxLength: 6 }).map((pieces) => {
    const words = [...pieces.map((_, n) => ` w${n} `), ' end ']
    return sql(Object.assign(words, { raw: words }), ...pieces)
  }),
}))

it('is what the builder makes of the same pieces', () => {
  fc.assert(
    fc.property(query, (query) => {
      expect(statementOf(query)).toEqual(built(query))
    }),
    { numRuns: 1_000 },
  )
})

it('joins statements in the order in which they stand', () => {
  const inner = sql`b = ${2} AND ${sql`c = ${'three'}`}`
  expect(statementOf(sql`SELECT ${1} WHERE ${sql.join([inner, sql`d`], sql` OR `)} LIMIT ${4}`)).toEqual({
    sql: 'SELECT $1 WHERE b = $2 AND c = $3 OR d LIMIT $4',
    params: [1, 2, 'three', 4],
  })
})

const table = pgTable('people', { name: text().notNull() })
it.each([
  ['a table', sql`SELECT 1 FROM ${table}`],
  ['a column', sql`SELECT ${table.name}`],
  ['a list', sql`SELECT 1 WHERE 1 IN ${[1, 2]}`],
  ['an absent piece', sql`SELECT 1 ${undefined}`],
  ['a name', sql`SELECT ${sql.identifier('name')}`],
  ['a parameter of its own', sql`SELECT ${sql.param('x')}`],
  ['a placeholder', sql`SELECT ${sql.placeholder('x')}`],
  ['values in the text', sql`SELECT ${sql`${1}`.inlineParams()}`],
  ['an instant', sql`SELECT ${new Date(0)}`],
])('leaves to the builder: %s', (_, query) => {
  expect(statementOf(query)).toBeUndefined()
})
