import { type JWTPayload, jwtVerify, SignJWT } from 'jose'
import type { Actor } from '../../core/actor.ts'
import { isId } from '../../core/id.ts'
import type { Env } from '../../env.ts'

/** Seconds that an access token lives. */
export const ACCESS_TOKEN_S = 15 * 60
/** Days that a session lives after its last rotation; whoever comes back in time stays signed in. */
export const SESSION_DAYS = 30

const ISSUER = 'bothub-edge'
const HMAC = { name: 'HMAC', hash: 'SHA-256' }
// Far above any of ours: what is longer is not looked at.
const LONGEST_TOKEN = 2048

/** What tells the two kinds apart, each on its own enough: key, `typ`, `aud`. */
const KINDS = {
  access: { typ: 'at+jwt', audience: 'bothub-edge/api' },
  refresh: { typ: 'rt+jwt', audience: 'bothub-edge/refresh' },
} as const
type Kind = keyof typeof KINDS

/** The part of a session's row that its refresh token is made of; times in epoch seconds. */
export interface SessionState {
  userUid: string
  sessionUid: string
  generation: number
  rotatedAt: number
  expiresAt: number
}

/** What a refresh token proves. */
export interface RefreshProof {
  userUid: string
  sessionUid: string
  generation: number
}

export interface Tokens {
  /** A new access token. */
  signAccess(actor: Actor): Promise<string>
  /** The refresh token of this state: the same state gives the same token, to the letter. */
  signRefresh(state: SessionState): Promise<string>
  /** Undefined for any string that is not a live token of this kind. */
  readAccess(token: string): Promise<Actor | undefined>
  readRefresh(token: string): Promise<RefreshProof | undefined>
  /** Whose session a token of either kind belongs to, also when it has expired: for signing out. */
  sessionOf(token: string): Promise<{ userUid: string; sessionUid: string } | undefined>
}

/** HS256 with keys that are imported once; of several secrets the first signs. Nothing here does I/O. */
export function createTokens(secrets: Pick<Env, 'JWT_ACCESS_SECRET' | 'JWT_REFRESH_SECRET'>): Tokens {
  const secretOf = { access: secrets.JWT_ACCESS_SECRET, refresh: secrets.JWT_REFRESH_SECRET }
  const keys = new Map<string, CryptoKey>()

  // The key is kept and not the promise of it: a promise belongs to the request that made it.
  async function keyOf(secret = ''): Promise<CryptoKey> {
    const known = keys.get(secret)
    if (known) return known
    const bytes = new TextEncoder().encode(secret)
    const key = await crypto.subtle.importKey('raw', bytes, HMAC, false, ['sign', 'verify'])
    keys.set(secret, key)
    return key
  }

  const sign = async (kind: Kind, claims: JWTPayload, iat: number, exp: number): Promise<string> =>
    new SignJWT(claims)
      .setProtectedHeader({ alg: 'HS256', typ: KINDS[kind].typ })
      .setIssuer(ISSUER)
      .setAudience(KINDS[kind].audience)
      .setIssuedAt(iat)
      .setExpirationTime(exp)
      .sign(await keyOf(secretOf[kind][0]))

  /** The claims of a token of this kind, signed by us, with a person and a session in it. */
  async function read(kind: Kind, token: string, at?: Date) {
    if (token.length > LONGEST_TOKEN) return undefined
    for (const secret of secretOf[kind]) {
      const claims = await readBy(await keyOf(secret), kind, token, at)
      if (claims) return claims
    }
    return undefined
  }

  async function readBy(key: CryptoKey, kind: Kind, token: string, at: Date | undefined) {
    try {
      const { payload } = await jwtVerify(token, key, {
        algorithms: ['HS256'],
        ...KINDS[kind],
        issuer: ISSUER,
        requiredClaims: ['sub', 'sid', 'exp', 'iat'],
        ...(at ? { currentDate: at } : {}),
      })
      const { sub, sid } = payload
      if (typeof sub !== 'string' || typeof sid !== 'string' || !isId(sub) || !isId(sid)) return undefined
      return { userUid: sub, sessionUid: sid, payload }
    } catch {
      return undefined
    }
  }

  return {
    signAccess(actor) {
      const now = Math.floor(Date.now() / 1000)
      const claims = { sub: actor.userUid, sid: actor.sessionUid, role: actor.role }
      return sign('access', claims, now, now + ACCESS_TOKEN_S)
    },
    signRefresh: (state) =>
      sign(
        'refresh',
        { sub: state.userUid, sid: state.sessionUid, n: state.generation },
        state.rotatedAt,
        state.expiresAt,
      ),
    async readAccess(token) {
      const proof = await read('access', token)
      const role = proof?.payload.role
      if (!proof || (role !== 'USER' && role !== 'ADMIN')) return undefined
      return { userUid: proof.userUid, sessionUid: proof.sessionUid, role }
    },
    async readRefresh(token) {
      const proof = await read('refresh', token)
      const n = proof?.payload.n
      if (!proof || typeof n !== 'number' || !Number.isInteger(n) || n < 0) return undefined
      return { userUid: proof.userUid, sessionUid: proof.sessionUid, generation: n }
    },
    async sessionOf(token) {
      // In 1970 nothing of ours had expired: signing out does not depend on a clock.
      const at = new Date(0)
      const proof = (await read('access', token, at)) ?? (await read('refresh', token, at))
      return proof && { userUid: proof.userUid, sessionUid: proof.sessionUid }
    },
  }
}

const made = new WeakMap<object, Tokens>()

/** The tokens of this configuration, made once an isolate. */
export function tokensOf(env: Env): Tokens {
  const tokens = made.get(env) ?? createTokens(env)
  made.set(env, tokens)
  return tokens
}
