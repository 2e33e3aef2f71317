import { createHash } from 'node:crypto'
import { expect, test } from 'vitest'
import { digestOf, hintOf, isKey, mintSecret } from '../../../src/features/keys/secret.ts'

test('a secret is 256 random bits that say whose they are, stored as their SHA-256', async () => {
  const secrets = Array.from({ length: 100 }, mintSecret)
  expect(new Set(secrets).size).toBe(100)
  for (const secret of secrets) {
    expect(isKey(secret)).toBe(true)
    expect(Buffer.from(secret.replace('sk-bh-', ''), 'base64url')).toHaveLength(32)
    expect(await digestOf(secret)).toBe(createHash('sha256').update(secret).digest('hex'))
    expect(secret.endsWith(hintOf(secret))).toBe(true)
    expect(hintOf(secret)).toHaveLength(4)
  }
})

test.each([
  '',
  'sk-bh-',
  'sk-bh-short',
  `sk-${'a'.repeat(43)}`,
  `SK-BH-${'a'.repeat(43)}`,
  `sk-bh-${'a'.repeat(42)}`,
  `sk-bh-${'a'.repeat(44)}`,
  `sk-bh-${'a'.repeat(42)}=`,
  `sk-bh-${'a'.repeat(42)}é`,
  `sk-bh-${'a'.repeat(43)}\n`,
  ` sk-bh-${'a'.repeat(43)}`,
  'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl',
])('%j is no key', (text) => {
  expect(isKey(text)).toBe(false)
})
