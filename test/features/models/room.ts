import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { connectPostgres } from '../../../src/ports/postgres.ts'
import { type World, world } from '../../support/world.ts'

export interface Answer {
  status: number
  body: Record<string, unknown>
}

export type Send = (
  method: string,
  path: string,
  json?: unknown,
  headers?: Record<string, string>,
) => Promise<Answer>

/** Whoever has this token, at this world; nobody without one. */
export const sender =
  (at: World, token?: string): Send =>
  async (method, path, json, headers) => {
    const asking = {
      ...(token && { token }),
      ...(json !== undefined && { json }),
      ...(headers && { headers }),
    }
    const { status, body } = await at.call<Record<string, unknown>>(method, path, asking)
    return { status, body }
  }

export async function someone(role: 'USER' | 'ADMIN', at?: World) {
  const place = at ?? (await world())
  const person = await (role === 'ADMIN' ? place.administrator() : place.person())
  return { uid: person.uid, token: person.token, send: sender(place, person.token) }
}

let serial = 0

/** What a new model needs, under a name of its own. */
export const draft = (more: Record<string, unknown> = {}) => ({
  name: `drafted-${++serial}`,
  description: 'A model.',
  token_cost: 1000,
  api_link: 'https://api.example.com/v1',
  ...more,
})

export async function makeWith(send: Send, more: Record<string, unknown> = {}): Promise<string> {
  const { status, body } = await send('POST', '/api/model/create', draft(more))
  if (status !== 201) throw new Error(`${status}: ${JSON.stringify(body)}`)
  return body.modelUid as string
}

/** The fields that a refusal names. */
export const wrongFields = ({ body }: Answer) => (body.errors as { path: string }[]).map(({ path }) => path)

/** The world's database, past the Worker. */
export const databaseOf = (at: World) =>
  connectPostgres('postgres://local:local@localhost/local', at.neon.url)

/** An upstream that answers every request in one way and keeps what it was sent. */
export async function cannedUpstream(status: number, body: unknown, headers: Record<string, string> = {}) {
  const seen: { path: string; authorization: string | undefined }[] = []
  const server = createServer((request, response) => {
    seen.push({ path: request.url ?? '', authorization: request.headers.authorization })
    response.writeHead(status, { 'content-type': 'application/json', ...headers })
    response.end(JSON.stringify(typeof body === 'function' ? body(request.headers) : body))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    seen,
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
