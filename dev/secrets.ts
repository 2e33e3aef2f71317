import { randomBytes } from 'node:crypto'

/** Values for the keys that have no default, fresh at every call. */
export const makeSecrets = () => ({
  UPSTASH_REDIS_REST_TOKEN: randomBytes(24).toString('base64url'),
  JWT_ACCESS_SECRET: randomBytes(48).toString('base64url'),
  JWT_REFRESH_SECRET: randomBytes(48).toString('base64url'),
  // An id of its own: keys that are rotated stand side by side.
  MODEL_SECRET_KEYS: `k${randomBytes(4).toString('hex')}:${randomBytes(32).toString('base64')}`,
})
