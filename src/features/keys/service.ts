import type { Actor } from '../../core/actor.ts'
import { toCredits } from '../../core/credits.ts'
import { Failure } from '../../core/failure.ts'
import { newId } from '../../core/id.ts'
import type { Once } from '../../http/idempotency.ts'
import { type PageRequest, page } from '../../http/page.ts'
import { batch, batchAs, type Database, lockAccount, standing } from '../../ports/postgres.ts'
import { replayOf } from '../idempotency/once.ts'
import { type KeyRow, keyChanged, keyCreated, keyRevoked, keysOf } from './queries.ts'
import { type ChangeKey, type CreateKey, type Key, type KeyCreated, MOST_KEYS } from './schema.ts'
import { digestOf, hintOf, mintSecret } from './secret.ts'

/**
 * Makes a key and tells its secret, which nobody can tell again: a repeat under one Idempotency-Key answers the first
 * `keyUid` alone. One round trip.
 * @throws idempotency_mismatch, invalid_request (`expiresAt` has passed), model_not_found, too_many_keys
 */
export async function create(
  db: Database,
  actor: Actor,
  input: CreateKey,
  once: Once | undefined,
): Promise<KeyCreated> {
  const secret = mintSecret()
  const key = { uid: newId(), userUid: actor.userUid, digest: await digestOf(secret), hint: hintOf(secret) }
  const [, , { rows }] = await batch(db, [
    lockAccount(db, actor.userUid),
    // Behind the lock: whoever closes an account revokes its keys under it, and none may come after.
    standing(db, actor),
    keyCreated(db, { ...input, ...key }, MOST_KEYS, once),
  ])
  const { prior, past, unknown, full } = rows[0]!
  const replay = replayOf(prior, once)
  if (replay) return replay.body as KeyCreated
  if (past) throw tooLate()
  if (unknown) throw new Failure('model_not_found')
  if (full) throw new Failure('too_many_keys', `There may be ${MOST_KEYS} that are not revoked.`)
  return { keyUid: key.uid, key: secret }
}

/** The person's keys, revoked ones too, newest first. One round trip. */
export async function list(db: Database, actor: Actor, request: PageRequest) {
  const [{ rows }] = await batchAs(db, actor, [keysOf(db, actor.userUid, request)])
  const { data, nextCursor } = page(rows, request.limit, ({ row, at }) => ({ at, uid: row.uid }))
  return { data: data.map(({ row }) => present(row)), nextCursor }
}

/**
 * Changes what is given and leaves the rest; a revoked key is not there any more. Running answers go on. One round
 * trip.
 * @throws invalid_request (`expiresAt` has passed), key_not_found, model_not_found
 */
export async function change(db: Database, actor: Actor, keyUid: string, fields: ChangeKey): Promise<Key> {
  const [{ rows }] = await batchAs(db, actor, [keyChanged(db, actor.userUid, keyUid, fields)])
  const { past, found, unknown, row } = rows[0]!
  if (past) throw tooLate()
  if (found && unknown) throw new Failure('model_not_found')
  if (!row) throw new Failure('key_not_found')
  return present(row)
}

/**
 * Ends a key for good. What it asked before goes on to its end and is charged.
 * @throws key_not_found, also for one that is revoked already
 */
export async function revoke(db: Database, actor: Actor, keyUid: string): Promise<{ keyUid: string }> {
  const [{ rows }] = await batchAs(db, actor, [keyRevoked(db, actor.userUid, keyUid)])
  if (!rows[0]) throw new Failure('key_not_found')
  return { keyUid }
}

const tooLate = () =>
  new Failure('invalid_request', {
    detail: 'The body does not fit its schema.',
    errors: [{ path: 'expiresAt', message: 'must be in the future' }],
  })

const credits = (micros: number | null) => (micros === null ? null : toCredits(micros))
const instant = (text: string | null) => (text === null ? null : new Date(text).toISOString())

/** A key as its owner sees it: credits, ISO 8601 UTC. */
const present = ({ budget, spent, held, ...row }: KeyRow): Key => ({
  uid: row.uid,
  name: row.name,
  hint: row.hint,
  budget: credits(budget),
  spent: toCredits(spent),
  held: toCredits(held),
  remaining: credits(budget === null ? null : Math.max(0, budget - spent - held)),
  models: row.models,
  expiresAt: instant(row.expiresAt),
  lastUsedAt: instant(row.lastUsedAt),
  revokedAt: instant(row.revokedAt),
  status: row.status,
  createdAt: new Date(row.createdAt).toISOString(),
})
