/**
 * .dev.vars and its like: read by the commands here as wrangler reads them; as a command itself, made from
 * .dev.vars.example with fresh secrets:
 *   npm run vars                           .dev.vars, for this machine
 *   npm run vars -- .production.vars       the secrets of a deployment, as `npm run deploy` takes them
 *   node dev/vars.ts --print               to stdout, with the keys of KEYS_DIR (in docker-compose's bridge)
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parseEnv } from 'node:util'
import { envSchema } from '../src/env.ts'
import { keysIn, withPassword } from './keys.ts'
import { root } from './root.ts'
import { makeSecrets } from './secrets.ts'

const path = join(root, '.dev.vars')
const example = join(root, '.dev.vars.example')

/** The keys without a default: what a deployment cannot start without. */
export const requiredKeys = (): string[] => [
  ...new Set(envSchema.safeParse({}).error?.issues.map(({ path: [key] }) => String(key))),
]

/** The values for a command: the environment's, else the keys of KEYS_DIR (in a container), else those of .dev.vars. */
export function readVars(): Record<string, string | undefined> {
  const environment = { ...keysIn(process.env.KEYS_DIR), ...process.env }
  const file = existsSync(path) ? varsIn(path) : {}
  // An endpoint belongs to the address beside it: another database is not reached through the file's bridge.
  if (environment.DATABASE_URL) delete file.NEON_HTTP_ENDPOINT
  return { ...file, ...environment }
}

export const varsIn = (file: string): Record<string, string | undefined> =>
  parseEnv(readFileSync(file, 'utf8'))

/** The example with those values in the place of its own. */
const filled = (values: Record<string, string>): string =>
  readFileSync(example, 'utf8').replace(/^(\w+)=".*"$/gm, (line, key) =>
    key in values ? `${key}="${values[key]}"` : line,
  )

/** What a deployment must say, or had better; the rest as comments. An address is still to be filled in. */
function deployment(): string {
  const rules = { ADMIN_REGISTRATION: 'first', SELF_TOP_UP: 'off', PRIVATE_UPSTREAMS: 'off' }
  const addresses = { DATABASE_URL: '', UPSTASH_REDIS_REST_URL: '', UPSTASH_REDIS_REST_TOKEN: '' }
  const said = new Set([...requiredKeys(), ...Object.keys(rules)])
  return filled({ ...makeSecrets(), ...addresses, ...rules, NEON_HTTP_ENDPOINT: '' })
    .replace(
      /^(#.*\n)+\n/,
      '# The secrets of a deployment: npm run deploy uploads them (docs/deployment.md).\n\n',
    )
    .replace(/^(\w+)=/gm, (line, key) => (said.has(key) ? line : `# ${line}`))
}

function besideCompose(): string {
  const { POSTGRES_PASSWORD, UPSTASH_REDIS_REST_TOKEN } = keysIn(process.env.KEYS_DIR)
  return filled({
    ...makeSecrets(),
    DATABASE_URL: withPassword('postgres://bothub@postgres:5432/bothub', POSTGRES_PASSWORD),
    ...(UPSTASH_REDIS_REST_TOKEN ? { UPSTASH_REDIS_REST_TOKEN } : {}),
  })
}

if (import.meta.main) {
  const [name] = process.argv.slice(2)
  const target = name === undefined ? path : resolve(name)
  if (name === '--print') process.stdout.write(besideCompose())
  else if (existsSync(target)) console.log(`${name ?? '.dev.vars'} is there already; nothing was changed.`)
  else {
    writeFileSync(target, name === undefined ? filled(makeSecrets()) : deployment(), { mode: 0o600 })
    console.log(`Made ${name ?? '.dev.vars'} with fresh secrets. Fill in the addresses that it leaves empty.`)
  }
}
