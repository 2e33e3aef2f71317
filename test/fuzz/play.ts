/** Sends drafts: fills their holes from the cast, and lets the cast learn from the answers. */
import type { World } from '../support/world.ts'
import type { Cast, Player } from './cast.ts'
import type { Credential, Draft } from './drafts.ts'
import { bodyOf, faultOf, reached } from './judge.ts'
import { plain, write } from './marks.ts'
import { type Answer, type Sent, send } from './wire.ts'

export interface Played {
  draft: Draft
  sent: Sent
  status: number
  fault: string | undefined
}

const USES_SPARE = new Set(['login', 'refresh', 'logout', 'manageUser', 'makeTransaction'])
/** After these, when they were granted, a spare is no longer what it was. */
const USES_UP = new Set(['closeAccount', 'logout', 'manageUser', 'refresh', 'changeProfile'])

/** A feed has said enough with its snapshot, or when it cannot give one. */
const isEnough = (text: string): boolean => /event: \w+\n[\s\S]*\n\n|retry: 5000/.test(text)

function proof(credential: Credential, guard: string, me: Player, origin: string): [string, string][] {
  const own = guard === 'key' ? me.keys[0]!.secret : me.token
  const other = guard === 'key' ? me.token : (me.keys[0]?.secret ?? 'sk-bh-none')
  const bearer = (token: string): [string, string][] => [['Authorization', `Bearer ${token}`]]
  const cookie = `access_token=${me.token}; refresh_token=${me.refreshToken}`
  switch (credential) {
    case 'bearer':
      return bearer(own)
    case 'cut':
      return bearer(own.slice(0, -3))
    case 'refresh token':
      return bearer(me.refreshToken)
    case 'other door':
      return bearer(other)
    case 'expired':
      return bearer(me.expired)
    case 'doubled':
      return [...bearer(own), ...bearer(own)]
    case 'cookie':
      return [
        ['Cookie', cookie],
        ['Origin', origin],
      ]
    case 'cookie of a foreign page':
      return [
        ['Cookie', cookie],
        ['Origin', 'https://evil.example'],
      ]
    case 'none':
      return []
  }
}

/** Sends them all at once; answers are learned from in their order. */
export async function play(w: World, cast: Cast, drafts: Draft[]): Promise<Played[]> {
  const rounds = await Promise.all(
    drafts.map(async (draft) => {
      const person = cast.people[draft.seat % cast.people.length]!
      const usesModel = ['updateModel', 'deleteModel'].includes(draft.operation.id)
      const usesSpare = draft.actor === 'spare' || USES_SPARE.has(draft.operation.id)
      const spare = usesSpare ? await cast.borrow() : undefined
      const model = usesModel ? cast.borrowModel() : undefined
      const me =
        draft.actor === 'spare' ? spare! : draft.actor === 'administrator' ? cast.administrator : person
      const sent = toSend(draft, me, cast.resolver(me, spare, model), w.url)
      const answer = await send(w.url, sent, isFeed(sent) ? isEnough : () => false).catch(
        (error: Error) => error.message,
      )
      return { draft, sent, answer, me, spare, model }
    }),
  )
  return rounds.map(({ draft, sent, answer, me, spare, model }) => {
    if (typeof answer === 'string') return { draft, sent, status: 0, fault: `no answer: ${answer}` }
    const isGranted = answer.status < 300
    const { operationId = '' } = reached(sent)
    if (spare && !(isGranted && USES_UP.has(operationId))) cast.giveBack(spare)
    if (model && !(isGranted && operationId === 'deleteModel')) cast.giveBackModel(model)
    const fault = faultOf(draft, sent, answer)
    if (isGranted && !fault) cast.learn(operationId, me, bodyOf(answer), given(sent))
    return { draft, sent, status: answer.status, fault: fault && `${fault}\n${shown(answer)}` }
  })
}

const isFeed = ({ method, path }: Sent): boolean => method === 'GET' && /sse|feed/.test(path)
const shown = ({ status, text }: Answer): string => `${status} ${text.slice(0, 600)}`

function given({ body }: Sent): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(body))
  } catch {
    return undefined
  }
}

function toSend(draft: Draft, me: Player, resolve: Parameters<typeof write>[1], origin: string): Sent {
  const { operation, method, path, encoded, query, headers, contentType, mangle } = draft
  const text = (value: unknown) => plain(value, resolve)
  const part = (value: unknown) => encodeURIComponent(text(value).toWellFormed())
  const address = operation.path.replace(/\{(\w+)\}/g, (_, name) =>
    encoded ? text(path[name]) : part(path[name]),
  )
  const search = query
    .map(([name, value]) => `${encodeURI(name).replace(/[#&]/g, '')}=${part(value)}`)
    .join('&')
  const written = draft.body === undefined ? undefined : write(draft.body, resolve)
  const body = written === undefined ? undefined : mangle ? mangle(written) : written
  return {
    method,
    path: `${address}${search === '' ? '' : `?${search}`}`,
    headers: [
      ...proof(draft.credential, operation.guard, me, origin),
      ...(contentType === undefined || body === undefined
        ? []
        : [['Content-Type', contentType] as [string, string]]),
      ...headers.map(([name, value]): [string, string] => [name, text(value)]),
    ],
    ...(body === undefined ? {} : { body: typeof body === 'string' ? Buffer.from(body) : body }),
  }
}
