import { deflateRawSync } from 'node:zlib'

/** What `openssl rand` never makes, and people do. */
const WORDS = /secret|change|passw|example|default|bothub|0123456|1234567|abcdefg|qwerty/i
// HS256 wants as many bits as its digest has; half of them is where guessing is out of the question.
const LEAST_BITS = 128

/**
 * Why a secret text is a weak one, to read after its name; undefined when it is fine. Bits are the smaller of two
 * estimates: how its characters are spread, and how small it packs, which sees repetitions.
 */
export function weaknessOf(text: string): string | undefined {
  if (text.length < 32) return 'is shorter than 32 characters'
  if (WORDS.test(text)) return 'looks made up'
  return bitsOf(Buffer.from(text)) < LEAST_BITS ? 'is easy to guess' : undefined
}

/** The same for the 32 bytes of a key: random ones repeat themselves little. */
export function weaknessOfBytes(bytes: Uint8Array): string | undefined {
  if (bytes.every((byte) => byte >= 32 && byte < 127)) return 'is a text, not random bytes'
  return bitsOf(bytes) < LEAST_BITS ? 'is easy to guess' : undefined
}

function bitsOf(bytes: Uint8Array): number {
  const counts = new Map<number, number>()
  for (const byte of bytes) counts.set(byte, (counts.get(byte) ?? 0) + 1)
  let perByte = 0
  for (const count of counts.values()) perByte -= (count / bytes.length) * Math.log2(count / bytes.length)
  return Math.min(perByte * bytes.length, deflateRawSync(bytes, { level: 9 }).length * 8)
}
