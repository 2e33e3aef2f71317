import { sql } from 'drizzle-orm'
import { describe, expect, test } from 'vitest'
import { Failure } from '../../../src/core/failure.ts'
import { lockOwner, standingOfKey } from '../../../src/features/keys/caller.ts'
import { digestOf, isKey } from '../../../src/features/keys/secret.ts'
import { batch } from '../../../src/ports/postgres.ts'
import { db, keyOf, type Made, w } from './room.ts'

/** What a batch at the door would begin with, and how it ends there. */
async function standingOf(secret: string): Promise<string> {
  const digest = await digestOf(secret)
  try {
    await batch(db, [lockOwner(db, digest), standingOfKey(db, digest)])
    return 'stands'
  } catch (error) {
    if (!(error instanceof Failure)) throw error
    return `${error.code}: ${error.message}`
  }
}

const REFUSED = 'unauthenticated: This API key is not valid, has expired or was revoked.'

describe('at the door', () => {
  test('a key stands until it is revoked', async () => {
    const person = await w.person()
    const [kept, revoked] = [await keyOf(person), await keyOf(person)]
    expect([await standingOf(kept.key), await standingOf(revoked.key)]).toEqual(['stands', 'stands'])
    await person.delete(`/api/key/delete/${revoked.keyUid}`)
    expect([await standingOf(kept.key), await standingOf(revoked.key)]).toEqual(['stands', REFUSED])
  })

  test('a key stands until it expires, and again when that is put off', async () => {
    const person = await w.person()
    const { keyUid, key } = await keyOf(person, { expiresAt: '2999-01-01T00:00:00Z' })
    expect(await standingOf(key)).toBe('stands')
    await db.execute(sql`UPDATE keys SET expires_at = clock_timestamp() WHERE uid = ${keyUid}::uuid`)
    expect(await standingOf(key)).toBe(REFUSED)
    await person.patch(`/api/key/${keyUid}`, { expiresAt: null })
    expect(await standingOf(key)).toBe('stands')
  })

  test('a key stands with its owner: not while blocked, never after closing', async () => {
    const [person, administrator] = [await w.person(), await w.administrator()]
    const { keyUid, key } = await keyOf(person, { name: 'Ada at home' })
    const block = (status: string) => administrator.patch(`/api/user/${person.uid}`, { status })
    await block('BLOCKED')
    expect(await standingOf(key)).toMatch(/^account_blocked/)
    await block('ACTIVE')
    expect(await standingOf(key)).toBe('stands')
    const login = { mail: person.mail, password: person.password }
    const { accessToken } = (
      await w.call<{ accessToken: string }>('POST', '/api/auth/login', { json: login })
    ).body
    await w.call('DELETE', '/api/user/profile', { token: accessToken })
    expect(await standingOf(key)).toBe(REFUSED)
    const { rows } = await db.execute(
      sql`SELECT name, revoked_at IS NOT NULL AS revoked FROM keys WHERE uid = ${keyUid}::uuid`,
    )
    expect(rows).toEqual([{ name: '', revoked: true }])
  })

  test('no key comes after its owner has closed the account', async () => {
    const person = await w.person()
    const answers = await Promise.all([
      ...Array.from({ length: 4 }, () => person.post<Made>('/api/key/create', { name: 'k' })),
      person.delete('/api/user/profile'),
      ...Array.from({ length: 4 }, () => person.post<Made>('/api/key/create', { name: 'k' })),
    ])
    expect(answers.filter(({ status }) => ![201, 204, 401].includes(status))).toEqual([])
    const { rows } = await db.execute(
      sql`SELECT uid FROM keys WHERE user_uid = ${person.uid}::uuid AND revoked_at IS NULL`,
    )
    expect(rows).toEqual([])
  })
})

test('a key is no access token, and an access token no key', async () => {
  const person = await w.person()
  const { key } = await keyOf(person)
  expect(isKey(person.token) || isKey(person.refreshToken)).toBe(false)
  expect([await standingOf(person.token), await standingOf('')]).toEqual([REFUSED, REFUSED])
  for (const path of ['/api/key/all', '/api/user/profile', '/api/chat/all'])
    for (const asking of [
      { token: key },
      { cookie: `access_token=${key}` },
      { cookie: `refresh_token=${key}` },
    ])
      expect(await w.call('GET', path, asking)).toMatchObject({
        status: 401,
        body: { code: 'unauthenticated' },
      })
  const json = { refreshToken: key }
  expect((await w.call('POST', '/api/auth/refresh', { json })).status).toBe(401)
})
