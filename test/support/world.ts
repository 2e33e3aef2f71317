/**
 * The service as its callers see it. Every answer that comes through `call` is held against openapi.json and
 * searched for secrets, so no test has to think of it.
 */
import { randomUUID } from 'node:crypto'
import type { NeonBridge } from '../../dev/neon.ts'
import type { LocalWorker } from '../../dev/stack.ts'
import type { UpstashBridge } from '../../dev/upstash.ts'
import type { DemoUpstream } from '../../dev/upstream.ts'
import { checkAnswer } from './contract.ts'
import { stack } from './stack.ts'

/** `Body` is the test's word for what it goes on to read; the declared schema has been checked before. */
export interface Reply<Body = unknown> {
  status: number
  headers: Headers
  /** Parsed when it is JSON, else text. */
  body: Body
}

export interface Asking {
  token?: string
  /** Sent as JSON. */
  json?: unknown
  /** Sent as it is. */
  body?: string | Uint8Array<ArrayBuffer>
  headers?: Record<string, string>
  /** A whole Cookie header. */
  cookie?: string
}

export interface Person {
  uid: string
  token: string
  refreshToken: string
  mail: string
  password: string
  get<Body = unknown>(path: string, headers?: Record<string, string>): Promise<Reply<Body>>
  post<Body = unknown>(path: string, json?: unknown, headers?: Record<string, string>): Promise<Reply<Body>>
  patch<Body = unknown>(path: string, json?: unknown, headers?: Record<string, string>): Promise<Reply<Body>>
  put<Body = unknown>(path: string, json?: unknown, headers?: Record<string, string>): Promise<Reply<Body>>
  delete<Body = unknown>(path: string, headers?: Record<string, string>): Promise<Reply<Body>>
}

export interface World {
  url: string
  neon: NeonBridge
  upstash: UpstashBridge
  upstream: DemoUpstream
  worker: LocalWorker
  /** `path` is whole, with its query: `/api/chat/all?limit=2`. @throws Error when the answer breaks the contract */
  call<Body = unknown>(method: string, path: string, asking?: Asking): Promise<Reply<Body>>
  person(): Promise<Person>
  administrator(): Promise<Person>
  /** A person who bought that many credits. */
  richPerson(credits: number): Promise<Person>
  /** A model at the demo upstream (1,000 tokens a credit), or as `overrides` say. */
  model(overrides?: Record<string, unknown>): Promise<{ modelUid: string; name: string }>
  /** What the Worker wrote to its outputs. */
  logs(): string[]
  /** Texts that may appear in no answer: passwords and upstream keys that were sent, and what a test adds. */
  secrets: Set<string>
}

const worlds = new Map<string, Promise<World>>()

/** A world whose Worker is configured by `vars` over the tests' defaults; the same vars give the same Worker. */
export function world(vars: Record<string, string> = {}): Promise<World> {
  const name = JSON.stringify(Object.entries(vars).sort())
  const known = worlds.get(name)
  if (known) return known
  const made = makeWorld(vars)
  worlds.set(name, made)
  return made
}

async function makeWorld(vars: Record<string, string>): Promise<World> {
  const shared = await stack()
  const worker = Object.keys(vars).length === 0 ? shared : await shared.addWorker(vars)
  const { upstream } = shared
  if (!upstream) throw new Error('the tests need the demo upstream')
  const secrets = new Set<string>(Object.values(shared.secrets))
  let administrator: { person: Promise<Person>; until: number } | undefined

  async function call<Body>(method: string, path: string, asking: Asking = {}): Promise<Reply<Body>> {
    const { token, json, body, cookie } = asking
    if (json !== undefined) remember(json, secrets)
    const answer = await fetch(worker.url + path, {
      method,
      redirect: 'manual',
      headers: {
        ...(json === undefined ? {} : { 'Content-Type': 'application/json' }),
        ...(token === undefined ? {} : { Authorization: `Bearer ${token}` }),
        ...(cookie === undefined ? {} : { Cookie: cookie }),
        ...asking.headers,
      },
      ...(json === undefined ? {} : { body: JSON.stringify(json) }),
      ...(body === undefined ? {} : { body }),
    })
    const text = await answer.text()
    // A file such as openapi.json may hold the very example that a test sends.
    for (const secret of /^\/(api|v1)\//.test(path) ? secrets : [])
      if (text.includes(secret))
        throw new Error(`${method} ${path} answered ${answer.status} with a secret in it`)
    const isJson = /[/+]json/.test(answer.headers.get('content-type') ?? '') && text !== ''
    const seen = { status: answer.status, headers: answer.headers, body: isJson ? JSON.parse(text) : text }
    checkAnswer({ method, path, ...seen })
    return seen
  }

  /** A call that only prepares a test. */
  async function must<Body>(method: string, path: string, asking: Asking): Promise<Body> {
    const { status, body } = await call<Body>(method, path, asking)
    if (status >= 300) throw new Error(`${method} ${path} answered ${status}: ${JSON.stringify(body)}`)
    return body
  }

  async function register(role: 'USER' | 'ADMIN'): Promise<Person> {
    const mail = `${randomUUID()}@test.example`
    const password = `password ${randomUUID()}`
    const { user, accessToken, refreshToken } = await must<{
      user: { uid: string }
      accessToken: string
      refreshToken: string
    }>('POST', '/api/auth/register', {
      json: { firstName: 'Test', lastName: 'Person', mail, password, role },
    })
    const token = accessToken
    const bare =
      (method: string) =>
      (path: string, headers: Record<string, string> = {}) =>
        call(method, path, { token, headers })
    const full =
      (method: string) =>
      (path: string, json: unknown = {}, headers: Record<string, string> = {}) =>
        call(method, path, { token, json, headers })
    return {
      ...{ uid: user.uid, token, refreshToken, mail, password },
      ...{ get: bare('GET'), delete: bare('DELETE') },
      ...{ post: full('POST'), patch: full('PATCH'), put: full('PUT') },
    } as Person
  }

  return {
    url: worker.url,
    neon: worker.neon,
    upstash: worker.upstash,
    upstream,
    worker,
    call,
    person: () => register('USER'),
    administrator: () => register('ADMIN'),
    async richPerson(credits) {
      const person = await register('USER')
      const json = { amount: credits, type: 'PURCHASE', description: 'for a test' }
      await must('POST', '/api/transaction/my/make', { token: person.token, json })
      return person
    },
    async model(overrides = {}) {
      // A token lasts 15 minutes, a run on a busy machine longer.
      if (!administrator || Date.now() > administrator.until)
        administrator = { person: register('ADMIN'), until: Date.now() + 10 * 60_000 }
      const json = {
        name: `model-${randomUUID()}`,
        description: 'For a test.',
        token_cost: 1000,
        api_link: upstream.url,
        type: 'demo-instant',
        ...overrides,
      }
      const { token } = await administrator.person
      const { modelUid } = await must<{ modelUid: string }>('POST', '/api/model/create', { token, json })
      return { modelUid, name: json.name }
    },
    logs: worker.logs,
    secrets,
  }
}

/** Long ones only: a short password may stand in an answer by chance. */
function remember(json: unknown, secrets: Set<string>): void {
  if (typeof json !== 'object' || json === null) return
  for (const [key, value] of Object.entries(json))
    if (/password|auth_token/i.test(key) && typeof value === 'string' && value.length >= 12)
      secrets.add(value)
}
