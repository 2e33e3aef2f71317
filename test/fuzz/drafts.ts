/** A request that fits the document, before its holes are filled. The near and the hostile ones begin as one. */
import fc from 'fast-check'
import type { Operation, Parameter } from './document.ts'
import { type Slot, take } from './marks.ts'
import { among, chance, type Draw, fitting, nth } from './values.ts'

export type Kind = 'valid' | 'near' | 'hostile'

/** How the caller says who they are. */
export type Credential =
  | 'bearer'
  | 'cookie'
  | 'none'
  | 'cut'
  | 'refresh token'
  | 'other door'
  | 'expired'
  | 'cookie of a foreign page'
  | 'doubled'

export interface Draft {
  operation: Operation
  kind: Kind
  /** What is wrong with it. */
  twist: string
  /** Statuses of which one must answer it; none: whatever the document declares. */
  expected: number[]
  /** The field that must be named among `errors`. */
  blamed?: string
  actor: 'person' | 'administrator' | 'spare' | 'nobody'
  /** Which of the people. */
  seat: number
  credential: Credential
  method: string
  /** Of the path's parameters: a value, or with `encoded` set as it stands. */
  path: Record<string, unknown>
  encoded: boolean
  query: [string, unknown][]
  headers: [string, unknown][]
  /** Absent: no body. */
  body?: unknown
  contentType: string | undefined
  /** Does harm to the body's text. */
  mangle?: (text: string) => string | Uint8Array
}

/** What the names of fields mean. */
const MEANT: Record<string, Slot> = {
  chatUid: 'chat',
  messageUid: 'message',
  transactionUid: 'transaction',
  keyUid: 'key',
  modelUid: 'model',
  models: 'model',
  userUid: 'spareUser',
  mail: 'newMail',
  phone: 'newPhone',
  password: 'newPassword',
  newPassword: 'newPassword',
  currentPassword: 'sparePassword',
  refreshToken: 'spareRefresh',
  api_link: 'upstream',
  auth_token: 'newPassword',
  cursor: 'cursor',
}
/** And in some operations. */
const MEANT_IN: Record<string, Record<string, Slot>> = {
  login: { mail: 'spareMail', password: 'sparePassword' },
  deleteChat: { chatUid: 'spareChat' },
  createModel: { name: 'newName' },
  updateModel: { name: 'newName', uid: 'spareModel' },
  deleteModel: { modelUid: 'spareModel' },
  createChatCompletion: { model: 'modelName' },
  getOpenAIModel: { id: 'modelName' },
}

/** They end the session, the account or the secret of whoever calls. */
const BY_SPARES = new Set(['closeAccount', 'changePassword', 'changeProfile', 'logout'])

export const meaning = (operation: Operation, name: string): Slot | undefined =>
  MEANT_IN[operation.id]?.[name] ?? MEANT[name]

const DAY_MS = 86_400_000
const MOMENTS = fc.integer({ min: 0, max: 300 })

/** What the schemas cannot say, and the descriptions do. */
function mend(draw: Draw, { id }: Operation, body: Record<string, unknown>): void {
  if (id === 'login') {
    delete body.phone
    body.mail = take('spareMail', 0)
  }
  if (id === 'refresh') body.refreshToken = take('spareRefresh', 0)
  if (id === 'sendMessage' && body.role === 'user') body.modelUid = take('model', nth(draw))
  if (id === 'makeTransaction')
    body.amount =
      Math.abs(Number(body.amount)) * (body.type === 'ADJUSTMENT' && chance(draw, 2) ? -1 : 1) || 1
  if (id === 'createModel' || id === 'updateModel') {
    if (body.input_price == null || body.output_price == null)
      for (const name of ['input_price', 'output_price', 'cached_input_price']) delete body[name]
    if (id === 'updateModel' && !('auth_token' in body)) delete body.api_link
    if (id === 'updateModel' || Number(body.max_output_tokens) >= Number(body.context_tokens ?? 16_384)) {
      delete body.max_output_tokens
      delete body.context_tokens
    }
  }
  if (id === 'createChatCompletion')
    body.messages = [
      ...(chance(draw, 3) ? [{ role: 'system', content: 'Be brief.' }] : []),
      { role: 'user', content: fitting(draw, { type: 'string', minLength: 1 }, () => undefined) },
    ]
}

function queryValue(draw: Draw, operation: Operation, { name, schema }: Parameter): unknown {
  if (name === 'from' || name === 'to') {
    const ago = name === 'from' ? 30 + draw(MOMENTS) : draw(MOMENTS) % 30
    const text = new Date(Date.now() - ago * DAY_MS).toISOString()
    return chance(draw, 2) ? text : text.slice(0, 10)
  }
  const slot = meaning(operation, name)
  return slot ? take(slot, nth(draw)) : fitting(draw, schema, () => undefined)
}

/** A draft that fits. */
export function draft(draw: Draw, operation: Operation): Draft {
  const { id, guard, method, parameters, body: schema } = operation
  const inside = (place: Parameter['in']) => parameters.filter((each) => each.in === place)
  const asAdministrator = guard === 'administrator' || (id === 'readUsage' && chance(draw, 3))
  const query = inside('query')
    .filter(({ name }) => name !== 'ticket' && (asAdministrator || !['scope', 'userUid'].includes(name)))
    .filter(() => chance(draw, 3))
    .map((each): [string, unknown] => [each.name, queryValue(draw, operation, each)])
  const isTwice = query.some(([name]) => name === 'scope')
  const made: Draft = {
    operation,
    kind: 'valid',
    twist: '',
    expected: [],
    actor: guard === 'anyone' ? 'nobody' : asAdministrator ? 'administrator' : 'person',
    seat: nth(draw),
    credential: guard === 'anyone' ? 'none' : 'bearer',
    method,
    path: Object.fromEntries(
      inside('path').map(({ name }) => [name, take(meaning(operation, name) ?? 'nothing', nth(draw))]),
    ),
    encoded: false,
    query: query.filter(([name]) => !(isTwice && name === 'userUid')),
    headers: inside('header')
      .filter(() => chance(draw, 2))
      .map(({ name, schema: each }) => [name, fitting(draw, each, () => undefined)]),
    contentType: undefined,
  }
  if (BY_SPARES.has(id)) made.actor = 'spare'
  if (guard !== 'anyone' && guard !== 'key' && chance(draw, 6)) made.credential = 'cookie'
  if (operation.statuses.includes(200) && chance(draw, 3))
    made.headers.push(['Accept', among(draw, ['text/csv', 'text/event-stream', '*/*', 'application/json'])])
  if (!schema) return made
  const body = fitting(draw, schema, (name) => {
    const slot = meaning(operation, name)
    if (!slot || (name === 'phone' && id === 'login')) return undefined
    const taken = take(slot, nth(draw))
    return name === 'models' ? [taken] : taken
  }) as Record<string, unknown>
  mend(draw, operation, body)
  made.body = body
  made.contentType = among(draw, ['application/json', 'application/json; charset=utf-8', 'Application/JSON'])
  return made
}
