import { type SQL, sql } from 'drizzle-orm'
import type { Actor } from '../../core/actor.ts'
import { type Database, lockAccount, standing } from '../../ports/postgres.ts'
import type { UpstreamChunk } from '../../ports/upstream/port.ts'
import { lockOwner, standingOfKey } from '../keys/caller.ts'
import type { Delta } from './recorder.ts'

/** Which room asked for a generation, as its row says. */
export type Door = 'chat' | 'gateway'

/** Who asks: the deciding statement knows them only by what these say. */
export interface Caller {
  /** A uuid: whose account pays. May name the CTE `key`. */
  userUid: SQL
  /** Which row of `keys` limits what may be spent; false for none. */
  isKey: SQL
  /** The lock on the account, and behind it whether the caller may still ask: whoever takes that away locks it too. */
  opening(db: Database): [ReturnType<typeof lockAccount>, ReturnType<typeof standing>]
}

/** A person with a session. */
export const bySession = (actor: Actor): Caller => ({
  userUid: sql`${actor.userUid}::uuid`,
  isKey: sql`false`,
  opening: (db) => [lockAccount(db, actor.userUid), standing(db, actor)],
})

/** A program with an API key, by the digest of its secret: found in the same round trip that holds. */
export const byKey = (digest: string): Caller => ({
  userUid: sql`(SELECT user_uid FROM key)`,
  isKey: sql`digest = ${digest}::text`,
  opening: (db) => [lockOwner(db, digest), standingOfKey(db, digest)],
})

/** Who listens to an answer while it is written. Every word must return at once: nobody can hold the answer back. */
export interface Ear {
  /** New text, as stored and shown. */
  delta?(delta: Delta): void
  /** The same as the upstream said it, one call a network read. */
  chunks?(chunks: UpstreamChunk[]): void
}

/**
 * What a door (chats, gateway) adds to the hold statement of hold.ts. Fragments may name its CTEs `account`, `key`
 * (the caller's, if it has one) and, but for `place`, `model`; in `writes` also `bill` and `held` (one row if the hold
 * is placed, none if not).
 */
export interface DoorHold {
  name: Door
  /** CTEs that say what is asked and where. */
  place: SQL
  /** A uuid: the model that is asked. */
  modelUid: SQL
  /** CTEs, among them `prompt(tokens int, fits boolean)`: the estimate of what will be sent. */
  ctes: SQL
  /** True when what the door looks into is not there: refused with `missingCode`. */
  missing: SQL
  missingCode: 'chat_not_found' | 'message_not_found'
  /** A uuid, or null: the answer that is being written in the same place already. */
  busyWith: SQL
  /** CTEs that write the door's own rows beside the generation. */
  writes: SQL
  /** A JSON value that the door gets back with the hold. */
  result: SQL
  /** Uuids, or null, for the generation's row. */
  chatUid: SQL
  userMessageUid: SQL
  messageUid: SQL
}

/**
 * What a door writes with the settle: CTEs that may name `settled`, the generation's row as it is now (no row if
 * somebody else settled first), and a JSON value that it gets back. Whoever settles, the worker or the sweep,
 * writes the same.
 */
export type DoorSettle = (outcome: { text: string; reasoning: string }) => { writes: SQL; result: SQL }
