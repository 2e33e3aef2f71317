/**
 * The secrets of docker-compose.yml: made at its first start, kept in volumes, so that none has a default. As a
 * command it makes what is missing below KEYS_DIR: a folder for each part, which sees no other's.
 */
import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { makeSecrets } from './secrets.ts'

/** The keys that a part finds in its folder: the files that are named as configuration is. Nothing without a folder. */
export function keysIn(folder: string | undefined): Record<string, string> {
  if (!folder) return {}
  const names = readdirSync(folder).filter((name) => /^[A-Z][A-Z_]+$/.test(name))
  return Object.fromEntries(names.map((name) => [name, readFileSync(join(folder, name), 'utf8').trim()]))
}

/** An address with a password of its own, or with this one. */
export function withPassword(address: string, password: string | undefined): string {
  const url = new URL(address)
  if (url.password === '' && password) url.password = password
  return url.href
}

/**
 * Whoever cannot do without a secret keeps it, the others get copies at every start. So a lost volume costs what was
 * in it and no more.
 */
export function makeKeys(root: string): void {
  const kept = (path: string, make: () => string) => {
    const value = existsSync(join(root, path)) ? readFileSync(join(root, path), 'utf8').trim() : make()
    put(path, value)
    return value
  }
  // Everybody may read: the parts run as different users, and who may look into a volume is compose's to say.
  const put = (path: string, value: string) => {
    const target = join(root, path)
    const text = `${value}\n`
    if (existsSync(target) && readFileSync(target, 'utf8') === text) return
    mkdirSync(dirname(target), { recursive: true })
    writeFileSync(`${target}.half`, text, { mode: 0o444 })
    renameSync(`${target}.half`, target)
  }
  const fresh = makeSecrets()
  const word = () => randomBytes(24).toString('base64url')

  const postgres = kept('postgres/password', word)
  put('bridge/POSTGRES_PASSWORD', postgres)
  // The bridge asks for the same password, as Neon does.
  put('api/DATABASE_URL', withPassword('postgres://bothub@postgres:5432/bothub', postgres))
  put('redis/redis.conf', `requirepass ${kept('bridge/REDIS_PASSWORD', word)}`)
  put(
    'api/UPSTASH_REDIS_REST_TOKEN',
    kept('bridge/UPSTASH_REDIS_REST_TOKEN', () => fresh.UPSTASH_REDIS_REST_TOKEN),
  )
  for (const name of ['JWT_ACCESS_SECRET', 'JWT_REFRESH_SECRET', 'MODEL_SECRET_KEYS'] as const)
    kept(`api/${name}`, () => fresh[name])
  kept('api/demo-password.txt', word)
}

if (import.meta.main) {
  const folder = process.env.KEYS_DIR
  if (!folder) {
    console.error('KEYS_DIR is missing: the folder to make the keys in.')
    process.exit(1)
  }
  makeKeys(folder)
  console.log(`The keys are in ${folder}.`)
}
