import type { components, paths } from './openapi.d.ts'

// The API as openapi.json declares it: paths, bodies and answers are types generated from it, so a change of the
// service that breaks the console does not compile. Cookies carry the session; no script ever sees a token.

export type Schemas = components['schemas']
export type Profile = Schemas['Profile']
export type User = Schemas['User']
export type Chat = Schemas['Chat']
export type Message = Schemas['Message']
export type Model = Schemas['Model']
export type Transaction = Schemas['Transaction']
export type Usage = Schemas['Usage']

type Method = 'get' | 'post' | 'put' | 'patch' | 'delete'
type Operation<Path extends keyof paths, M extends Method> = NonNullable<paths[Path][M & keyof paths[Path]]>
type PathsOf<M extends Method> = {
  [Path in keyof paths]: Operation<Path, M> extends { responses: unknown } ? Path : never
}[keyof paths]

type JsonOf<Answer> = Answer extends { content: { 'application/json': infer Body } } ? Body : never
type Successes<Responses> = Responses[Extract<keyof Responses, 200 | 201 | 202>]
export type AnswerOf<Path extends keyof paths, M extends Method> =
  Operation<Path, M> extends { responses: infer Responses } ? JsonOf<Successes<Responses>> : never

type QueryOf<O> = O extends { parameters: { query?: infer Query } } ? NonNullable<Query> : never
type ParamsOf<O> = O extends { parameters: { path: infer Params } } ? Params : never
type BodyOf<O> = O extends { requestBody?: { content: { 'application/json': infer Body } } } ? Body : never

/** What any request may say. */
export interface Manner {
  /** For what must not be done twice: the same key gets the first outcome. */
  idempotencyKey?: string
  signal?: AbortSignal
}

/** What a request says beside its path. Placeholders of the path come from `params`. */
export interface Asking<O> extends Manner {
  params?: ParamsOf<O>
  query?: QueryOf<O>
  body?: BodyOf<O>
}

/** A refusal by the service, or, with the code `unreachable`, no answer at all. */
export class Refusal extends Error {
  readonly code: string
  readonly status: number
  /** Fields that are wrong, by dotted path. */
  readonly fields: Record<string, string>
  /** Further members of the problem document: `available`, `needed`, `messageUid`… */
  readonly extra: Record<string, unknown>

  constructor(problem: Record<string, unknown> & { code: string; detail: string; status: number }) {
    super(problem.detail)
    this.code = problem.code
    this.status = problem.status
    const errors = (problem.errors ?? []) as { path: string; message: string }[]
    this.fields = Object.fromEntries(errors.map(({ path, message }) => [path, message]))
    this.extra = problem
  }
}

export const unreachable = () =>
  new Refusal({ code: 'unreachable', status: 0, detail: 'The service cannot be reached at the moment.' })

/** Told of every 401 that is not about a password: the session is over. */
let onSignedOut = () => {}
export const whenSignedOut = (then: () => void) => {
  onSignedOut = then
}

/**
 * One request, its answer as JSON (undefined when it has no body).
 * @throws Refusal
 */
export async function call<M extends Method, Path extends PathsOf<M>>(
  method: M,
  path: Path,
  asking: Asking<Operation<Path, M>> = {},
): Promise<AnswerOf<Path, M>> {
  const answer = await ask(method, urlOf(path, asking), asking)
  if (answer.status === 204) return undefined as AnswerOf<Path, M>
  return answer.json()
}

/** The same for a body that is read by hand: a stream, or CSV. @throws Refusal */
export async function ask(
  method: Method,
  url: string,
  { body, idempotencyKey, signal, accept }: Manner & { body?: unknown; accept?: string },
): Promise<Response> {
  const answer = await fetch(url, {
    method: method.toUpperCase(),
    headers: {
      ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
      ...(idempotencyKey === undefined ? {} : { 'Idempotency-Key': idempotencyKey }),
      ...(accept === undefined ? {} : { Accept: accept }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    ...(signal ? { signal } : {}),
  }).catch((error: unknown) => {
    if (signal?.aborted) throw error
    throw unreachable()
  })
  if (answer.ok) return answer
  const problem = await answer.json().catch(() => undefined)
  const refusal = new Refusal(
    problem ?? { code: 'unknown', status: answer.status, detail: 'Something went wrong.' },
  )
  if (refusal.code === 'unauthenticated') onSignedOut()
  throw refusal
}

export function urlOf(path: string, { params, query }: { params?: object; query?: object }): string {
  const named = new Map(Object.entries(params ?? {}))
  const filled = path.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(String(named.get(name))))
  const wanted = Object.entries(query ?? {}).filter(([, value]) => value !== undefined && value !== '')
  const search = new URLSearchParams(wanted.map(([name, value]) => [name, String(value)]))
  return search.size > 0 ? `${filled}?${search}` : filled
}
