import type { Context } from 'hono'
import type { Actor } from '../core/actor.ts'
import type { Env } from '../env.ts'
import type { Database } from '../ports/postgres.ts'
import type { Redis } from '../ports/redis.ts'
import type { Log } from './log.ts'

/** Proves who calls. The rooms of accounts implement it; the hallway only asks. */
export interface Identity {
  /** The actor of a live access token; undefined for any other string. No I/O. */
  verify(accessToken: string): Promise<Actor | undefined>
  /**
   * A new access token for the owner of a live refresh token, without rotating it. One round trip.
   * @throws account_blocked
   */
  renew(refreshToken: string): Promise<{ actor: Actor; accessToken: string } | undefined>
  /** The actor of a feed ticket. @throws unavailable with Redis away */
  redeem(ticket: string): Promise<Actor | undefined>
}

/** Makes and checks hashes of passwords, one at a time. The rooms of accounts implement and use it. */
export interface Passwords {
  /** @throws unavailable when too many wait */
  hash(password: string): Promise<string>
  /** Whether the password made the hash. Without a hash the same work is done in vain, and the answer is no. */
  fits(password: string, hash: string | null): Promise<boolean>
  /** Whether the hash was made with other parameters than today's. */
  isStale(hash: string): boolean
}

/** What an isolate makes once and every request uses. */
export interface Services {
  env: Env
  db: Database
  redis: Redis
  identity: Identity
  passwords: Passwords
}

export interface App {
  Variables: {
    services: Services
    requestId: string
    log: Log
    /** Set by the guards `person` and `administrator`. */
    actor: Actor
    /** Set by the guard of the OpenAI door: which key calls, not whether it still stands. */
    keyDigest: string
  }
}

export type Ctx = Context<App>

/** Work that goes on after the answer. Nothing that matters may depend on it alone: the sweep finds the rest. */
export function defer(c: Context<App>, work: Promise<unknown>): void {
  const { log } = c.var
  c.executionCtx.waitUntil(work.catch((error) => log.error('deferred_work_failed', { error: nameOf(error) })))
}

/** Messages of drivers hold commands, keys and values: only the kind of an error goes to the log. */
const nameOf = (error: unknown): string => (error instanceof Error ? error.name : typeof error)

/** Whether cookies may go over plain http: only on this machine. */
export const isLocal = (url: string): boolean => {
  const { protocol, hostname } = new URL(url)
  return (
    protocol === 'http:' && (hostname === 'localhost' || hostname === '127.0.0.1' || hostname === '[::1]')
  )
}
