import type { Actor } from '../../core/actor.ts'
import { Failure } from '../../core/failure.ts'
import { newId } from '../../core/id.ts'
import type { Env } from '../../env.ts'
import type { Identity, Passwords, Services } from '../../http/context.ts'
import { ask, batch, type Database } from '../../ports/postgres.ts'
import type { Redis } from '../../ports/redis.ts'
import { lockAdministrators } from '../users/administrators.ts'
import { presentProfile } from '../users/profile.ts'
import { namesTaken } from '../users/service.ts'
import {
  credentialsOf,
  endSession,
  insertUser,
  ownerOf,
  rotate,
  type SignedInRow,
  signIn,
} from './queries.ts'
import type { Credentials, Registration, SignedIn } from './schema.ts'
import { redeemTicket } from './tickets.ts'
import { ACCESS_TOKEN_S, SESSION_DAYS, type Tokens, tokensOf } from './tokens.ts'

/** Seconds that the refresh cookie stays with the browser. */
export const SESSION_S = SESSION_DAYS * 24 * 60 * 60

/** What the hallway asks about whoever calls. */
export function createIdentity(env: Env, db: Database, redis: Redis): Identity {
  const tokens = tokensOf(env)
  return {
    verify: tokens.readAccess,
    redeem: (word) => redeemTicket(redis, word),
    async renew(refreshToken) {
      const proof = await tokens.readRefresh(refreshToken)
      if (!proof) return undefined
      const [owner] = (await ask(ownerOf(db, proof))).rows
      if (owner?.status === 'BLOCKED') throw new Failure('account_blocked')
      if (owner?.status !== 'ACTIVE') return undefined
      const actor: Actor = { userUid: proof.userUid, sessionUid: proof.sessionUid, role: owner.role }
      return { actor, accessToken: await tokens.signAccess(actor) }
    },
  }
}

/**
 * Makes a person with an account and a session. One round trip, after the hash.
 * @param by who asks, if somebody signed in does: an administrator may always make another
 * @throws admin_registration_closed, mail_taken, phone_taken, unavailable
 */
export async function register(
  { env, db, passwords }: Services,
  form: Registration,
  by: Actor | undefined,
): Promise<SignedIn> {
  const rule = env.ADMIN_REGISTRATION
  const { password, ...fields } = form
  // Nobody asks who could be allowed: no hash for it, and no question to the database.
  if (form.role === 'ADMIN' && rule === 'closed' && !by) throw new Failure('admin_registration_closed')
  const user = { uid: newId(), sessionUid: newId(), ...fields, phone: fields.phone }
  const insert = insertUser(db, { ...user, passwordHash: await passwords.hash(password) }, rule, by)
  const inserting =
    form.role === 'ADMIN'
      ? batch(db, [lockAdministrators(db), insert]).then(([, result]) => result)
      : ask(insert)
  const { rows } = await namesTaken(inserting)
  if (!rows[0]) throw new Failure('admin_registration_closed')
  return present(tokensOf(env), rows[0])
}

/**
 * Opens a session for whoever knows the password. An unknown account costs the same hash and gets the same answer;
 * that an account is blocked learns only who has the right password. Two round trips.
 * @throws bad_credentials, account_blocked, unavailable
 */
export async function login(services: Services, credentials: Credentials): Promise<SignedIn> {
  // A second look when the hash was replaced between the two trips: a sign-in beside this one may have renewed it.
  const signedIn = (await tryLogin(services, credentials)) ?? (await tryLogin(services, credentials))
  if (!signedIn) throw wrong()
  return signedIn
}

async function tryLogin(
  { env, db, passwords }: Services,
  { mail, phone, password }: Credentials,
): Promise<SignedIn | undefined> {
  const [found] = (await ask(credentialsOf(db, { mail, phone }))).rows
  const fits = await passwords.fits(password, found?.hash ?? null)
  if (!fits || !found?.hash) throw wrong()
  if (found.status === 'BLOCKED') throw new Failure('account_blocked')
  const fresh = await freshened(passwords, password, found.hash)
  const opening = signIn(db, { userUid: found.uid, sessionUid: newId(), hash: found.hash, fresh })
  const [row] = (await ask(opening)).rows
  return row && present(tokensOf(env), row)
}

const wrong = (): Failure =>
  new Failure('bad_credentials', 'There is no account with this login and password.')

/** The hash as today's parameters make it: the cost may have been raised since. */
const freshened = async (passwords: Passwords, password: string, hash: string): Promise<string> =>
  passwords.isStale(hash) ? passwords.hash(password) : hash

/**
 * The successor of a refresh token. Within 10 s a repeat gets the same one; an older token ends the session, since
 * one of its two holders is a thief. One round trip.
 * @throws unauthenticated
 */
export async function refresh({ env, db }: Services, refreshToken: string): Promise<SignedIn> {
  const tokens = tokensOf(env)
  const proof = await tokens.readRefresh(refreshToken)
  if (!proof) throw over()
  const [row] = (await ask(rotate(db, proof))).rows
  if (!row || row.ended) throw over()
  return present(tokens, row)
}

export const over = (): Failure =>
  new Failure('unauthenticated', 'The refresh token is not valid, was used before, or its session has ended.')

/**
 * Ends the session that a token of either kind belongs to, expired or not. One that is over stays so.
 * @returns whose it was, if the token is one of ours
 */
export async function logout({ env, db }: Services, token: string): Promise<string | undefined> {
  const session = await tokensOf(env).sessionOf(token)
  if (session) await ask(endSession(db, session))
  return session?.userUid
}

async function present(tokens: Tokens, { profile, session }: SignedInRow): Promise<SignedIn> {
  const actor = { userUid: session.userUid, sessionUid: session.sessionUid, role: profile.role }
  const [accessToken, refreshToken] = await Promise.all([
    tokens.signAccess(actor),
    tokens.signRefresh(session),
  ])
  return { user: presentProfile(profile), accessToken, refreshToken, expiresIn: ACCESS_TOKEN_S }
}
