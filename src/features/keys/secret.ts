import { sha256, toBase64Url } from '../../core/bytes.ts'

/** Says what it is to whoever finds one, and to scanners that look for such things. */
const PREFIX = 'sk-bh-'
const SECRET_BYTES = 32
/** Enough to tell one's own keys apart, and 24 bits of 256 given away. */
const HINT_CHARACTERS = 4

const SHAPE = /^sk-bh-[A-Za-z0-9_-]{43}$/

export const mintSecret = (): string =>
  PREFIX + toBase64Url(crypto.getRandomValues(new Uint8Array(SECRET_BYTES)))

/** Whether the text could be a key. What cannot needs no database to be refused. */
export const isKey = (text: string): boolean => SHAPE.test(text)

/** What is stored of a secret, in hex. No salt and no stretching: nobody guesses 256 random bits. */
export const digestOf = (secret: string): Promise<string> => sha256(secret)

export const hintOf = (secret: string): string => secret.slice(-HINT_CHARACTERS)
