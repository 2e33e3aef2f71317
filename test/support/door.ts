/** The OpenAI-compatible door as a program sees it: a key, and the official client, unmodified. */
import { request } from 'node:http'
import OpenAI, { type ClientOptions } from 'openai'
import type { Person, World } from './world.ts'

export interface Program {
  owner: Person
  keyUid: string
  key: string
  client: OpenAI
}

/** A program of somebody with so many credits (or of `owner`). `limits` are those of its key. */
export async function program(
  at: World,
  {
    credits = 1000,
    owner,
    limits = {},
    client = {},
  }: {
    credits?: number
    owner?: Person
    limits?: Record<string, unknown>
    client?: ClientOptions
  } = {},
): Promise<Program> {
  const person = owner ?? (await at.richPerson(credits))
  const { status, body } = await person.post<{ keyUid: string; key: string }>('/api/key/create', {
    name: 'a program',
    ...limits,
  })
  if (status !== 201) throw new Error(`no key: ${JSON.stringify(body)}`)
  const { keyUid, key } = body
  at.secrets.add(key)
  return { owner: person, keyUid, key, client: openai(at, key, client) }
}

export const openai = (at: World, key: string, options: ClientOptions = {}): OpenAI =>
  new OpenAI({ baseURL: `${at.url}/v1`, apiKey: key, maxRetries: 0, ...options })

/**
 * One call on a connection of its own: hundreds at once leave hundreds of connections behind, which the Worker closes
 * after a while, perhaps just when `fetch` takes one up again.
 */
export const callApart = <Body>(
  at: World,
  key: string,
  json: unknown,
): Promise<{ status: number; body: Body }> =>
  new Promise((done, fail) => {
    const asked = request(
      `${at.url}/v1/chat/completions`,
      {
        ...{ method: 'POST', agent: false },
        headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      },
      async (answer) => {
        const parts: Buffer[] = []
        for await (const part of answer) parts.push(part)
        done({ status: answer.statusCode ?? 0, body: JSON.parse(Buffer.concat(parts).toString()) })
      },
    )
    asked.on('error', fail)
    asked.end(JSON.stringify(json))
  })
