/**
 * `npm run audit:money`: do the books agree? Reads DATABASE_URL and NEON_HTTP_ENDPOINT as dev/migrate.ts does, prints
 * the report, and fails when anything differs. Changes nothing.
 */
import { audit } from '../src/features/transactions/audit.ts'
import { connectPostgres } from '../src/ports/postgres.ts'
import { readVars } from './vars.ts'

const { DATABASE_URL, NEON_HTTP_ENDPOINT } = readVars()
if (!DATABASE_URL) {
  console.error('DATABASE_URL is missing: set it in the environment or in .dev.vars.')
  process.exit(1)
}
const { ok, accounts, checkedAt, differences, truncated } = await audit(
  connectPostgres(DATABASE_URL, NEON_HTTP_ENDPOINT || undefined),
)
for (const { kind, subject, expected, actual, detail } of differences)
  console.log(`${kind} ${subject}: ${detail} Expected ${expected}, found ${actual}.`)
if (truncated) console.log('… and more: only 100 of a kind are named.')
console.log(`${accounts} accounts at ${checkedAt}: ${ok ? 'no' : differences.length} differences.`)
process.exitCode = ok ? 0 : 1
