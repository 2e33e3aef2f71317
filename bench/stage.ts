/**
 * What is measured, ready: the local stack with everything on, an upstream in a process of its own, and beside them
 * what a user would pick instead, a Worker that only passes a request on to the same upstream.
 */
import { randomUUID } from 'node:crypto'
import { createScratchDatabase } from '../dev/postgres-engine.ts'
import { type LocalWorker, type Stack, startStack } from '../dev/stack.ts'
import { type Bare, PASS_THROUGH, type Served, startBare } from './bare.ts'
import { startUpstream } from './upstream.ts'

export interface Person {
  token: string
  /** An API key of theirs. */
  key: string
}

export interface Stage {
  /** Which Postgres answers. */
  postgres: 'PGlite' | 'PostgreSQL'
  stack: Stack
  ours: Served
  bare: Bare
  modelUid: string
  /** The model's name here, and as the upstream knows it. */
  model: string
  upstreamModel: string
  /** Another of our Workers, on the same data, behind bridges of its own. */
  another(): Promise<Omit<LocalWorker, 'pid'> & Served>
  /** New people with credits. */
  people(count: number): Promise<Person[]>
  /** Empty chats: an answer in a chat with a past has more to read. */
  chats(person: Person, count: number): Promise<string[]>
  /** Asks our API. @throws Error when it refuses */
  call<Body>(method: string, path: string, token?: string, json?: unknown): Promise<Body>
  close(): Promise<void>
}

/** On, but never reached. */
const PLENTY = '1000000'

const vars = {
  ADMIN_REGISTRATION: 'open',
  SELF_TOP_UP: 'on',
  PRIVATE_UPSTREAMS: 'on',
  SENDS_PER_MINUTE: PLENTY,
  RUNNING_PER_USER: PLENTY,
  AUTH_PER_MINUTE: PLENTY,
  // Signing up is not what is measured.
  PASSWORD_COST: '64',
}

/** @param isReal on the servers of TEST_DATABASE_URL and TEST_REDIS_URL, in place of the embedded ones */
export async function startStage(isReal: boolean): Promise<Stage> {
  const { TEST_DATABASE_URL, TEST_REDIS_URL } = isReal ? process.env : {}
  const scratch = TEST_DATABASE_URL ? await createScratchDatabase(TEST_DATABASE_URL) : undefined
  const upstream = await startUpstream()
  const stack = await startStack({
    ...(scratch ? { databaseUrl: scratch.url } : {}),
    ...(TEST_REDIS_URL
      ? { redisUrl: TEST_REDIS_URL, redisPrefix: `bench:${randomUUID().slice(0, 8)}:` }
      : {}),
    vars,
  })
  const bare = await startBare(PASS_THROUGH, { UPSTREAM: `${upstream.url}/chat/completions` })

  async function call<Body>(method: string, path: string, token?: string, json?: unknown): Promise<Body> {
    const answer = await fetch(stack.url + path, {
      method,
      headers: {
        ...(token === undefined ? {} : { Authorization: `Bearer ${token}` }),
        ...(json === undefined ? {} : { 'Content-Type': 'application/json' }),
      },
      ...(json === undefined ? {} : { body: JSON.stringify(json) }),
    })
    const text = await answer.text()
    if (!answer.ok) throw new Error(`${method} ${path} answered ${answer.status}: ${text}`)
    return JSON.parse(text) as Body
  }
  const register = async (role: 'USER' | 'ADMIN') => {
    const who = { firstName: 'Bench', lastName: 'Person', role }
    const mail = `${randomUUID()}@bench.example`
    const json = { ...who, mail, password: randomUUID() }
    return (await call<{ accessToken: string }>('POST', '/api/auth/register', undefined, json)).accessToken
  }
  const model = 'bench'
  const upstreamModel = 'demo-instant'
  const { modelUid } = await call<{ modelUid: string }>(
    'POST',
    '/api/model/create',
    await register('ADMIN'),
    {
      ...{ name: model, type: upstreamModel, description: 'Measured.', token_cost: 1_000 },
      ...{ api_link: upstream.url, auth_token: 'any-upstream-key', context_tokens: 1_000_000 },
    },
  )

  return {
    ...{ postgres: scratch ? 'PostgreSQL' : 'PGlite', stack, bare, modelUid, model, upstreamModel, call },
    ours: { url: stack.url, pid: pidOf(stack) },
    async another() {
      const worker = await stack.addWorker()
      return { ...worker, pid: pidOf(worker) }
    },
    async people(count) {
      const people: Person[] = []
      while (people.length < count) {
        const token = await register('USER')
        const credits = { amount: 1_000_000, type: 'PURCHASE', description: 'For a measurement.' }
        await call('POST', '/api/transaction/my/make', token, credits)
        const { key } = await call<{ key: string }>('POST', '/api/key/create', token, { name: 'Bench' })
        people.push({ token, key })
      }
      return people
    },
    async chats({ token }, count) {
      const uids: string[] = []
      while (uids.length < count)
        uids.push((await call<{ chatUid: string }>('POST', '/api/chat/create', token, {})).chatUid)
      return uids
    },
    async close() {
      await Promise.allSettled([stack.close(), bare.close(), upstream.close()])
      await scratch?.drop()
    },
  }
}

function pidOf(worker: LocalWorker): number {
  const pid = worker.pid()
  if (pid === undefined) throw new Error('workerd was not found among the processes: this needs Linux')
  return pid
}
