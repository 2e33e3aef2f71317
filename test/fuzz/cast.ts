/**
 * Who plays, and what they have so far. Ids, keys and tokens of earlier answers go into later requests, so that valid
 * ones really hit. What a request may break (a session, an account, a model) is a spare one, lent to it alone.
 */
import { createHmac, randomUUID } from 'node:crypto'
import { stack } from '../support/stack.ts'
import type { Person, World } from '../support/world.ts'
import type { Resolve, Slot } from './marks.ts'

/** Begins every secret that goes in: where it comes out again, something leaks. */
export const PLANTED = 'PLANTED-'
type Known = Pick<Person, 'uid' | 'token' | 'refreshToken' | 'mail' | 'password'>
const KEPT = 200

export interface Player {
  uid: string
  token: string
  refreshToken: string
  mail: string
  password: string
  expired: string
  chats: string[]
  messages: string[]
  transactions: string[]
  keys: { uid: string; secret: string }[]
  cursors: string[]
}

export interface Cast {
  people: Player[]
  administrator: Player
  /** A spare person for one request; `giveBack` if it is still whole. */
  borrow(): Promise<Player>
  giveBack(player: Player): void
  borrowModel(): string | undefined
  giveBackModel(uid: string): void
  /** Fills the holes of one request. */
  resolver(me: Player, spare: Player | undefined, model: string | undefined): Resolve
  /** Remembers what an answer brought. */
  learn(operationId: string, me: Player, body: unknown, given: unknown): void
  /** Takes away the models that were made. */
  leave(): Promise<void>
}

/** A token of the same claims that ended a minute ago, well signed. */
function expiredFrom(token: string, secret: string): string {
  const [head = '', payload = ''] = token.split('.')
  const claims = JSON.parse(Buffer.from(payload, 'base64url').toString())
  const ended = { ...claims, exp: Math.floor(Date.now() / 1000) - 60 }
  const signed = `${head}.${Buffer.from(JSON.stringify(ended)).toString('base64url')}`
  return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`
}

const at = <Item>(list: Item[], nth: number): Item | undefined => list[nth % list.length]
function keep<Item>(list: Item[], item: Item): void {
  list.push(item)
  // The first ones are the house's own; of the others the newest stay.
  if (list.length > KEPT) list.splice(4, 1)
}

function remove<Item>(list: Item[], isIt: (item: Item) => boolean): void {
  const found = list.findIndex(isIt)
  if (found >= 0) list.splice(found, 1)
}

export async function gather(w: World): Promise<Cast> {
  const { secrets } = await stack()
  const asPlayer = ({ uid, token, refreshToken, mail, password }: Known): Player => ({
    ...{ uid, token, refreshToken, mail, password },
    expired: expiredFrom(token, secrets.JWT_ACCESS_SECRET!),
    ...{ chats: [], messages: [], transactions: [], keys: [], cursors: [] },
  })
  const administrator = asPlayer(await w.administrator())
  const models = await Promise.all([0, 1].map(() => w.model({ name: `house/${randomUUID()}` })))
  const people = await Promise.all(
    [0, 1, 2].map(async () => {
      const person = await w.richPerson(1_000_000)
      const player = asPlayer(person)
      for (let chats = 0; chats < 4; chats++) {
        const { chatUid } = (await person.post<{ chatUid: string }>('/api/chat/create', {})).body
        player.chats.push(chatUid)
        const send = { role: 'user', message: `Question ${chats}`, chatUid, modelUid: models[0]!.modelUid }
        const { body } = await person.post<Record<string, { uid: string }>>('/api/chat/message', send)
        player.messages.push(body.userMessage!.uid, body.assistantMessage!.uid)
      }
      const chats = await person.get<{ nextCursor: string }>('/api/chat/all?limit=1')
      player.cursors.push(chats.body.nextCursor)
      const rows = await person.get<{ data: { uid: string }[] }>('/api/transaction/my')
      player.transactions.push(...rows.body.data.map(({ uid }) => uid))
      const made = await person.post<{ keyUid: string; key: string }>('/api/key/create', { name: 'house' })
      player.keys.push({ uid: made.body.keyUid, secret: made.body.key })
      return player
    }),
  )
  const spares: Player[] = []
  const spareModels: string[] = []
  const made: string[] = []
  let serial = 0

  const foreign = (me: Player): Player => people[(people.indexOf(me) + 1) % people.length]!
  const fresh = () => `${++serial}-${randomUUID()}`

  const resolver =
    (me: Player, spare: Player | undefined, model: string | undefined): Resolve =>
    (slot, nth) => {
      // Tables of functions would make what nobody asked for.
      const other = foreign(me)
      const found: Partial<Record<Slot, () => string | undefined>> = {
        chat: () => at(me.chats, nth),
        // The first ones stay.
        spareChat: () => at(me.chats.slice(4), nth),
        foreignChat: () => at(other.chats, nth),
        message: () => at(me.messages, nth),
        foreignMessage: () => at(other.messages, nth),
        transaction: () => at(me.transactions, nth),
        foreignTransaction: () => at(other.transactions, nth),
        // Not the house's key: it may be revoked.
        key: () => at(me.keys.slice(1), nth)?.uid,
        foreignKey: () => at(other.keys, nth)?.uid,
        model: () => at(models, nth)?.modelUid,
        modelName: () => at(models, nth)?.name,
        spareModel: () => model,
        user: () => at(people, nth)?.uid,
        spareUser: () => spare?.uid,
        spareMail: () => spare?.mail,
        sparePassword: () => spare?.password,
        spareRefresh: () => spare?.refreshToken,
        newMail: () => `${fresh()}@fuzz.example`,
        newPhone: () =>
          `+4420${String(Date.now() % 1e6).padStart(6, '0')}${String(++serial % 1e4).padStart(4, '0')}`,
        newName: () => `fuzz ${fresh()}`,
        newPassword: () => `${PLANTED}${fresh()}`,
        upstream: () => w.upstream.url,
        cursor: () => at([...me.cursors, ...people[0]!.cursors], nth),
      }
      return found[slot]?.() ?? randomUUID()
    }

  /** `given`: the body that was sent, if it is an object. */
  function learn(operationId: string, me: Player, body: any, given: any): void {
    if (typeof body?.nextCursor === 'string') keep(me.cursors, body.nextCursor)
    for (const message of [body?.userMessage, body?.assistantMessage])
      if (message) keep(me.messages, message.uid)
    const lessons: Record<string, () => void> = {
      createChat: () => keep(me.chats, body.chatUid),
      deleteChat: () => remove(me.chats, (uid) => uid === body.chatUid),
      makeOwnTransaction: () => keep(me.transactions, body.transactionUid),
      createKey: () => body.key && keep(me.keys, { uid: body.keyUid, secret: body.key }),
      revokeKey: () => remove(me.keys, ({ uid }) => uid === body.keyUid),
      createModel: () => {
        made.push(body.modelUid)
        spareModels.push(body.modelUid)
      },
      register: () => {
        if (body.user.role === 'USER' && given?.password?.startsWith(PLANTED))
          spares.push({
            ...asPlayer({ ...body.user, ...body, token: body.accessToken, password: given.password }),
          })
      },
      changePassword: () => {
        me.password = given.newPassword
      },
    }
    lessons[operationId]?.()
  }

  return {
    people,
    administrator,
    borrow: async () => spares.pop() ?? asPlayer(await w.person()),
    giveBack: (player) => spares.push(player),
    borrowModel: () => spareModels.shift(),
    giveBackModel: (uid) => spareModels.push(uid),
    resolver,
    learn,
    async leave() {
      const { token } = administrator
      for (const uid of made) await w.call('DELETE', `/api/model/delete/${uid}`, { token })
    },
  }
}
