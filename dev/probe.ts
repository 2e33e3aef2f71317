/**
 * The health checks of docker-compose.yml: `node dev/probe.ts bridge` asks Postgres and Redis the way the Worker does,
 * `node dev/probe.ts api` asks the Worker whether it can work.
 */
import { keysIn, withPassword } from './keys.ts'

const {
  POSTGRES_PASSWORD,
  UPSTASH_REDIS_REST_TOKEN,
  NEON_PORT = '54330',
  UPSTASH_PORT = '54331',
  PORT = '8000',
}: Record<string, string | undefined> = { ...keysIn(process.env.KEYS_DIR), ...process.env }

const ask = (port: string, path: string, init: RequestInit = {}) =>
  fetch(`http://127.0.0.1:${port}${path}`, { ...init, signal: AbortSignal.timeout(3_000) })

const checks: Record<string, () => Promise<Response>[]> = {
  bridge: () => [
    ask(NEON_PORT, '/sql', {
      method: 'POST',
      headers: {
        'Neon-Connection-String': withPassword('postgres://probe@localhost/probe', POSTGRES_PASSWORD),
        'Neon-Raw-Text-Output': 'true',
      },
      body: JSON.stringify({ query: 'SELECT 1', params: [] }),
    }),
    ask(UPSTASH_PORT, '/', {
      method: 'POST',
      headers: { Authorization: `Bearer ${UPSTASH_REDIS_REST_TOKEN}` },
      body: JSON.stringify(['PING']),
    }),
  ],
  api: () => [ask(PORT, '/ready')],
}

const answers = await Promise.all(checks[process.argv[2] ?? '']?.() ?? []).catch(() => [])
process.exit(answers.length > 0 && answers.every(({ ok }) => ok) ? 0 : 1)
