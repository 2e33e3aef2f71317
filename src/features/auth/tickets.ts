import type { Actor } from '../../core/actor.ts'
import { sha256, toBase64Url } from '../../core/bytes.ts'
import { Failure } from '../../core/failure.ts'
import type { Redis } from '../../ports/redis.ts'
import { ticket } from '../../ports/redis-keys.ts'

/** Seconds within which a ticket must first be used. */
export const TICKET_S = 30
/** Seconds for which it then opens feeds again: as long as a page may stay open, never longer than its session. */
const REOPENS_FOR_S = 12 * 60 * 60

const REDEEM = `
local actor = redis.call('GET', KEYS[1])
if not actor then return '' end
redis.call('EXPIRE', KEYS[1], ARGV[1])
return actor`

/**
 * A word that stands for the actor in the address of a feed, where an `EventSource` can send no header.
 * @throws unavailable with Redis away
 */
export async function issueTicket(redis: Redis, actor: Actor): Promise<string> {
  const word = toBase64Url(crypto.getRandomValues(new Uint8Array(32)))
  await away(redis.set(ticket(await sha256(word)), JSON.stringify(actor), { ex: TICKET_S }))
  return word
}

/**
 * Whose ticket it is; undefined when it is none, or none any more. Whether their session still lives the database
 * says. @throws unavailable with Redis away
 */
export async function redeemTicket(redis: Redis, word: string): Promise<Actor | undefined> {
  if (!/^[\w-]{43}$/.test(word)) return undefined
  const key = ticket(await sha256(word))
  const actor = await away(redis.eval<string[], string>(REDEEM, [key], [String(REOPENS_FOR_S)]))
  return actor ? (JSON.parse(actor) as Actor) : undefined
}

/** What the client throws holds the command with its values: it must not travel. */
async function away<Result>(work: Promise<Result>): Promise<Result> {
  try {
    return await work
  } catch {
    throw new Failure('unavailable', { retryAfterSeconds: 5, cause: new Error('Redis could not be asked') })
  }
}
