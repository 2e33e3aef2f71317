/**
 * `npm run reseal`: seals every model's secret by the first key of MODEL_SECRET_KEYS, on what the environment or
 * .dev.vars names, else on what `npm start` runs (dev/local.ts). Afterwards the other keys may go.
 */
import { envSchema } from '../src/env.ts'
import { reseal } from '../src/features/models/reseal.ts'
import { connectPostgres } from '../src/ports/postgres.ts'
import { reasonOf, serviceAtHand } from './local.ts'

const { DATABASE_URL, NEON_HTTP_ENDPOINT, MODEL_SECRET_KEYS } = serviceAtHand()
const keys = envSchema.shape.MODEL_SECRET_KEYS.safeParse(process.env.MODEL_SECRET_KEYS || MODEL_SECRET_KEYS)
if (!keys.success) {
  const why = keys.error.issues
    .map(({ code, message }) => (code === 'custom' ? message : 'is missing'))
    .join('; ')
  console.error(`MODEL_SECRET_KEYS ${why}.`)
  process.exit(1)
}
try {
  const { resealed, unopened } = await reseal(connectPostgres(DATABASE_URL, NEON_HTTP_ENDPOINT), keys.data)
  for (const uid of unopened)
    console.log(`${uid}: none of the keys opens its secret; save its auth_token again.`)
  console.log(`Sealed ${resealed} by the first key; ${unopened.length} are left.`)
  process.exitCode = unopened.length === 0 ? 0 : 1
} catch (error) {
  console.error(`The secrets could not be read: ${reasonOf(error)}.`)
  process.exitCode = 1
}
