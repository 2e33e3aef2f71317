import { randomUUID } from 'node:crypto'
import { type SQL, sql } from 'drizzle-orm'
import { connectPostgres } from '../../../src/ports/postgres.ts'
import type { World } from '../../support/world.ts'

/** Straight to the tables, for what no caller may do. */
export const query = async (w: World, statement: SQL): Promise<Record<string, unknown>[]> =>
  (await connectPostgres('postgres://local:local@localhost/local', w.neon.url).execute(statement)).rows

export interface SignedIn {
  user: { uid: string; mail: string; role: string; phone: string | null; [field: string]: unknown }
  accessToken: string
  refreshToken: string
  expiresIn: number
}

export interface Problem {
  code: string
  detail: string
  errors?: { path: string; message: string }[]
}

export const form = (more: Record<string, unknown> = {}) => ({
  firstName: 'Ada',
  lastName: 'Lovelace',
  mail: `${randomUUID()}@test.example`,
  password: `secret ${randomUUID()}`,
  ...more,
})

/** The claims of a token, unchecked. */
export const claimsOf = (token: string): Record<string, unknown> =>
  JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString())

export const sessionOf = (token: string): string => String(claimsOf(token).sid)

/** Makes the session's last rotation older than it is. */
export const ageRotation = (w: World, sessionUid: string, seconds: number) =>
  query(
    w,
    sql`UPDATE sessions SET rotated_at = rotated_at - ${seconds} * interval '1 second' WHERE uid = ${sessionUid}::uuid`,
  )

/** Runs `work` as if nobody were an administrator but whom it makes. */
export async function withoutAdministrators<Result>(w: World, work: () => Promise<Result>): Promise<Result> {
  const rows = await query(w, sql`UPDATE users SET role = 'USER' WHERE role = 'ADMIN' RETURNING uid`)
  try {
    return await work()
  } finally {
    await query(w, sql`UPDATE users SET role = 'USER' WHERE role = 'ADMIN'`)
    for (const { uid } of rows) await query(w, sql`UPDATE users SET role = 'ADMIN' WHERE uid = ${uid}::uuid`)
  }
}

/** A cookie header out of what an answer set; cleared ones are left out. */
export const cookiesOf = (headers: Headers): Record<string, string> =>
  Object.fromEntries(
    headers
      .getSetCookie()
      .map((line) => line.split(';')[0]!.split('='))
      .filter(([, value]) => value !== '')
      .map(([name, value]) => [name, value]),
  )
