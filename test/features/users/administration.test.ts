import { randomUUID } from 'node:crypto'
import { sql } from 'drizzle-orm'
import { describe, expect, test } from 'vitest'
import { newId } from '../../../src/core/id.ts'
import { atOnce, tally } from '../../support/races.ts'
import { world } from '../../support/world.ts'
import { form, type Problem, query, type SignedIn, withoutAdministrators } from '../auth/records.ts'

const w = await world()
interface User {
  uid: string
  firstName: string
  role: string
  status: string
}
interface Page {
  data: User[]
  nextCursor: string | null
}
const manage = (token: string, uid: string, json: unknown) =>
  w.call<User & Problem>('PATCH', `/api/user/${uid}`, { token, json })

describe('the list of everybody', () => {
  test('runs newest first through all pages without gap or repeat', async () => {
    const [chief, mark] = [await w.administrator(), `m${randomUUID().slice(0, 8)}`]
    for (let n = 0; n < 7; n++)
      await w.call('POST', '/api/auth/register', { json: form({ lastName: `${mark} ${n}` }) })
    const seen: string[] = []
    let cursor: string | null = ''
    while (cursor !== null) {
      const page: { body: Page } = await chief.get<Page>(
        `/api/user/all?search=${mark}&limit=3${cursor && `&cursor=${cursor}`}`,
      )
      seen.push(...page.body.data.map((user) => user.uid))
      cursor = page.body.nextCursor
    }
    expect(seen).toEqual([...new Set(seen)].sort().reverse())
    expect(seen).toHaveLength(7)
  })

  test('finds by a part of the name or the mail, in any case, and takes signs as they are', async () => {
    const [chief, mark] = [await w.administrator(), randomUUID().slice(0, 8)]
    const { body } = await w.call<SignedIn>('POST', '/api/auth/register', {
      json: form({ firstName: 'Ève_100%', lastName: `x\\${mark}`, mail: `find.${mark}@test.example` }),
    })
    const found = async (search: string) => {
      const page = await chief.get<Page>(`/api/user/all?search=${encodeURIComponent(search)}`)
      return page.body.data.some(({ uid }) => uid === body.user.uid)
    }
    for (const search of [`FIND.${mark}`, `ève_100% X\\${mark}`, `\\${mark}`, '_100%'])
      expect([search, await found(search)]).toEqual([search, true])
    for (const search of [`find%${mark}`, `find_${mark}`, `ève 100% x`, "' OR true --"])
      expect([search, await found(search)]).toEqual([search, false])
  })

  test('holds no hash, and is for administrators by the word of the database', async () => {
    const [chief, person] = [await w.administrator(), await w.person()]
    expect(JSON.stringify((await chief.get('/api/user/all')).body)).not.toMatch(/argon2|hash|password/i)
    expect((await person.get<Problem>('/api/user/all')).body.code).toBe('forbidden')
    await manage(chief.token, person.uid, { role: 'ADMIN' })
    expect((await person.get('/api/user/all')).status).toBe(200)
    await manage(chief.token, person.uid, { role: 'USER' })
    expect((await person.get<Problem>('/api/user/all')).body.code).toBe('forbidden')
    expect((await manage(person.token, chief.uid, { status: 'BLOCKED' })).body.code).toBe('forbidden')
  })
})

describe('blocking', () => {
  test('is seen at once by an old token, a refresh and a login; unblocking asks for a new login', async () => {
    const [chief, person] = [await w.administrator(), await w.person()]
    const blocked = await manage(chief.token, person.uid, { status: 'BLOCKED' })
    expect([blocked.status, blocked.body.status]).toEqual([200, 'BLOCKED'])
    expect((await person.get<Problem>('/api/user/profile')).body.code).toBe('account_blocked')
    const { refreshToken, mail, password } = person
    const refresh = () => w.call('POST', '/api/auth/refresh', { json: { refreshToken } })
    const login = () => w.call<SignedIn & Problem>('POST', '/api/auth/login', { json: { mail, password } })
    expect((await refresh()).status).toBe(401)
    expect((await login()).body.code).toBe('account_blocked')
    await manage(chief.token, person.uid, { status: 'ACTIVE' })
    expect((await person.get('/api/user/profile')).status).toBe(401)
    expect((await refresh()).status).toBe(401)
    expect((await login()).status).toBe(200)
  })

  test('asks running answers to stop, of that person alone', async () => {
    const [chief, person, other] = [await w.administrator(), await w.person(), await w.person()]
    const { modelUid } = await w.model()
    const run = async (userUid: string) => {
      const uid = newId()
      await query(
        w,
        sql`INSERT INTO generations (uid, user_uid, door, model_uid, model_name, status, input_rate, cached_input_rate, output_rate,
          rate_per, prompt_estimate, allowed_tokens, hold, lease_until, created_at)
        VALUES (${uid}::uuid, ${userUid}::uuid, 'gateway', ${modelUid}::uuid, 'm', 'RUNNING', 1, 1, 1, 1, 1, 1, 0, now() + interval '1 hour', now())`,
      )
      return uid
    }
    const [own, foreign] = [await run(person.uid), await run(other.uid)]
    try {
      await manage(chief.token, person.uid, { role: 'USER', status: 'BLOCKED' })
      const rows = await query(
        w,
        sql`SELECT uid, stop_requested_at IS NOT NULL AS asked FROM generations WHERE uid IN (${own}::uuid, ${foreign}::uuid) ORDER BY uid`,
      )
      expect(rows).toEqual([
        { uid: own, asked: true },
        { uid: foreign, asked: false },
      ])
    } finally {
      await query(w, sql`DELETE FROM generations WHERE uid IN (${own}::uuid, ${foreign}::uuid)`)
    }
  })
})

describe('changing somebody', () => {
  test.each([{}, { status: 'DELETED' }, { role: 'OWNER' }, { mail: 'a@x.io' }])(
    'refuses %j',
    async (json) => {
      const [chief, person] = [await w.administrator(), await w.person()]
      expect((await manage(chief.token, person.uid, json)).body.code).toBe('invalid_request')
    },
  )

  test('who is not there, or no longer, is 404', async () => {
    const [chief, gone] = [await w.administrator(), await w.person()]
    await gone.delete('/api/user/profile')
    for (const uid of [newId(), gone.uid]) {
      const { status, body } = await manage(chief.token, uid, { status: 'ACTIVE' })
      expect([status, body.code]).toEqual([404, 'user_not_found'])
    }
    expect((await manage(chief.token, 'me', { status: 'ACTIVE' })).status).toBe(422)
  })

  test('the last administrator stays one; a blocked one does not count', async () => {
    await withoutAdministrators(w, async () => {
      const [chief, second] = [await w.administrator(), await w.administrator()]
      expect((await manage(chief.token, second.uid, { status: 'BLOCKED' })).status).toBe(200)
      for (const json of [{ role: 'USER' }, { status: 'BLOCKED' }, { role: 'USER', status: 'BLOCKED' }])
        expect((await manage(chief.token, chief.uid, json)).body.code).toBe('last_administrator')
      expect((await manage(chief.token, chief.uid, { role: 'ADMIN', status: 'ACTIVE' })).status).toBe(200)
      expect((await manage(chief.token, second.uid, { role: 'USER' })).status).toBe(200)
    })
  })

  test('of administrators who all step down, or block each other, at once, one is left', async () => {
    const left = async () => {
      const rows = await query(w, sql`SELECT uid FROM users WHERE role = 'ADMIN' AND status = 'ACTIVE'`)
      return rows.length
    }
    for (let round = 0; round < 5; round++)
      await withoutAdministrators(w, async () => {
        const all = await atOnce(4, () => w.administrator())
        const answers = await Promise.all(all.map(({ token, uid }) => manage(token, uid, { role: 'USER' })))
        expect([tally(answers.map(({ status }) => status)), await left()]).toEqual([{ 200: 3, 409: 1 }, 1])
      })
    await withoutAdministrators(w, async () => {
      const all = await atOnce(4, () => w.administrator())
      await atOnce(8, (n) =>
        manage(all[n % 4]!.token, all[(n + 1) % 4]!.uid, n < 4 ? { role: 'USER' } : { status: 'BLOCKED' }),
      )
      expect(await left()).toBeGreaterThan(0)
    })
  })
})
