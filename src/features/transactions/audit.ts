import { type SQL, sql } from 'drizzle-orm'
import type { Actor } from '../../core/actor.ts'
import { ask, batchAs, type Database } from '../../ports/postgres.ts'
import { creditsIn } from './ledger.ts'
import type { Audit, Difference } from './schema.ts'

/** Differences of one kind that a report names; more are cut off, and the report says so. */
const NAMED = 100
/** What the sweep finishes each minute is a fault once it is this old. */
const OVERDUE = sql`interval '5 minutes'`

// Generations, messages and the rest are named in SQL and not imported: those rooms are built on this one.
// Each query says of one kind: who or what differs, what should be, what is, and a word about it.
const kinds: Record<Difference['kind'], SQL> = {
  // Invariant: a balance is the sum of its transactions.
  balance: sql`
    SELECT coalesce(a.user_uid, t.user_uid) AS subject, ${money(sql`coalesce(t.sum, 0)`)} AS expected,
      ${money(sql`a.balance`)} AS actual, 'The balance is not the sum of the transactions.' AS detail
    FROM accounts a FULL JOIN (SELECT user_uid, sum(amount) AS sum FROM transactions GROUP BY 1) t ON t.user_uid = a.user_uid
    WHERE a.balance IS DISTINCT FROM coalesce(t.sum, 0)`,
  // Invariant: what is held is what the running generations hold.
  held: sql`
    SELECT coalesce(a.user_uid, g.user_uid), ${money(sql`coalesce(g.sum, 0)`)}, ${money(sql`a.held`)},
      'What is held is not what the running answers hold.'
    FROM accounts a FULL JOIN (SELECT user_uid, sum(hold) AS sum FROM generations WHERE status = 'RUNNING' GROUP BY 1) g
      ON g.user_uid = a.user_uid
    WHERE a.held IS DISTINCT FROM coalesce(g.sum, 0)`,
  // Invariant: a key has spent what its settled generations cost, and holds what its running ones hold.
  key_spent: sql`
    SELECT k.uid, ${money(sql`coalesce(g.cost, 0)`)}, ${money(sql`k.spent`)},
      'What the key has spent is not what its answers cost.'
    FROM keys k LEFT JOIN (SELECT key_uid, sum(cost) AS cost FROM generations WHERE key_uid IS NOT NULL GROUP BY 1) g
      ON g.key_uid = k.uid
    WHERE k.spent <> coalesce(g.cost, 0)`,
  key_held: sql`
    SELECT k.uid, ${money(sql`coalesce(g.hold, 0)`)}, ${money(sql`k.held`)},
      'What the key holds is not what its running answers hold.'
    FROM keys k LEFT JOIN (
      SELECT key_uid, sum(hold) AS hold FROM generations WHERE status = 'RUNNING' AND key_uid IS NOT NULL GROUP BY 1) g
      ON g.key_uid = k.uid
    WHERE k.held <> coalesce(g.hold, 0)`,
  // Invariant: what cost something has its transaction, and what has one cost exactly that.
  charge_missing: sql`
    SELECT g.uid, ${money(sql`-g.cost`)}, NULL::jsonb, 'This answer was charged and has no transaction.'
    FROM generations g
    WHERE g.cost > 0 AND NOT EXISTS (SELECT FROM transactions t WHERE t.generation_uid = g.uid)`,
  charge_unfounded: sql`
    SELECT t.uid, ${money(sql`CASE WHEN g.user_uid = t.user_uid AND g.status <> 'RUNNING' THEN -g.cost END`)}, ${money(sql`t.amount`)},
      CASE WHEN g.uid IS NULL THEN 'Its answer is not there.'
        WHEN g.user_uid <> t.user_uid THEN 'Its answer is another person''s.'
        WHEN g.status = 'RUNNING' THEN 'Its answer is not settled.'
        ELSE 'Its answer cost something else.' END
    FROM transactions t LEFT JOIN generations g ON g.uid = t.generation_uid
    WHERE t.generation_uid IS NOT NULL
      AND (g.uid IS NULL OR g.user_uid <> t.user_uid OR g.status = 'RUNNING' OR g.cost <> -t.amount)`,
  // Invariant: a message is STREAMING exactly while its generation is RUNNING, then as that one ended.
  message_status: sql`
    SELECT m.uid, to_jsonb(CASE g.status WHEN 'RUNNING' THEN 'STREAMING' ELSE g.status END), to_jsonb(m.status),
      CASE WHEN g.uid IS NULL THEN 'Nobody writes this message.' ELSE 'The message is not as its answer ended.' END
    FROM messages m LEFT JOIN generations g ON g.message_uid = m.uid
    WHERE CASE WHEN g.uid IS NULL THEN m.status = 'STREAMING'
      ELSE m.status <> CASE g.status WHEN 'RUNNING' THEN 'STREAMING' ELSE g.status END END`,
  lease_expired: sql`
    SELECT uid, to_jsonb('settled'::text), to_jsonb(status),
      'The lease ended ' || round(extract(epoch FROM statement_timestamp() - lease_until)) || ' s ago.'
    FROM generations WHERE status = 'RUNNING' AND lease_until < statement_timestamp() - ${OVERDUE}`,
  outbox_waiting: sql`
    SELECT uid, to_jsonb('published'::text), to_jsonb(event),
      'It has waited for ' || round(extract(epoch FROM statement_timestamp() - created_at)) || ' s.'
    FROM outbox WHERE created_at < statement_timestamp() - ${OVERDUE}`,
}

/** A count of micro-credits as the JSON number of its credits. */
function money(micros: SQL): SQL {
  return sql`to_jsonb(${creditsIn(micros)})`
}

interface Found {
  checkedAt: number
  accounts: number
  differences: Difference[]
}

/**
 * Holds the books against each other. One statement, so one snapshot: every write moves both sides of a rule in one
 * transaction, and what is busy does not look like what is wrong.
 */
const found = (db: Database) => {
  // Materialized: whole tables are joined, by a hash. With the limit in sight the planner would look for each row by
  // itself, hoping to find a hundred soon; on a healthy system there are none.
  const each = Object.entries(kinds).map(
    ([kind, query]) => sql`${sql.raw(kind)} (subject, expected, actual, detail) AS MATERIALIZED (${query})`,
  )
  const named = Object.keys(kinds).map(
    (kind) => sql`
    (SELECT ${kind}::text AS kind, * FROM ${sql.raw(kind)} ORDER BY subject LIMIT ${NAMED + 1}::int)`,
  )
  return db.execute<{ found: Found }>(sql`
    WITH ${sql.join(each, sql`, `)},
    differences AS (${sql.join(named, sql` UNION ALL `)})
    SELECT json_build_object(
      'checkedAt', floor(extract(epoch FROM statement_timestamp()) * 1000),
      'accounts', (SELECT count(*) FROM accounts),
      'differences', coalesce((SELECT json_agg(differences) FROM differences), '[]')) AS found`)
}

/** The report, for whoever has the database itself. */
export async function audit(db: Database): Promise<Audit> {
  const { rows } = await ask(found(db))
  return present(rows[0]!.found)
}

/** The report, for an administrator. One round trip; writes nothing. */
export async function auditFor(db: Database, administrator: Actor): Promise<Audit> {
  const [{ rows }] = await batchAs(db, administrator, [found(db)], { administrator: true })
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
