import type { NeonQueryFunction } from '@neondatabase/serverless'
import { eq, sql as raw } from 'drizzle-orm'
import type { NeonHttpDatabase } from 'drizzle-orm/neon-http'
import {
  bigint,
  boolean,
  customType,
  jsonb,
  numeric,
  pgTable,
  text,
  timestamp,
  uuid,
} from 'drizzle-orm/pg-core'
import { expect, test } from 'vitest'
import type { NeonBridge } from '../../dev/neon.ts'

/** What a case works with: a bridge, and the unmodified drivers connected to it. */
export interface World {
  bridge: NeonBridge
  sql: NeonQueryFunction<false, false>
  db: NeonHttpDatabase
}

const bytea = customType<{ data: string }>({ dataType: () => 'bytea' })
const samples = pgTable('samples', {
  id: uuid('id').primaryKey(),
  big: bigint('big', { mode: 'bigint' }),
  price: numeric('price', { precision: 30, scale: 10 }),
  at: timestamp('at', { withTimezone: true, mode: 'date' }),
  atText: timestamp('at_text', { withTimezone: true, mode: 'string' }),
  data: jsonb('data'),
  isOn: boolean('is_on'),
  tags: text('tags').array(),
  words: text('words'),
  raw: bytea('raw'),
})

export const SAMPLES_SQL = `CREATE TABLE samples (id uuid PRIMARY KEY, big bigint, price numeric(30,10), at timestamptz,
    at_text timestamptz, data jsonb, is_on boolean, tags text[], words text, raw bytea)`

const ID = '0f8fad5b-d9cb-469f-a165-70867728950e'

/** How values and results cross the bridge; `world` is asked by each case, with the tables empty again. */
export function valueCases(world: () => World): void {
  test('gives rows as objects, as arrays and with all about them', async () => {
    const { sql } = world()
    expect(
      await sql`SELECT ${1}::int AS n, ${'é😀'} AS t, ${null}::int AS nothing, ${true}::bool AS b`,
    ).toEqual([{ n: 1, t: 'é😀', nothing: null, b: true }])
    const query = 'SELECT 1 AS a, 2 AS a'
    expect(await sql.query(query, [], { arrayMode: true })).toEqual([[1, 2]])
    const full = await sql.query('SELECT id, balance FROM accounts', [], { fullResults: true })
    expect(full).toMatchObject({
      command: 'SELECT',
      rowCount: 1,
      rowAsArray: false,
      rows: [{ id: 1, balance: 10 }],
    })
    expect(full.fields).toMatchObject([
      { name: 'id', dataTypeID: 23, columnID: 1, dataTypeSize: 4, dataTypeModifier: -1, format: 'text' },
      { name: 'balance', dataTypeID: 23, columnID: 2 },
    ])
    expect(full.fields[0]?.tableID).toBeGreaterThan(0)
  })

  test('tells command and row count as the command tag does', async () => {
    const { sql } = world()
    const tag = async (query: string) => {
      const { command, rowCount, rows } = await sql.query(query, [], { fullResults: true })
      return [command, rowCount, rows.length]
    }
    expect(await tag('INSERT INTO parents SELECT generate_series(1, 3)')).toEqual(['INSERT', 3, 0])
    expect(await tag('UPDATE parents SET id = id + 10 RETURNING id')).toEqual(['UPDATE', 3, 3])
    expect(await tag('DELETE FROM parents WHERE id > 11')).toEqual(['DELETE', 2, 0])
    expect(await tag('CREATE TEMP TABLE passing (a int)')).toEqual(['CREATE', null, 0])
    expect(await tag('')).toEqual(['', null, 0])
  })

  test('lets the text of every type through untouched', async () => {
    const { bridge } = world()
    const response = await fetch(bridge.url, {
      method: 'POST',
      headers: { 'Neon-Raw-Text-Output': 'true', 'Neon-Array-Mode': 'true' },
      body: JSON.stringify({
        query: `SELECT true, 1.50::numeric, 9007199254740993::bigint, '{"b": 1, "a": [null]}'::json,
          '{"b":1,"a":2}'::jsonb, '\\xdeadbeef'::bytea, '2024-02-29 12:00:00.123456+02'::timestamptz,
          '2024-02-29'::date, '1 day 02:03:04'::interval, ARRAY[1, NULL, 3], ARRAY[true], ARRAY['a b', 'c"d'],
          'NaN'::float8, NULL, current_setting('TimeZone'), '1'::oid, 'x'::"char", int4range(1, 5)`,
      }),
    })
    const expected = [
      ...['t', '1.50', '9007199254740993', '{"b": 1, "a": [null]}', '{"a": 2, "b": 1}', '\\xdeadbeef'],
      ...['2024-02-29 10:00:00.123456+00', '2024-02-29', '1 day 02:03:04', '{1,NULL,3}', '{t}'],
      ...['{"a b","c\\"d"}', 'NaN', null, 'UTC', '1', 'x', '[1,5)'],
    ]
    expect((await response.json()).rows).toEqual([expected])
  })

  test('converts the parameters of a hand-written request as Neon does', async () => {
    const { bridge } = world()
    const response = await fetch(bridge.url, {
      method: 'POST',
      headers: { 'Neon-Raw-Text-Output': 'true' },
      body: JSON.stringify({
        query: 'SELECT $1::int AS a, $2::bool AS b, $3::jsonb AS c, $4::text[] AS d, $5::int[] AS e',
        params: [1, true, { x: 1 }, ['NULL', null, 'a"b'], [[1], [2]]],
      }),
    })
    const { rows, rowAsArray } = await response.json()
    expect(rowAsArray).toBe(false)
    expect(rows).toEqual([{ a: '1', b: 't', c: '{"x": 1}', d: '{"NULL",NULL,"a\\"b"}', e: '{{1},{2}}' }])
  })

  test('carries what the driver prepares: arrays, dates, bytes, objects', async () => {
    const { sql } = world()
    const at = new Date('2024-02-29T12:00:00.123Z')
    const [row] = await sql`SELECT ${['a', 'b "c"', null]}::text[] AS list, ${at}::timestamptz AS at,
      ${Buffer.from([0, 255])} AS bytes, ${{ k: ['é'] }}::jsonb AS data`
    // drizzle-orm keeps timestamps as text, for every user of the driver in the process.
    expect(row).toMatchObject({
      list: ['a', 'b "c"', null],
      at: '2024-02-29 12:00:00.123+00',
      data: { k: ['é'] },
    })
    expect([...row!.bytes]).toEqual([0, 255])
  })

  test('carries a row of typed columns through drizzle and back', async () => {
    const { db } = world()
    const row = {
      id: ID,
      big: 9007199254740993n,
      price: '12345678901234567890.1234567890',
      at: new Date('2024-02-29T12:00:00.123Z'),
      atText: '2024-02-29 12:00:00.123456+00',
      data: { list: [1, 'two', null], ключ: '😀' },
      isOn: false,
      tags: ['a,b', 'c"d', '', 'NULL', 'é{}\\'],
      words: `'; DROP TABLE samples; -- \n\t😀`,
      raw: '\\xdeadbeef',
    }
    await db.insert(samples).values(row)
    const [read] = await db.select().from(samples).where(eq(samples.id, ID))
    expect({ ...read, raw: Buffer.from(read!.raw!).toString('hex') }).toEqual({ ...row, raw: 'deadbeef' })

    const { big, price, at, atText, data, isOn, tags, words, raw: bytes } = samples
    const nulls = { big: null, price: null, at: null, atText: null, data: null, isOn: null, tags: null }
    await db.update(samples).set({ ...nulls, words: null, raw: null })
    const [empty] = await db.select({ big, price, at, atText, data, isOn, tags, words, bytes }).from(samples)
    expect(Object.values(empty!)).toEqual(Array(9).fill(null))
    const { rows } = await db.execute(raw`SELECT 1::bigint AS big, 2.50::numeric AS price, ${ID}::uuid AS id`)
    expect(rows).toEqual([{ big: '1', price: '2.50', id: ID }])
  })

  test('takes a parameter of 16 MiB', async () => {
    const { sql } = world()
    const long = 'é'.repeat(8 * 1024 * 1024)
    const [row] = await sql`SELECT octet_length(${long}::text) AS bytes, ${long}::text AS back`
    expect(row!.bytes).toBe(16 * 1024 * 1024)
    expect(row!.back === long).toBe(true)
  })
}
