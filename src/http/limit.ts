import { sha256 } from '../core/bytes.ts'
import { Failure } from '../core/failure.ts'
import { attemptsFromAddress, attemptsOnAccount } from '../ports/redis-keys.ts'
import type { Ctx } from './context.ts'

const WINDOW_MS = 60_000

// All counters or none: an attempt that one of them refuses is not counted by the others, so that a guesser who is
// already held back at his address does not lock anybody's account. Numbers travel as text and come back as a list.
const COUNT = `
local wait = 0
for i = 1, #KEYS do
  if tonumber(redis.call('GET', KEYS[i]) or '0') >= tonumber(ARGV[1]) then
    local left = redis.call('PTTL', KEYS[i])
    if left < 1 then left = 1 end
    if left > wait then wait = left end
  end
end
if wait == 0 then
  for i = 1, #KEYS do
    if redis.call('INCR', KEYS[i]) == 1 then redis.call('PEXPIRE', KEYS[i], ARGV[2]) end
  end
end
return string.format('%d', wait)`

/** What an attempt counts against: the account it names (mail, phone or uid), the address it comes from, or both. */
export interface Attempt {
  account?: string
  address?: boolean
}

/**
 * Counts one attempt at guessing, exactly, also among parallel ones: AUTH_PER_MINUTE in the 60 s from the first.
 * With Redis away it lets through and says so in the log (`limit_unavailable`).
 * @throws too_many_attempts with the seconds to wait
 */
export async function countAttempt(c: Ctx, attempt: Attempt): Promise<void> {
  const { env, redis } = c.var.services
  if (env.AUTH_PER_MINUTE === 0) return
  const keys = [
    ...(attempt.account === undefined ? [] : [attemptsOnAccount(await sha256(attempt.account))]),
    ...(attempt.address ? [attemptsFromAddress(await sha256(addressOf(c)))] : []),
  ]
  const waitMs = await redis
    .eval<string[], string>(COUNT, keys, [String(env.AUTH_PER_MINUTE), String(WINDOW_MS)])
    .catch(() => c.var.log.error('limit_unavailable', { limit: 'AUTH_PER_MINUTE' }))
  if (Number(waitMs ?? 0) > 0)
    throw new Failure('too_many_attempts', {
      detail: 'Too many attempts. Wait before the next one.',
      retryAfterSeconds: Number(waitMs) / 1000,
    })
}

/** Forgets the attempts on an account whose owner has shown up. The address keeps its count. */
export async function forgiveAccount(c: Ctx, account: string): Promise<void> {
  const { env, redis } = c.var.services
  if (env.AUTH_PER_MINUTE === 0) return
  await redis.del(attemptsOnAccount(await sha256(account)))
}

/** Where a request comes from. Cloudflare sets the header itself; without it (on this machine) all are one. */
function addressOf(c: Ctx): string {
  const address = c.req.header('cf-connecting-ip') ?? 'local'
  return address.includes(':') && !address.includes('.') ? network64(address) : address
}

/** The /64 of an IPv6 address: whoever has one address there has all of them. */
function network64(address: string): string {
  const [head = '', tail] = address.toLowerCase().split('::')
  const groups = head === '' ? [] : head.split(':')
  if (tail !== undefined) {
    const rest = tail === '' ? 0 : tail.split(':').length
    while (groups.length < 8 - rest) groups.push('0')
  }
  return groups
    .slice(0, 4)
    .map((group) => group.replace(/^0+(?=.)/, ''))
    .join(':')
}
