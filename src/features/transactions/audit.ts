import { sql } from 'drizzle-orm'
import type { Actor } from '../../core/actor.ts'
import { batch, batchAs, type Database } from '../../ports/postgres.ts'
import { kinds, sources } from './differences.ts'
import type { Audit, Difference } from './schema.ts'

/** Differences of one kind that a report names; more are cut off, and the report says so. */
const NAMED = 100

interface Found {
  checkedAt: number
  accounts: number
  differences: Difference[]
}

/**
 * What stands behind it writes nothing, or the batch ends. It has room to join whole tables, and is not compiled first,
 * which takes longer than it does.
 */
const readOnly = (db: Database) =>
  db.execute(sql`SELECT set_config('transaction_read_only', 'on', true),
    set_config('work_mem', '32MB', true), set_config('jit', 'off', true)`)

/**
 * Holds the books against each other. One statement, so one snapshot: every write moves both sides of a rule in one
 * transaction, and what is busy does not look like what is wrong.
 */
const found = (db: Database) => {
  // Materialized: whole tables are joined, by a hash. With the limit in sight the planner would look for each row by
  // itself, hoping to find a hundred soon; on a healthy system there are none.
  const read = Object.entries(sources).map(
    ([name, query]) => sql`${sql.raw(name)} AS MATERIALIZED (${query})`,
  )
  const each = Object.entries(kinds).map(
    ([kind, query]) => sql`${sql.raw(kind)} (subject, expected, actual, detail) AS MATERIALIZED (${query})`,
  )
  const named = Object.keys(kinds).map(
    (kind) => sql`
    (SELECT ${kind}::text AS kind, * FROM ${sql.raw(kind)} ORDER BY subject LIMIT ${NAMED + 1}::int)`,
  )
  return db.execute<{ found: Found }>(sql`
    WITH ${sql.join([...read, ...each], sql`, `)},
    differences AS (${sql.join(named, sql` UNION ALL `)})
    SELECT json_build_object(
      'checkedAt', floor(extract(epoch FROM statement_timestamp()) * 1000),
      'accounts', (SELECT count(*) FROM accounts),
      'differences', coalesce((SELECT json_agg(differences) FROM differences), '[]')) AS found`)
}

/** The report, for whoever has the database itself. */
export async function audit(db: Database): Promise<Audit> {
  const [, { rows }] = await batch(db, [readOnly(db), found(db)])
  return present(rows[0]!.found)
}

/** The report, for an administrator. One round trip; writes nothing. */
export async function auditFor(db: Database, administrator: Actor): Promise<Audit> {
  const [, { rows }] = await batchAs(db, administrator, [readOnly(db), found(db)], { administrator: true })
  return present(rows[0]!.found)
}

function present({ checkedAt, accounts, differences }: Found): Audit {
  const counts = new Map<string, number>()
  const named = differences.filter(({ kind }) => {
    const count = (counts.get(kind) ?? 0) + 1
    counts.set(kind, count)
    return count <= NAMED
  })
  return {
    ok: differences.length === 0,
    checkedAt: new Date(checkedAt).toISOString(),
    accounts,
    differences: named,
    truncated: named.length < differences.length,
  }
}
