/**
 * The HTTP bridges alone, over a real Postgres (DATABASE_URL) and a real Redis (REDIS_URL), on fixed ports: what the
 * Worker needs beside docker-compose's databases. With neither address given it uses the embedded parts. Passwords
 * and the token may stand in files of KEYS_DIR.
 */
import { keysIn, withPassword } from './keys.ts'
import { startNeonBridge } from './neon.ts'
import { pgliteEngine, postgresEngine } from './postgres-engine.ts'
import { embeddedRedis } from './redis-embedded.ts'
import { realRedis } from './redis-engine.ts'
import { startUpstashBridge } from './upstash.ts'

const {
  DATABASE_URL,
  POSTGRES_PASSWORD,
  REDIS_URL,
  REDIS_PASSWORD,
  UPSTASH_REDIS_REST_TOKEN: token,
  BRIDGE_HOST: host = '127.0.0.1',
  NEON_PORT = '54330',
  UPSTASH_PORT = '54331',
}: Record<string, string | undefined> = { ...keysIn(process.env.KEYS_DIR), ...process.env }

if (!token) {
  console.error('UPSTASH_REDIS_REST_TOKEN is missing: whoever shows it may use Redis here.')
  process.exit(1)
}
const address = DATABASE_URL && withPassword(DATABASE_URL, POSTGRES_PASSWORD)
const postgres = address ? postgresEngine({ connectionString: address }) : pgliteEngine()
const redis = REDIS_URL ? realRedis({ url: withPassword(REDIS_URL, REDIS_PASSWORD) }) : embeddedRedis()
// Who may reach the bridge may not yet use the database: that takes the database's own password, as at Neon.
const password = address && decodeURIComponent(new URL(address).password)
const neon = await startNeonBridge({
  engine: postgres,
  host,
  port: Number(NEON_PORT),
  ...(password ? { password } : {}),
}).catch(fail)
const upstash = await startUpstashBridge({ engine: redis, token, host, port: Number(UPSTASH_PORT) }).catch(
  fail,
)
console.log(`Postgres over HTTP: ${neon.url}\nRedis over HTTP:    ${upstash.url}`)

/** The port is taken, mostly, which the error says. */
function fail({ message }: Error): never {
  console.error(`The bridge could not start: ${message}`)
  process.exit(1)
}

async function stop(): Promise<void> {
  await Promise.allSettled([neon.close(), upstash.close()])
  await Promise.allSettled([postgres.close(), redis.close()])
  process.exit(0)
}
process.once('SIGINT', () => void stop())
process.once('SIGTERM', () => void stop())
