import { ask, type Database } from '../../ports/postgres.ts'
import * as queries from './queries.ts'
import { openSecret, type SecretKeys, sealSecret } from './secrets.ts'

/**
 * Seals every model's secret by the first key, so that the other keys may go. Safe beside a running service: a secret
 * that an administrator changes meanwhile is left as it was set.
 * @returns how many it sealed, and the uids of models whose secret does not open by any of the keys
 * @throws Failure unavailable when Postgres cannot be asked; what was sealed stays so
 */
export async function reseal(
  db: Database,
  keys: SecretKeys,
): Promise<{ resealed: number; unopened: string[] }> {
  const { rows } = await ask(queries.sealedSecrets(db))
  const unopened: string[] = []
  let resealed = 0
  for (const { uid, sealed } of rows) {
    const secret = await openSecret(keys, { uid, authTokenSealed: sealed }).catch(() => undefined)
    if (secret === undefined) {
      unopened.push(uid)
      continue
    }
    // Opened all the same: its id alone does not say that it is this key's.
    if (sealed.startsWith(`${keys[0]?.id}.`)) continue
    const { rows: changed } = await ask(
      queries.secretResealed(db, uid, sealed, await sealSecret(keys, uid, secret)),
    )
    resealed += changed.length
  }
  return { resealed, unopened }
}
