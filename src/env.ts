import { z } from 'zod'
import { fromBase64 } from './core/bytes.ts'

const onOff = (fallback: 'on' | 'off') =>
  z
    .enum(['on', 'off'])
    .default(fallback)
    .transform((value) => value === 'on')
const whole = (fallback: number, least: number, most: number) =>
  z.coerce.number().int().min(least).max(most).default(fallback)
/** Comma-separated: the first signs, all of them verify, so that one can be replaced while the other still counts. */
const signingSecrets = z
  .string()
  .transform((text) => text.split(',').map((secret) => secret.trim()))
  .refine((secrets) => secrets.every(({ length }) => length >= 32), 'must have at least 32 characters')

/** `<id>:<base64 of 32 bytes>`, comma-separated: the first seals, all of them open. */
const modelKeys = z
  .string()
  .transform((text) => text.split(',').map((pair) => pair.trim().split(':')))
  .refine(
    (pairs) =>
      pairs.every(([id, key, ...more]) => {
        try {
          return /^[\w-]{1,32}$/.test(id ?? '') && fromBase64(key ?? '').length === 32 && more.length === 0
        } catch {
          return false
        }
      }),
    'must be <id>:<base64 of 32 bytes>, comma-separated',
  )
  // A sealed secret names its key by the id alone.
  .refine(
    (pairs) => new Set(pairs.map(([id]) => id)).size === pairs.length,
    'must give each key an id of its own',
  )
  .transform((pairs) => pairs.map(([id = '', key = '']) => ({ id, key })))

/** An absent value and an empty one mean the same in a .env file. */
const optional = <Schema extends z.ZodType>(schema: Schema) =>
  z.preprocess((value) => (value === '' ? undefined : value), schema.optional())

/** Every key of the configuration; `.dev.vars.example` explains each. */
export const envSchema = z.object({
  DATABASE_URL: z.string().regex(/^postgres(ql)?:\/\//, 'must be a postgres:// URL'),
  NEON_HTTP_ENDPOINT: optional(z.url()),
  UPSTASH_REDIS_REST_URL: z.url(),
  UPSTASH_REDIS_REST_TOKEN: z.string().min(1),
  JWT_ACCESS_SECRET: signingSecrets,
  JWT_REFRESH_SECRET: signingSecrets,
  MODEL_SECRET_KEYS: modelKeys,
  ADMIN_REGISTRATION: z.enum(['open', 'first', 'closed']).default('first'),
  SELF_TOP_UP: onOff('off'),
  PRIVATE_UPSTREAMS: onOff('off'),
  /** Origins, comma-separated, that may call with cookies from a browser. */
  CORS_ORIGINS: z
    .string()
    .default('')
    .transform((text) =>
      text
        .split(',')
        .map((origin) => origin.trim())
        .filter(Boolean),
    )
    // As a browser says it, to the letter. Neither `*` nor the `null` that any sandboxed page is.
    .refine(
      (origins) => origins.every((origin) => /^[a-z][a-z\d+.-]*:\/\/[a-z\d._:[\]-]+$/.test(origin)),
      'must be origins, as https://app.example.com, comma-separated',
    ),
  SENDS_PER_MINUTE: whole(60, 0, 1_000_000),
  RUNNING_PER_USER: whole(4, 0, 1_000_000),
  AUTH_PER_MINUTE: whole(10, 0, 1_000_000),
  CONNECT_MS: whole(10_000, 1, 900_000),
  FIRST_TOKEN_MS: whole(120_000, 1, 900_000),
  SILENCE_MS: whole(60_000, 1, 900_000),
  TOTAL_MS: whole(900_000, 1, 3_600_000),
  CLIENT_GONE_S: whole(20, 0, 25),
  /** Memory of one password hash in KiB (argon2id, two passes). An isolate has 128 MiB in all. */
  PASSWORD_COST: whole(19_456, 8, 65_536),
})

export type Env = z.output<typeof envSchema>

/**
 * The bindings of the Worker as a checked configuration.
 * @throws Error whose message names the keys at fault and never a value
 */
export function readEnv(bindings: Record<string, unknown>): Env {
  const parsed = envSchema.safeParse(bindings)
  if (parsed.success) return parsed.data
  const faults = parsed.error.issues.map((issue) => {
    const key = String(issue.path[0])
    const absent = bindings[key] === undefined || bindings[key] === ''
    return `${key} ${absent ? 'is missing' : issue.code === 'custom' || issue.code === 'invalid_format' || issue.code === 'too_small' ? issue.message : 'is not valid'}`
  })
  throw new Error(`Configuration: ${[...new Set(faults)].join('; ')}. See .dev.vars.example.`)
}
