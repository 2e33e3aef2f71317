import { createRoute, z } from '@hono/zod-openapi'
import type { Actor } from '../../core/actor.ts'
import { Failure } from '../../core/failure.ts'
import type { Ctx } from '../../http/context.ts'
import { Id, refusals, SIGNED_IN } from '../../http/contract.ts'
import { guard } from '../../http/guard.ts'
import { createRouter } from '../../http/router.ts'
import { createOutlet, eventStream } from '../../http/sse.ts'
import { ask, type Database, standing } from '../../ports/postgres.ts'
import { type Live, placeOf } from './bus.ts'
import type { View } from './events.ts'
import { follow, type Snapshot } from './follow.ts'

/** A feed ends after this long, and its client resumes: proxies, deployments and clocks all want an end. */
const LIFE_MS = 30 * 60_000
/** When a client comes back after a lost connection, and when live updates are away. */
const RETRY_MS = 2_000
const RETRY_AWAY_MS = 5_000

/** What the feeds show at their opening, made by the rooms that own it. */
export interface Snapshots {
  /** @throws chat_not_found */
  chat(db: Database, actor: Actor, chatUid: string, live: Live): Promise<Snapshot>
  chats(db: Database, actor: Actor, live: Live): Promise<Snapshot>
  balance(db: Database, actor: Actor): Promise<Snapshot>
  /** @throws chat_not_found */
  assertChat(db: Database, actor: Actor, chatUid: string): Promise<void>
}

const Events = z.string().openapi('FeedStream', {
  description: 'Server-sent events; `data` is JSON.',
  example: [
    'retry: 2000',
    '',
    'id: 0199f6e27c1d7a539d0e3f1f6a0c2b11-41',
    'event: snapshot',
    'data: {"balance":12.5,"available":11.9,"seq":9}',
    '',
    'id: 0199f6e27c1d7a539d0e3f1f6a0c2b11-42',
    'event: balance',
    'data: {"balance":12.5,"available":12.5,"seq":10}',
    '',
  ].join('\n'),
})

const Resume = z.object({
  lastEventId: z.string().optional().openapi({
    description:
      'The same as the header `Last-Event-ID`, which wins: exactly the events after it, without a snapshot.',
  }),
  ticket: z.string().max(200).optional().openapi({
    description: 'From POST /api/auth/ticket, for an `EventSource` of another origin.',
  }),
})

const how = [
  'Opens with `retry`, then a `snapshot` whose id is the position at which it is true, then events as they happen,',
  'each with an id. A client that returns with `Last-Event-ID` gets exactly what came after it; an id that is unknown,',
  'malformed or too old gets a fresh snapshot. A comment keeps the connection alive every 15 s. Ends after 30 minutes,',
  'or when the reader cannot keep up: `EventSource` comes back by itself. Swagger UI shows no stream; use curl:',
].join(' ')

const feed = <Path extends string>(path: Path, operationId: string, summary: string, shows: string) => ({
  operationId,
  tags: ['feeds'],
  summary,
  description: `${shows}\n\n${how}\n\n\`\`\`sh\ncurl -N -H "Authorization: Bearer $TOKEN" http://localhost:8000${path.replace('{chatUid}', '$CHAT')}\n\`\`\``,
  method: 'get' as const,
  path,
  ...guard.feed,
  responses: {
    200: { description: 'The feed.', content: { 'text/event-stream': { schema: Events } } },
    ...refusals(...SIGNED_IN, 'invalid_request', 'chat_not_found'),
  },
})

const everything = createRoute({
  ...feed(
    '/api/feed',
    'feedEverything',
    'Everything, live',
    'Snapshot: `{chats, running, balance, available, seq}`.',
  ),
  request: { query: Resume },
})
const chats = createRoute({
  ...feed('/api/chat/sse', 'feedChats', 'All your chats, live', 'Snapshot: `{chats, running}`.'),
  request: { query: Resume },
})
const chat = createRoute({
  ...feed(
    '/api/chat/sse/{chatUid}',
    'feedChat',
    'One chat, live',
    'Snapshot: `{chat, messages}`, the newest page, oldest first; an answer that is being written is there with its text so far.',
  ),
  request: {
    query: Resume,
    params: z.object({ chatUid: Id.openapi({ param: { name: 'chatUid', in: 'path' } }) }),
  },
})
const balance = createRoute({
  ...feed(
    '/api/transaction/balance-sse',
    'feedBalance',
    'Your balance, live',
    'Snapshot: `{balance, available, seq}`.',
  ),
  request: { query: Resume },
})

export const feedRoutes = (snapshots: Snapshots) => {
  const open = async (c: Ctx, view: View): Promise<Response> => {
    const { db, redis } = c.var.services
    const { actor } = c.var
    if (view.kind === 'chat') await snapshots.assertChat(db, actor, view.chatUid)
    else await ask(standing(db, actor))

    const outlet = createOutlet()
    outlet.retry(RETRY_MS)
    const from = placeOf(c.req.header('last-event-id') ?? c.req.query('lastEventId'))
    const followed = {
      userUid: actor.userUid,
      view,
      snapshot: (live: Live) => snapshotOf(snapshots, db, actor, view, live),
      mayGoOn: () => mayGoOn(db, actor),
    }
    return eventStream(c, outlet, async (gone) => {
      const life = setTimeout(outlet.end, LIFE_MS)
      try {
        await follow(redis, followed, from, outlet, gone)
      } catch (error) {
        // EventSource gives up for good on any other status: an authenticated feed says when to come back instead.
        if (!gone.aborted) c.var.log.error('feed_unavailable', { error: (error as Error).name })
        outlet.retry(RETRY_AWAY_MS, 'live updates are away')
      } finally {
        clearTimeout(life)
      }
    })
  }
  return createRouter()
    .openapi(everything, (c) => open(c, { kind: 'everything' }))
    .openapi(chats, (c) => open(c, { kind: 'chats' }))
    .openapi(chat, (c) => open(c, { kind: 'chat', chatUid: c.req.valid('param').chatUid }))
    .openapi(balance, (c) => open(c, { kind: 'balance' }))
}

async function snapshotOf(
  snapshots: Snapshots,
  db: Database,
  actor: Actor,
  view: View,
  live: Live,
): Promise<Snapshot> {
  switch (view.kind) {
    case 'chat':
      return snapshots.chat(db, actor, view.chatUid, live)
    case 'chats':
      return snapshots.chats(db, actor, live)
    case 'balance':
      return snapshots.balance(db, actor)
    case 'everything': {
      const [inChats, money] = await Promise.all([
        snapshots.chats(db, actor, live),
        snapshots.balance(db, actor),
      ])
      return {
        data: { ...inChats.data, ...money.data },
        shown: { ...inChats.shown, seq: money.shown.seq },
      }
    }
  }
}

/** Only a clear no ends a feed: a database that is away is no reason to. */
async function mayGoOn(db: Database, actor: Actor): Promise<boolean> {
  try {
    await ask(standing(db, actor))
    return true
  } catch (error) {
    return error instanceof Failure && error.code === 'unavailable'
  }
}
