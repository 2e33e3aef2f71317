/**
 * `npm run sweep`: one whole sweep by hand, whatever the marker in Redis says, on what the environment or .dev.vars
 * names, else on what `npm start` runs (dev/local.ts).
 */
import { createLog } from '../src/http/log.ts'
import { connectPostgres } from '../src/ports/postgres.ts'
import { connectRedis } from '../src/ports/redis.ts'
import { sweep } from '../src/sweep.ts'
import { serviceAtHand } from './local.ts'

const { DATABASE_URL, NEON_HTTP_ENDPOINT, UPSTASH_REDIS_REST_URL, UPSTASH_REDIS_REST_TOKEN } = serviceAtHand()
const missing = Object.entries({ UPSTASH_REDIS_REST_URL, UPSTASH_REDIS_REST_TOKEN })
  .filter(([, value]) => !value)
  .map(([key]) => key)
if (missing.length > 0) {
  console.error(`${missing.join(', ')} missing: set in the environment or in .dev.vars.`)
  process.exit(1)
}

const db = connectPostgres(DATABASE_URL, NEON_HTTP_ENDPOINT)
const redis = connectRedis(UPSTASH_REDIS_REST_URL!, UPSTASH_REDIS_REST_TOKEN!)
try {
  const { settled, published, forgotten } = await sweep({ db, redis }, createLog({ sweep: 'by hand' }), true)
  console.log(`Settled ${settled}, published ${published}, forgot ${forgotten} old keys and sessions.`)
} catch (error) {
  console.error(
    `The sweep did not finish: ${(error as Error).message}. What it had done stays; run it again.`,
  )
  process.exitCode = 1
}
