/**
 * JSON with holes. A request is drawn before it is known which chats or keys there will be, and it may have to hold
 * what no JavaScript value can say: a member twice, a number that JSON.stringify would mend.
 */

/** What the cast supplies when the request is sent; `foreign…` is another person's, `spare…` may be broken. */
export type Slot =
  | 'chat'
  | 'spareChat'
  | 'foreignChat'
  | 'message'
  | 'foreignMessage'
  | 'transaction'
  | 'foreignTransaction'
  | 'key'
  | 'foreignKey'
  | 'model'
  | 'modelName'
  | 'spareModel'
  | 'user'
  | 'spareUser'
  | 'spareMail'
  | 'sparePassword'
  | 'spareRefresh'
  | 'newMail'
  | 'newPhone'
  | 'newName'
  | 'newPassword'
  | 'upstream'
  | 'cursor'
  | 'nothing'

const TAKE = Symbol('take')
const RAW = Symbol('raw')
const MEMBERS = Symbol('members')

/** `nth` chooses among those that there are. */
export const take = (slot: Slot, nth: number) => ({ [TAKE]: { slot, nth } })
/** Written as it is. */
export const raw = (text: string) => ({ [RAW]: text })
/** An object whose members keep their order and may repeat. */
export const members = (pairs: [string, unknown][]) => ({ [MEMBERS]: pairs })

export type Resolve = (slot: Slot, nth: number) => string

const marked = (value: object, mark: symbol): any => (value as Record<symbol, unknown>)[mark]

/** A value as JSON text, its holes filled. */
export function write(value: unknown, resolve: Resolve): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  if (Array.isArray(value)) return `[${value.map((item) => write(item, resolve)).join(',')}]`
  const taken = marked(value, TAKE)
  if (taken) return JSON.stringify(resolve(taken.slot, taken.nth))
  if (marked(value, RAW) !== undefined) return marked(value, RAW)
  const pairs: [string, unknown][] = marked(value, MEMBERS) ?? Object.entries(value)
  const said = pairs.filter(([, each]) => each !== undefined)
  return `{${said.map(([name, each]) => `${JSON.stringify(name)}:${write(each, resolve)}`).join(',')}}`
}

/** A value of a path, a query or a header. */
export const plain = (value: unknown, resolve: Resolve): string =>
  typeof value === 'string' ? value : write(value, resolve).replace(/^"|"$/g, '')
