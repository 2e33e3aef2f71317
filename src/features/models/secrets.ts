import { fromBase64, fromBase64Url, toBase64Url } from '../../core/bytes.ts'
import { Failure } from '../../core/failure.ts'
import type { Env } from '../../env.ts'

/** The keys of the configuration: the first seals, all of them open, so that keys can be rotated. */
export type SecretKeys = Env['MODEL_SECRET_KEYS']

/** A model's row as far as its secret goes. */
export interface SealedRow {
  uid: string
  authTokenSealed: string | null
}

const IV_BYTES = 12

// Keys, not promises of keys: a promise of one request must not be awaited by another.
const imported = new WeakMap<SecretKeys[number], CryptoKey>()

async function cryptoKey(entry: SecretKeys[number]): Promise<CryptoKey> {
  const known = imported.get(entry)
  if (known) return known
  const key = await crypto.subtle.importKey('raw', fromBase64(entry.key), 'AES-GCM', false, [
    'encrypt',
    'decrypt',
  ])
  imported.set(entry, key)
  return key
}

/** The uid is bound in as additional data: a ciphertext that was moved to another row does not open there. */
const boundTo = (uid: string, iv: Uint8Array<ArrayBuffer>) => ({
  name: 'AES-GCM',
  iv,
  additionalData: new TextEncoder().encode(uid),
})

/** The secret of the model `uid` as it is stored: `<key id>.<iv>.<ciphertext>`, base64url, AES-256-GCM. */
export async function sealSecret(keys: SecretKeys, uid: string, secret: string): Promise<string> {
  const entry = keys[0]
  if (!entry) throw new Error('MODEL_SECRET_KEYS is empty')
  const iv = crypto.getRandomValues(new Uint8Array(IV_BYTES))
  const sealed = await crypto.subtle.encrypt(
    boundTo(uid, iv),
    await cryptoKey(entry),
    new TextEncoder().encode(secret),
  )
  return `${entry.id}.${toBase64Url(iv)}.${toBase64Url(new Uint8Array(sealed))}`
}

/**
 * The secret that the upstream of this model wants; undefined when it wants none.
 * @throws upstream_failed, without a word about why, when it does not open: its key is gone from the
 *   configuration, or the text was changed or belongs to another row
 */
export async function openSecret(keys: SecretKeys, row: SealedRow): Promise<string | undefined> {
  if (row.authTokenSealed === null) return undefined
  const [id, iv = '', sealed = '', ...more] = row.authTokenSealed.split('.')
  const entry = keys.find((candidate) => candidate.id === id)
  if (!entry || more.length > 0) throw unopened('ModelSecretKeyUnknown')
  try {
    const opened = await crypto.subtle.decrypt(
      boundTo(row.uid, fromBase64Url(iv)),
      await cryptoKey(entry),
      fromBase64Url(sealed),
    )
    return new TextDecoder().decode(opened)
  } catch {
    throw unopened('ModelSecretDamaged')
  }
}

/** The name is all that the log tells of a cause. */
const unopened = (name: string) =>
  new Failure('upstream_failed', { cause: Object.assign(new Error(name), { name }) })
