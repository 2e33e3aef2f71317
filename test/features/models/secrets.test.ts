import { describe, expect, test } from 'vitest'
import { toBase64 } from '../../../src/core/bytes.ts'
import { Failure } from '../../../src/core/failure.ts'
import { newId } from '../../../src/core/id.ts'
import { openSecret, type SecretKeys, sealSecret } from '../../../src/features/models/secrets.ts'

const keyOf = (id: string): SecretKeys[number] => ({
  id,
  key: toBase64(crypto.getRandomValues(new Uint8Array(32))),
})
const SECRET = 'sk-planted-marker-0123456789'

/** The failure's every word, as an answer or a log might carry it. */
async function refusal(work: Promise<unknown>): Promise<Failure> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  expect(error).toBeInstanceOf(Failure)
  const failure = error as Failure
  expect(failure.code).toBe('upstream_failed')
  expect(failure.details.detail).toBeUndefined()
  expect(`${failure.stack} ${JSON.stringify(failure.details)}`).not.toContain(SECRET)
  return failure
}

describe('a sealed secret', () => {
  test('opens to what was sealed, and says nothing of it', async () => {
    const keys = [keyOf('k1')]
    const uid = newId()
    const sealed = await sealSecret(keys, uid, SECRET)
    expect(sealed).toMatch(/^k1\.[\w-]{16}\.[\w-]+$/)
    expect(sealed).not.toContain(SECRET)
    expect(await openSecret(keys, { uid, authTokenSealed: sealed })).toBe(SECRET)
    expect(await openSecret(keys, { uid, authTokenSealed: null })).toBeUndefined()
  })

  test('is another text each time', async () => {
    const keys = [keyOf('k1')]
    const uid = newId()
    const many = await Promise.all(Array.from({ length: 200 }, () => sealSecret(keys, uid, SECRET)))
    expect(new Set(many.map((sealed) => sealed.split('.')[1])).size).toBe(200)
  })

  test('does not open in another row', async () => {
    const keys = [keyOf('k1')]
    const [mine, yours] = [newId(), newId()]
    const sealed = await sealSecret(keys, mine, SECRET)
    await refusal(openSecret(keys, { uid: yours, authTokenSealed: sealed }))
  })

  test('opens after the keys were rotated, as long as its key is kept', async () => {
    const [old, fresh] = [keyOf('old'), keyOf('new')]
    const uid = newId()
    const sealed = await sealSecret([old], uid, SECRET)
    expect(await openSecret([fresh, old], { uid, authTokenSealed: sealed })).toBe(SECRET)
    expect(await sealSecret([fresh, old], uid, SECRET)).toMatch(/^new\./)
    await refusal(openSecret([fresh], { uid, authTokenSealed: sealed }))
    await refusal(openSecret([keyOf('old')], { uid, authTokenSealed: sealed }))
  })

  test('does not open once any character of it was changed', async () => {
    const keys = [keyOf('k1')]
    const uid = newId()
    const sealed = await sealSecret(keys, uid, SECRET)
    for (let at = 0; at < sealed.length; at++) {
      // The last character of a base64 part may carry unused bits only; four others always change used ones.
      const before = sealed[at]!
      if (sealed[at + 1] === '.' || at === sealed.length - 1) continue
      const changed = `${sealed.slice(0, at)}${before === 'A' ? 'B' : 'A'}${sealed.slice(at + 1)}`
      await refusal(openSecret(keys, { uid, authTokenSealed: changed }))
    }
    for (const broken of ['', '.', '..', 'k1', 'k1.', 'k1..', `${sealed}.x`, 'k1.%%%.%%%', `k1.${sealed}`])
      await refusal(openSecret(keys, { uid, authTokenSealed: broken }))
  })
})
