import { connectPostgres } from '../../../src/ports/postgres.ts'
import { type Person, world } from '../../support/world.ts'

export const w = await world()

/** The world's database, past the Worker. */
export const db = connectPostgres('postgres://local:local@localhost/local', w.neon.url)

export interface Key {
  uid: string
  name: string
  hint: string
  budget: number | null
  spent: number
  held: number
  remaining: number | null
  models: string[] | null
  expiresAt: string | null
  lastUsedAt: string | null
  revokedAt: string | null
  status: string
  createdAt: string
}

export interface Problem {
  code: string
  errors?: { path: string }[]
}

export type Made = { keyUid: string; key: string }

/** A new key, whose secret no answer may show from here on. */
export async function keyOf(person: Person, more: Record<string, unknown> = {}): Promise<Made> {
  const { status, body } = await person.post<Made>('/api/key/create', { name: 'A program', ...more })
  if (status !== 201) throw new Error(`${status}: ${JSON.stringify(body)}`)
  w.secrets.add(body.key)
  return body
}

export const keysOf = async (person: Person, query = '') =>
  (await person.get<{ data: Key[]; nextCursor: string | null }>(`/api/key/all${query}`)).body

/** As the person's list shows it. */
export const seen = async (person: Person, keyUid: string) =>
  (await keysOf(person)).data.find(({ uid }) => uid === keyUid)
