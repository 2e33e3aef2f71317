import { sha256 } from '../core/bytes.ts'
import type { Ctx } from './context.ts'

/** A request that may be repeated: the caller's key and what it stood for. */
export interface Once {
  key: string
  /** SHA-256 over method, path and the body with its members sorted. */
  fingerprint: string
}

/** The request's Idempotency-Key, already validated by `IdempotencyHeader`, with the fingerprint of what came. */
export async function onceOf(c: Ctx): Promise<Once | undefined> {
  const key = c.req.header('idempotency-key')
  if (key === undefined) return undefined
  // Where no body is as good as an empty one: it had no type either, or it would have been refused.
  const sent = c.req.header('content-type') === undefined ? {} : await c.req.json()
  const body = JSON.stringify(sorted(sent))
  return { key, fingerprint: await sha256(`${c.req.method} ${c.req.path}\n${body}`) }
}

/** The same value with the members of every object in order, so that a re-serialised repeat is the same request. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted)
  if (value === null || typeof value !== 'object') return value
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
      .map(([key, member]) => [key, sorted(member)]),
  )
}
