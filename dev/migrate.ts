/**
 * Applies migrations/ over Neon's HTTP protocol, with the bookkeeping of drizzle's own migrator. As a command it
 * takes DATABASE_URL and NEON_HTTP_ENDPOINT from the environment or .dev.vars.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { NeonDbError, neon, neonConfig } from '@neondatabase/serverless'
import { readMigrationFiles } from 'drizzle-orm/migrator'
import { faultOfDatabase, faultOfHttp } from './addresses.ts'
import { refusal } from './refusal.ts'
import { root } from './root.ts'
import { readVars } from './vars.ts'

// Any number serves, as long as nobody else takes it: whoever migrates this database holds it.
const LOCK = 'SELECT pg_advisory_xact_lock(4823001)'
const ALREADY_APPLIED = 'BH208'

/** How a database is reached. */
export interface Database {
  connectionString: string
  endpoint?: string
}

/**
 * Looks at the addresses alone: the driver would show one that it cannot read.
 * @throws Error that names the key at fault and no value
 */
export function requireAddresses({ connectionString, endpoint }: Database): void {
  const fault = faultOfDatabase(connectionString)
  if (fault) throw new Error(`DATABASE_URL ${fault}.`)
  const other = endpoint && faultOfHttp(endpoint)
  if (other) throw new Error(`NEON_HTTP_ENDPOINT ${other}.`)
}

function connect(database: Database) {
  requireAddresses(database)
  if (database.endpoint !== undefined) neonConfig.fetchEndpoint = database.endpoint
  return neon(database.connectionString)
}

/** An error of `migrate` in a line that holds no secret. */
export function whyNot(error: unknown, { connectionString, endpoint }: Database): string {
  if (!(error instanceof NeonDbError)) return (error as Error).message
  const vars = { DATABASE_URL: connectionString, NEON_HTTP_ENDPOINT: endpoint }
  return refusal(error, endpoint ?? connectionString, vars)
}

/**
 * Safe to call again and from several places at once: each migration is one transaction that begins with a lock and
 * a second look.
 * @returns how many migrations this call applied
 * @throws Error when an applied migration was edited afterwards, or an address is none
 */
export async function migrate(database: Database): Promise<number> {
  const sql = connect(database)
  const inOneTransaction = (statements: string[]) =>
    sql.transaction(
      statements.map((statement) => sql.query(statement)),
      { isolationLevel: 'ReadCommitted' },
    )

  const results = await inOneTransaction([
    LOCK,
    'CREATE SCHEMA IF NOT EXISTS drizzle',
    'CREATE TABLE IF NOT EXISTS drizzle.__drizzle_migrations (id serial PRIMARY KEY, hash text NOT NULL, created_at bigint)',
    'SELECT hash, created_at FROM drizzle.__drizzle_migrations',
  ])
  const rows = (results[3] ?? []) as { hash: string; created_at: string }[]
  const applied = new Map(rows.map((row) => [Number(row.created_at), row.hash]))

  let count = 0
  for (const { folderMillis, hash, sql: statements } of readMigrationFiles({
    migrationsFolder: join(root, 'migrations'),
  })) {
    const present = applied.get(folderMillis)
    if (present === hash) continue
    if (present !== undefined)
      throw new Error(
        `The migration of ${new Date(folderMillis).toISOString()} was edited after this database took it.`,
      )
    try {
      await inOneTransaction([
        LOCK,
        `DO $$ BEGIN
          IF EXISTS (SELECT FROM drizzle.__drizzle_migrations WHERE created_at = ${folderMillis}) THEN
            RAISE EXCEPTION 'already applied' USING ERRCODE = '${ALREADY_APPLIED}';
          END IF;
        END $$`,
        ...statements.map((statement) => statement.trim()).filter(Boolean),
        `INSERT INTO drizzle.__drizzle_migrations (hash, created_at) VALUES ('${hash}', ${folderMillis})`,
      ])
      count++
    } catch (error) {
      if ((error as { code?: string }).code !== ALREADY_APPLIED) throw error
    }
  }
  return count
}

/**
 * Which migrations of this checkout a database has. Asks once and changes nothing.
 * @returns names; `unknown`: how many it has that this checkout does not know
 * @throws NeonDbError when the database refuses or cannot be asked
 */
export async function migrationsOf(database: Database) {
  const rows = (await connect(database)
    .query('SELECT hash, created_at FROM drizzle.__drizzle_migrations')
    .catch((error: { code?: string }) => {
      // No such table, or no such schema: nobody has migrated yet.
      if (error.code === '42P01' || error.code === '3F000') return []
      throw error
    })) as { hash: string; created_at: string }[]
  const migrationsFolder = join(root, 'migrations')
  const journal = JSON.parse(readFileSync(join(migrationsFolder, 'meta/_journal.json'), 'utf8')) as {
    entries: { when: number; tag: string }[]
  }
  const hashes = new Map(rows.map((row) => [Number(row.created_at), row.hash]))
  const found = { applied: [] as string[], missing: [] as string[], edited: [] as string[] }
  for (const { folderMillis, hash } of readMigrationFiles({ migrationsFolder })) {
    const name = journal.entries.find(({ when }) => when === folderMillis)?.tag ?? String(folderMillis)
    const present = hashes.get(folderMillis)
    found[present === undefined ? 'missing' : present === hash ? 'applied' : 'edited'].push(name)
  }
  return { ...found, unknown: rows.length - found.applied.length - found.edited.length }
}

if (import.meta.main) {
  const { DATABASE_URL, NEON_HTTP_ENDPOINT } = readVars()
  if (!DATABASE_URL) {
    console.error('DATABASE_URL is missing: set it in the environment or in .dev.vars.')
    process.exit(1)
  }
  const database = {
    connectionString: DATABASE_URL,
    ...(NEON_HTTP_ENDPOINT ? { endpoint: NEON_HTTP_ENDPOINT } : {}),
  }
  try {
    const count = await migrate(database)
    console.log(count === 0 ? 'Nothing to migrate.' : `Applied ${count} migration${count === 1 ? '' : 's'}.`)
  } catch (error) {
    console.error(`The database could not be migrated: ${whyNot(error, database)}`)
    process.exitCode = 1
  }
}
