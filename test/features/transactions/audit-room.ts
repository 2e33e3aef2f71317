/** A stack of its own, whose books a test makes wrong and right again behind the service's back. */
import { neonConfig } from '@neondatabase/serverless'
import { sql } from 'drizzle-orm'
import { expect } from 'vitest'
import { createScratchDatabase } from '../../../dev/postgres-engine.ts'
import { startStack } from '../../../dev/stack.ts'
import { newId } from '../../../src/core/id.ts'
import type { Audit } from '../../../src/features/transactions/schema.ts'
import { connectPostgres } from '../../../src/ports/postgres.ts'
import { checkAnswer } from '../../support/contract.ts'
import { testVars } from '../../support/stack.ts'

export const ANY = 'postgres://local:local@localhost/local'

/** An answer with its message, its generation and its transaction. */
export interface Answered {
  message: string
  question: string
  generation: string
  transaction: string
  micros: number
}

export async function openAuditRoom() {
  const { TEST_DATABASE_URL } = process.env
  const before = neonConfig.fetchEndpoint
  const scratch = TEST_DATABASE_URL ? await createScratchDatabase(TEST_DATABASE_URL) : undefined
  const stack = await startStack({
    vars: testVars,
    upstream: true,
    ...(scratch ? { databaseUrl: scratch.url } : {}),
  })
  const db = connectPostgres(ANY, stack.neon.url)

  async function call(
    method: string,
    path: string,
    token?: string,
    json?: unknown,
    headers: Record<string, string> = {},
  ): Promise<any> {
    const answer = await fetch(stack.url + path, {
      method,
      headers: {
        ...(token === undefined ? {} : { Authorization: `Bearer ${token}` }),
        ...(json === undefined ? {} : { 'Content-Type': 'application/json' }),
        ...headers,
      },
      ...(json === undefined ? {} : { body: JSON.stringify(json) }),
    })
    const body = await answer.json()
    checkAnswer({ method, path, status: answer.status, headers: answer.headers, body })
    return body
  }

  async function register(role: string): Promise<{ uid: string; token: string }> {
    const { user, accessToken } = await call('POST', '/api/auth/register', undefined, {
      ...{ firstName: 'Test', lastName: 'Person', role },
      ...{ mail: `${newId()}@test.example`, password: 'a long password' },
    })
    return { uid: user.uid, token: accessToken }
  }
  const admin = await register('ADMIN')

  /** With a model of their own: what fails for one cools down for nobody else. */
  async function customer() {
    const { uid, token } = await register('USER')
    await call('POST', '/api/transaction/my/make', token, { amount: 10, type: 'PURCHASE' })
    const { chatUid } = await call('POST', '/api/chat/create', token, {})
    const name = newId()
    const { modelUid } = await call('POST', '/api/model/create', admin.token, {
      ...{ name, description: 'For a test.', token_cost: 1000 },
      ...{ api_link: stack.upstream!.url, type: 'demo-instant' },
    })
    const ask = (message: string, headers = {}) =>
      call('POST', '/api/chat/message', token, { role: 'user', message, chatUid, modelUid }, headers)
    const answered = async (message: string, headers = {}): Promise<Answered> => {
      const { assistantMessage, userMessage } = await ask(message, headers)
      const { rows } = await db.execute<{ generation: string; transaction: string; cost: string }>(sql`
        SELECT g.uid AS generation, t.uid AS transaction, g.cost FROM generations g
        JOIN transactions t ON t.generation_uid = g.uid WHERE g.message_uid = ${assistantMessage.uid}::uuid`)
      const { generation, transaction, cost } = rows[0]!
      return {
        ...{ message: assistantMessage.uid, question: userMessage.uid },
        ...{ generation, transaction, micros: Number(cost) },
      }
    }
    return { uid, token, chatUid, modelUid, model: name, ask, answered }
  }

  const report = (): Promise<Audit> => call('GET', '/api/transaction/audit', admin.token)
  /** In one transaction in which no trigger and no foreign key stands in the way. */
  const run = async (...texts: string[]): Promise<void> => {
    await db.batch([
      db.execute(sql`SET LOCAL session_replication_role = 'replica'`),
      ...texts.map((text) => db.execute(sql.raw(text))),
    ])
  }

  return {
    ...{ stack, db, admin, call, register, customer, report, run },
    /** What the audit names while it is broken; mended, it must name nothing. */
    async named(breaking: string[], mending: string[]): Promise<Audit['differences']> {
      try {
        await run(...breaking)
        const { ok, differences } = await report()
        expect(ok).toBe(differences.length === 0)
        return differences
      } finally {
        await run(...mending)
        expect(await report()).toMatchObject({ ok: true, differences: [], truncated: false })
      }
    },
    async close() {
      await stack.close()
      await scratch?.drop()
      neonConfig.fetchEndpoint = before
    },
  }
}

export type AuditRoom = Awaited<ReturnType<typeof openAuditRoom>>
export type Customer = Awaited<ReturnType<AuditRoom['customer']>>

/** Credits of a count of micro-credits. */
export const credits = (micros: number) => micros / 1_000_000
