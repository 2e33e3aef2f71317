/**
 * `npm run reseal`: seals every model's secret by the first key of MODEL_SECRET_KEYS, on what the environment or
 * .dev.vars names. Afterwards the other keys may go.
 */
import { envSchema } from '../src/env.ts'
import { reseal } from '../src/features/models/reseal.ts'
import { connectPostgres } from '../src/ports/postgres.ts'
import { readVars } from './vars.ts'

const { DATABASE_URL, NEON_HTTP_ENDPOINT, MODEL_SECRET_KEYS } = readVars()
const keys = envSchema.shape.MODEL_SECRET_KEYS.safeParse(MODEL_SECRET_KEYS)
if (!DATABASE_URL || !keys.success) {
  console.error('DATABASE_URL and a valid MODEL_SECRET_KEYS: set them in the environment or in .dev.vars.')
  process.exit(1)
}
const { resealed, unopened } = await reseal(
  connectPostgres(DATABASE_URL, NEON_HTTP_ENDPOINT || undefined),
  keys.data,
)
for (const uid of unopened)
  console.log(`${uid}: none of the keys opens its secret; save its auth_token again.`)
console.log(`Sealed ${resealed} by the first key; ${unopened.length} are left.`)
process.exitCode = unopened.length === 0 ? 0 : 1
