import Argon2 from '@phi-ag/argon2'
import { toBase64 } from '../../core/bytes.ts'
import { Failure } from '../../core/failure.ts'
import { pause } from '../../core/pause.ts'
import type { Passwords } from '../../http/context.ts'

/** Passes over the memory. With 19 MiB this is OWASP's first recommendation for argon2id. */
const PASSES = 2
const LANES = 1
/** The library knows no less than 32 KiB. */
const LEAST_KIB = 32

/** About two seconds of hashes: whoever comes later is better told to come again. */
const MOST_WAITING = 50
/** A waiter that did not look for so long is gone: a request whose client leaves ends without a word. */
const GONE_AFTER_MS = 3_000

/**
 * Argon2id in WebAssembly. One instance is kept an isolate: its memory grows to one hash and stays there.
 * @param module the compiled library, made an instance at the first hash
 * @param costKiB memory of one hash
 */
export function createPasswords(module: WebAssembly.Module, costKiB: number): Passwords {
  const memoryCost = Math.max(LEAST_KIB, costKiB)
  const parameters = `$argon2id$v=19$m=${memoryCost},t=${PASSES},p=${LANES}$`
  // Right in form and cost, made by no password.
  const nobody = `${parameters}${unpadded(new Uint8Array(16))}$${unpadded(new Uint8Array(32))}`
  const inTurn = createGate()
  let argon2: Argon2 | undefined

  const run = <Result>(work: (argon2: Argon2) => Result): Promise<Result> =>
    inTurn(() => {
      argon2 ??= new Argon2(new WebAssembly.Instance(module))
      try {
        return work(argon2)
      } catch (cause) {
        // A trap leaves the instance's memory in an unknown state.
        argon2 = undefined
        throw new Failure('unavailable', { retryAfterSeconds: 2, cause })
      }
    })

  return {
    hash: (password) =>
      run(
        (argon2) =>
          argon2.hash(asciiOf(password), { timeCost: PASSES, memoryCost, parallelism: LANES, hashLength: 32 })
            .encoded,
      ),
    async fits(password, hash) {
      const same = await run((argon2) => argon2.tryVerify(hash ?? nobody, asciiOf(password)).success)
      return same && hash !== null
    },
    isStale: (hash) => !hash.startsWith(parameters),
  }
}

/**
 * The library measures a password in UTF-16 units where its bytes count, and so would cut everything but ASCII
 * short («пароль-1» to «паро»). Base64 of the UTF-8 bytes is ASCII and loses nothing. NFKC (NIST SP 800-63B,
 * 3.1.1.2) makes one password of the ways in which keyboards and systems write the same characters.
 */
const asciiOf = (password: string): string => toBase64(new TextEncoder().encode(password.normalize('NFKC')))

const unpadded = (bytes: Uint8Array): string => toBase64(bytes).replace(/=+$/, '')

/**
 * Lets one through at a time, in order, and the isolate's other work (running answers) in between: a hash blocks
 * everything for its 40 ms. Every waiter wakes by a timer of its own: a promise of another request may not be
 * waited for, and one that ended silently must not hold the others.
 */
export function createGate(): <Result>(work: () => Result) => Promise<Result> {
  interface Waiter {
    lookedAt: number
  }
  const line: Waiter[] = []
  const forgetGone = (now: number): void => {
    for (let at = line.length - 1; at >= 0; at--) {
      if (now - line[at]!.lookedAt > GONE_AFTER_MS) line.splice(at, 1)
    }
  }

  return async (work) => {
    forgetGone(Date.now())
    if (line.length >= MOST_WAITING)
      throw new Failure('unavailable', {
        detail: 'Too many are signing in at this moment.',
        retryAfterSeconds: 2,
      })
    const me: Waiter = { lookedAt: Date.now() }
    line.push(me)
    // First twice in a row: between the two looks everything that was ready has had its turn.
    for (let looks = 0; looks < 2; ) {
      await pause(line[0] === me ? 0 : 4)
      me.lookedAt = Date.now()
      forgetGone(me.lookedAt)
      looks = line[0] === me || !line.includes(me) ? looks + 1 : 0
    }
    try {
      return work()
    } finally {
      const place = line.indexOf(me)
      if (place !== -1) line.splice(place, 1)
    }
  }
}
