/** What people and the cron ask of the database, one walk of the service each, for whoever measures it. */
import type { Actor } from '../../src/core/actor.ts'
import { newId } from '../../src/core/id.ts'
import type { Env } from '../../src/env.ts'
import * as auth from '../../src/features/auth/service.ts'
import { createTokens } from '../../src/features/auth/tokens.ts'
import { chatHold, chatSettle, type Question } from '../../src/features/chats/door.ts'
import { recorded } from '../../src/features/chats/sending.ts'
import * as chats from '../../src/features/chats/service.ts'
import { chatSnapshot, chatsSnapshot } from '../../src/features/chats/snapshots.ts'
import { gatewayHold, gatewaySettle } from '../../src/features/gateway/door.ts'
import { listModels } from '../../src/features/gateway/service.ts'
import { byKey, bySession, type DoorSettle } from '../../src/features/inference/door.ts'
import { placeHold } from '../../src/features/inference/hold.ts'
import { renewLease, settle } from '../../src/features/inference/settle.ts'
import * as keys from '../../src/features/keys/service.ts'
import * as models from '../../src/features/models/service.ts'
import * as transactions from '../../src/features/transactions/service.ts'
import { balanceSnapshot } from '../../src/features/transactions/snapshot.ts'
import * as usage from '../../src/features/usage/service.ts'
import * as users from '../../src/features/users/service.ts'
import type { Passwords, Services } from '../../src/http/context.ts'
import type { Once } from '../../src/http/idempotency.ts'
import type { PageRequest } from '../../src/http/page.ts'
import type { Database } from '../../src/ports/postgres.ts'
import type { Redis } from '../../src/ports/redis.ts'
import { sweep } from '../../src/sweep.ts'
import { blocked, leaving, person } from './history.ts'

export interface Walk {
  /** SQL that sets the scene; not measured. */
  prepared?(): string[]
  walk(db: Database): Promise<unknown>
}

const own: Actor = { userUid: person.uid, sessionUid: person.session, role: 'USER' }
const admin: Actor = { ...own, role: 'ADMIN' }
const env = {
  JWT_ACCESS_SECRET: 'a'.repeat(32),
  JWT_REFRESH_SECRET: 'r'.repeat(32),
  ADMIN_REGISTRATION: 'first',
  MODEL_SECRET_KEYS: [],
} as unknown as Env
/** A hash costs no page. */
const passwords: Passwords = {
  hash: async () => 'hash',
  fits: async () => true,
  isStale: () => false,
}
const silent = { info() {}, error() {} }
const page: PageRequest = { limit: 50 }
const onceKey = (): Once => ({ key: newId(), fingerprint: 'f' })
const rooms = (db: Database) => ({ db, announce() {}, announceNoted() {}, askToStop() {} })
const counter = (db: Database) => ({ db, announce() {} })

/** To be walked in this order: a settle settles what the hold before it held. */
export function walksWith(redis: Redis): Record<string, Walk> {
  const services = (db: Database) => ({ env, db, redis, passwords }) as unknown as Services
  const repeated = { send: onceKey(), book: onceKey(), chat: onceKey() }
  let generationUid = ''
  let answerUid = ''
  const from = new Date(Date.now() - 3_600_000)

  function hold(db: Database, question: Question, once: Once) {
    generationUid = newId()
    answerUid = newId()
    return placeHold(
      db,
      {
        ...{ generationUid, caller: bySession(own), maxTokens: 100, choices: 1, once },
        ...{ sendsPerMinute: 600, runningPerUser: 4 },
      },
      chatHold(person.uid, answerUid, question),
    )
  }
  const ask = (db: Database, chatUid: string, once: Once) =>
    hold(
      db,
      { kind: 'new', uid: newId(), chatUid, modelUid: person.model, message: 'And then?', title: 'Then' },
      once,
    )
  const settled = (db: Database, door: DoorSettle) =>
    settle(
      db,
      {
        ...{
          generationUid,
          userUid: person.uid,
          status: 'COMPLETED',
          finishReason: 'stop',
          failureCode: null,
        },
        ...{ failureDetail: null, text: 'Yes.', reasoning: '', firstTokenMs: 5, learned: undefined },
        bill: {
          usage: { promptTokens: 10, completionTokens: 5, totalTokens: 15, source: 'upstream' },
          worth: 15_000,
        },
      },
      door,
    )
  /** A page in the middle of the last hour, which is less than the past of the few. */
  const further: PageRequest = {
    limit: 50,
    cursor: { at: new Date(Date.now() - 1_800_000).toISOString(), uid: person.transaction },
  }
  const plain = (walk: Walk['walk']): Walk => ({ walk })

  return {
    // The send path.
    send: plain((db) => ask(db, person.chat, repeated.send)),
    'renew a lease': plain((db) => renewLease(db, generationUid, { text: 'Yes', reasoning: '' })),
    'settle an answer': plain((db) => settled(db, chatSettle)),
    'send again under its key': plain(async (db) => {
      const before = generationUid
      const again = await ask(db, person.chat, repeated.send)
      generationUid = 'replayed' in again ? again.replayed : ''
      if (generationUid !== before) throw new Error('it was sent again')
      return recorded({ db }, person.uid, generationUid)
    }),
    retry: plain((db) =>
      hold(db, { kind: 'again', messageUid: person.answer, modelUid: undefined }, onceKey()),
    ),
    'stop a running answer': plain((db) => chats.stop(rooms(db), own, answerUid)),
    'stop one that is over': plain((db) => chats.stop(rooms(db), own, person.answer)),
    instruct: plain((db) =>
      chats.instruct(rooms(db), own, { chatUid: person.otherChat, message: 'Be brief.' }, onceKey()),
    ),
    'create a chat': plain((db) => chats.createChat(rooms(db), own, 'New', repeated.chat)),
    'create a chat again under its key': plain((db) =>
      chats.createChat(rooms(db), own, 'New', repeated.chat),
    ),
    'rename a chat': plain((db) => chats.renameChat(rooms(db), own, person.otherChat, 'Another')),
    book: plain((db) => transactions.topUp(counter(db), own, { amount: 1, description: 'x' }, repeated.book)),
    'book again under its key': plain((db) =>
      transactions.topUp(counter(db), own, { amount: 1, description: 'x' }, repeated.book),
    ),

    // A program's call.
    'call by key': plain((db) => {
      generationUid = newId()
      return placeHold(
        db,
        {
          ...{ generationUid, caller: byKey(person.keyDigest), maxTokens: 100, choices: 1, once: onceKey() },
          ...{ sendsPerMinute: 600, runningPerUser: 4 },
        },
        gatewayHold('model-1', 20),
      )
    }),
    'settle a call': plain((db) => settled(db, gatewaySettle)),
    'models for a program': plain((db) => listModels(db, person.keyDigest)),

    // The feeds, while an answer is written.
    'a chat, live': plain((db) => chatSnapshot(db, own, person.chat, new Map())),
    'all chats, live': plain((db) =>
      chatsSnapshot(db, own, new Map([[answerUid, { text: 'Y', reasoning: '' }]])),
    ),
    'the balance, live': plain((db) => balanceSnapshot(db, own)),

    // The sweep.
    'a sweep that finds nothing': plain((db) => sweep({ db, redis }, silent, true)),
    'a sweep that settles and tells': {
      prepared: () => [
        `UPDATE generations SET lease_until = now() - interval '1 minute' WHERE uid = '${generationUid}'`,
        `UPDATE outbox SET created_at = now() - interval '1 minute' WHERE user_uid = '${person.uid}'`,
      ],
      walk: (db) => sweep({ db, redis }, silent, false),
    },
    'a sweep that forgets': {
      prepared: () => [
        `INSERT INTO idempotency (user_uid, key, fingerprint, created_at)
          SELECT '${person.uid}', 'old-' || n, 'f', now() - interval '3 days' FROM generate_series(1, 50) AS n`,
        `INSERT INTO sessions (uid, user_uid, rotated_at, expires_at)
          SELECT gen_random_uuid(), '${person.uid}', now(), now() - interval '40 days' FROM generate_series(1, 50)`,
      ],
      walk: (db) => sweep({ db, redis }, silent, true),
    },

    // Lists.
    'own transactions': plain((db) => transactions.listOwn(db, own, page)),
    'own transactions, further on': plain((db) => transactions.listOwn(db, own, further)),
    'a transaction': plain((db) => transactions.read(db, own, person.transaction)),
    'all transactions': plain((db) => transactions.listAll(db, admin, {}, page)),
    'all transactions, further on': plain((db) => transactions.listAll(db, admin, {}, further)),
    'transactions of a type': plain((db) => transactions.listAll(db, admin, { type: 'REFUND' }, page)),
    'transactions of a person': plain((db) => transactions.listAll(db, admin, { userUid: person.uid }, page)),
    'transactions since': plain((db) => transactions.listAll(db, admin, { from }, page)),
    'transactions until': plain((db) => transactions.listAll(db, admin, { to: from }, page)),
    'own chats': plain((db) => chats.listChats(rooms(db), own, page, undefined)),
    'own chats by title': plain((db) => chats.listChats(rooms(db), own, page, 'chat 1')),
    'a chat': plain((db) => chats.readChat({ db }, own, person.chat)),
    'messages of a chat': plain((db) => chats.listMessages(rooms(db), own, person.chat, page)),
    people: plain((db) => users.list(db, admin, page)),
    'own keys': plain((db) => keys.list(db, own, page)),
    'own usage': plain((db) => usage.report(db, own, { by: 'day' })),
    models: plain((db) => models.all(services(db), own, page)),
    'a model': plain((db) => models.one(services(db), own, person.model)),

    // Accounts.
    register: plain((db) =>
      auth.register(
        services(db),
        {
          firstName: 'Ada',
          lastName: 'Byron',
          mail: `${newId()}@test.example`,
          role: 'USER',
          password: 'any',
        },
        undefined,
      ),
    ),
    'log in by mail': plain((db) => auth.login(services(db), { mail: person.mail, password: 'any' })),
    'log in by phone': plain((db) => auth.login(services(db), { phone: person.phone, password: 'any' })),
    'renew an access cookie': plain(async (db) =>
      auth.createIdentity(env, db, redis).renew(await refreshToken()),
    ),
    refresh: plain(async (db) => auth.refresh(services(db), await refreshToken())),
    'own profile': plain((db) => users.read(db, own)),
    'change the profile': plain((db) => users.change(db, own, { firstName: 'Ada' })),
    'change the password': plain((db) =>
      users.changePassword(db, passwords, own, { currentPassword: 'any', newPassword: 'other' }),
    ),
    'claim to be an administrator': plain((db) =>
      auth
        .register(
          services(db),
          {
            firstName: 'Eve',
            lastName: 'M',
            mail: `${newId()}@test.example`,
            role: 'ADMIN',
            password: 'any',
          },
          undefined,
        )
        .catch(() => undefined),
    ),
    'block a person': plain((db) => users.manage(db, admin, blocked.uid, { status: 'BLOCKED' })),
    'resign as the last administrator': plain((db) =>
      users.manage(db, admin, person.uid, { role: 'USER' }).catch(() => undefined),
    ),
    'close an account': plain((db) =>
      users.close(db, { userUid: leaving.uid, sessionUid: leaving.session, role: 'USER' }),
    ),

    'make a key, and limit it': plain(async (db) => {
      const { keyUid } = await keys.create(db, own, { name: 'another' }, onceKey())
      await keys.change(db, own, keyUid, { budget: 5 })
      await keys.revoke(db, own, keyUid)
    }),

    // What ends things.
    'send, and delete the chat': plain(async (db) => {
      await ask(db, person.otherChat, onceKey())
      await chats.deleteChat(rooms(db), own, person.otherChat)
    }),
    'log out': plain(async (db) => auth.logout(services(db), await refreshToken())),
  }
}

async function refreshToken(): Promise<string> {
  const now = Math.floor(Date.now() / 1000)
  return createTokens(env).signRefresh({
    ...{ userUid: person.uid, sessionUid: person.session, generation: 0 },
    ...{ rotatedAt: now, expiresAt: now + 3600 },
  })
}
