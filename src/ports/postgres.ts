import { neon, neonConfig } from '@neondatabase/serverless'
import { type SQL, sql } from 'drizzle-orm'
import type { BatchItem, BatchResponse } from 'drizzle-orm/batch'
import { drizzle, type NeonHttpDatabase } from 'drizzle-orm/neon-http'
import type { Actor } from '../core/actor.ts'
import { Failure } from '../core/failure.ts'
import { measure } from './meter.ts'
import { statementOf } from './statement.ts'

/** Postgres over HTTP: one call is one POST, one `batch` is one POST and one transaction. */
export type Database = NeonHttpDatabase

/**
 * @param url a Postgres connection string (Neon's, or the local bridge's)
 * @param endpoint where to POST instead of Neon's own endpoint (the local bridge)
 */
export function connectPostgres(url: string, endpoint?: string): Database {
  if (endpoint) neonConfig.fetchEndpoint = endpoint
  neonConfig.fetchFunction = (input: RequestInfo, init: RequestInit) =>
    measure('postgres', () => fetch(input, init))
  const db = drizzle(neon(url))
  const execute = db.execute.bind(db)
  return Object.assign(db, {
    execute: ((query) =>
      execute(typeof query === 'string' ? query : quick(query.getSQL()))) as typeof execute,
  })
}

/** The same statement, which is its own builder where it can be. */
function quick(query: SQL): SQL {
  const same = sql`${query}`
  const build = same.toQuery.bind(same)
  return Object.assign(same, {
    toQuery: (config: Parameters<typeof build>[0]) => statementOf(query) ?? build(config),
  })
}

type Statement = BatchItem<'pg'>

/** One statement, one round trip. Errors come out as they may travel: see `explained`. */
export async function ask<Result>(query: PromiseLike<Result>): Promise<Result> {
  try {
    return await query
  } catch (error) {
    throw explained(error)
  }
}

/**
 * Statements in one transaction and one round trip. A later statement sees what others committed before an earlier
 * one got its lock: that is how a batch decides.
 */
export const batch = <Items extends [Statement, ...Statement[]]>(
  db: Database,
  items: Items,
): Promise<BatchResponse<Items>> => ask(db.batch(items))

/**
 * The same behind a check that the actor still stands (account active, session open, role if asked).
 * Answers the results of `items` alone.
 */
export async function batchAs<Items extends [Statement, ...Statement[]]>(
  db: Database,
  actor: Actor,
  items: Items,
  need: { administrator?: boolean } = {},
): Promise<BatchResponse<Items>> {
  const [, ...results] = await batch(db, [standing(db, actor, need), ...items])
  return results as BatchResponse<Items>
}

/** The statement that ends a batch when the actor no longer stands. */
export const standing = (db: Database, actor: Actor, need: { administrator?: boolean } = {}) =>
  db.execute(
    sql`SELECT assert_standing(${actor.userUid}::uuid, ${actor.sessionUid}::uuid, ${need.administrator ?? false}::boolean)`,
  )

/** Takes the account's row: the lock that comes before every other one. */
export const lockAccount = (db: Database, userUid: string) =>
  db.execute(sql`SELECT 1 FROM accounts WHERE user_uid = ${userUid}::uuid FOR UPDATE`)

interface PostgresError {
  code?: string
  constraint?: string
}

/** What Postgres said, wherever the driver and the query builder put it; undefined when it was not Postgres. */
export function postgresError(error: unknown): PostgresError | undefined {
  for (let at = error; at instanceof Error; at = at.cause) {
    const { code, constraint } = at as PostgresError
    // With a digit, which every state has: EPIPE is none.
    if (typeof code === 'string' && /^(?=.*\d)[0-9A-Z]{5}$/.test(code))
      return constraint ? { code, constraint } : { code }
  }
  return undefined
}

/** The constraint that a write ran into, if that is why it failed. */
export const violated = (error: unknown): string | undefined => postgresError(error)?.constraint

/**
 * An error of the driver as something that may travel: the message of a query error holds SQL and parameters, so
 * only its state and constraint are kept. Without a state the database could not be asked at all.
 */
function explained(error: unknown): Error {
  if (error instanceof Failure) return error
  const state = postgresError(error)
  if (!state?.code)
    return new Failure('unavailable', {
      retryAfterSeconds: 5,
      cause: new Error('Postgres could not be asked'),
    })
  switch (state.code) {
    case 'BH401':
      return new Failure('unauthenticated', 'This session has ended. Sign in again.')
    case 'BH4K1':
      return new Failure('unauthenticated', 'This API key is not valid, has expired or was revoked.')
    case 'BH423':
      return new Failure('account_blocked')
    case 'BH403':
      return new Failure('forbidden', 'This needs an administrator.')
  }
  // It passes by itself. Classes 08, 53, 57, 58: connection lost, out of resources, shut down or starting, its disk;
  // 40, 55: chosen as a deadlock's victim, not open yet or held by another; 25006: a replica that takes over.
  if (/^(08|40|53|55|57|58|25006)/.test(state.code))
    return new Failure('unavailable', { retryAfterSeconds: 1, cause: new Error(`Postgres ${state.code}`) })
  return Object.assign(new Error(`Postgres ${state.code}`), state)
}
