/**
 * `npm run audit:money`: do the books agree? Asks what the environment or .dev.vars names, else what `npm start` runs
 * (dev/local.ts), prints the report, and fails when anything differs or nobody answers. Changes nothing.
 */
import { audit } from '../src/features/transactions/audit.ts'
import { connectPostgres } from '../src/ports/postgres.ts'
import { reasonOf, serviceAtHand } from './local.ts'

const { DATABASE_URL, NEON_HTTP_ENDPOINT } = serviceAtHand()
try {
  const { ok, accounts, checkedAt, differences, truncated } = await audit(
    connectPostgres(DATABASE_URL, NEON_HTTP_ENDPOINT),
  )
  for (const { kind, subject, expected, actual, detail } of differences)
    console.log(`${kind} ${subject}: ${detail} Expected ${expected}, found ${actual}.`)
  if (truncated) console.log('… and more: only 100 of a kind are named.')
  console.log(`${accounts} accounts at ${checkedAt}: ${ok ? 'no' : differences.length} differences.`)
  process.exitCode = ok ? 0 : 1
} catch (error) {
  console.error(`The books could not be read: ${reasonOf(error)}.`)
  process.exitCode = 1
}
