import { bodyLimit } from 'hono/body-limit'
import { every } from 'hono/combine'
import { cors } from 'hono/cors'
import { createMiddleware } from 'hono/factory'
import { secureHeaders } from 'hono/secure-headers'
import { Failure } from '../core/failure.ts'
import { isId, newId } from '../core/id.ts'
import type { Env } from '../env.ts'
import { createMeter, type Meter, metered } from '../ports/meter.ts'
import type { App, Services } from './context.ts'
import { createLog } from './log.ts'

/** Gives the request its id, its log and the isolate's services, and leaves one line about it. */
export const observe = (services: Services) =>
  createMiddleware<App>(async (c, next) => {
    const sent = c.req.header('x-request-id')
    const requestId = sent !== undefined && /^[\w.:-]{1,128}$/.test(sent) ? sent : newId()
    const log = createLog({ requestId })
    c.set('services', services)
    c.set('requestId', requestId)
    c.set('log', log)
    const start = Date.now()
    const meter = createMeter()
    await metered(meter, next)
    const ms = Date.now() - start
    c.res.headers.set('X-Request-Id', requestId)
    // How long a sign-in takes is nobody's business: it could tell whether an account exists.
    if (!c.req.path.startsWith('/api/auth/')) c.res.headers.set('Server-Timing', timing(ms, meter))
    log.info('request', {
      method: c.req.method,
      route: routeOf(c.req.path),
      status: c.res.status,
      ms,
      postgresRequests: meter.postgres.requests,
      postgresMs: meter.postgres.ms,
      redisRequests: meter.redis.requests,
      redisMs: meter.redis.ms,
    })
  })

/** What a path is made of but for its values: whatever is no plain word may be an id, a mail or a key. */
const routeOf = (path: string): string =>
  path
    .split('/')
    .slice(0, 8)
    .map((part) => (isId(part) ? ':uid' : part === '' || WORD.test(part) ? part : ':value'))
    .join('/')
const WORD = /^(?:v1|[a-z][a-z._-]{0,23})$/

/** `total;dur=12, postgres;dur=9;desc="1 request", …`: what came before the answer began. */
const timing = (ms: number, { postgres, redis }: Meter): string =>
  [
    `total;dur=${ms}`,
    ...Object.entries({ postgres, redis })
      .filter(([, { requests }]) => requests > 0)
      .map(
        ([port, { requests, ms: dur }]) =>
          `${port};dur=${dur};desc="${requests} request${requests === 1 ? '' : 's'}"`,
      ),
  ].join(', ')

/** Headers that keep a browser from being used against its owner; CORS for the origins of the configuration. */
export const secure = (env: Env) => {
  const shared = {
    origin: (origin: string) => (env.CORS_ORIGINS.includes(origin) ? origin : null),
    credentials: true,
    maxAge: 600,
  }
  const api = cors({
    ...shared,
    allowHeaders: ['Authorization', 'Content-Type', 'Idempotency-Key', 'Last-Event-ID', 'X-Request-Id'],
    exposeHeaders: ['X-Request-Id', 'Retry-After', 'Content-Disposition', 'Link', 'X-Truncated'],
  })
  // OpenAI's clients send headers of their own, of which there are more each year: whatever is asked for may come.
  const door = cors({
    ...shared,
    exposeHeaders: ['X-Request-Id', 'Retry-After', 'X-Should-Retry', ...RATE_HEADERS],
  })
  return every(
    secureHeaders({ crossOriginResourcePolicy: false, xFrameOptions: 'DENY', referrerPolicy: 'no-referrer' }),
    createMiddleware<App>((c, next) => (c.req.path.startsWith('/v1/') ? door(c, next) : api(c, next))),
  )
}
const RATE_HEADERS = ['limit', 'remaining', 'reset'].map((what) => `X-RateLimit-${what}-Requests`)

/** A body that is refused is read on to here, and thrown away, so that its sender sees the answer and not a reset. */
const DRAIN_LIMIT = 32 * 1024 * 1024

export const refuseLargeBodies = (maxSize: number) =>
  bodyLimit({
    maxSize,
    onError: async (c) => {
      await drain(c.req.raw.body)
      throw new Failure('payload_too_large', `A body has at most ${maxSize / 1024 / 1024} MiB.`)
    },
  })

/**
 * A conversation of 10,000 messages has about half as many. What has more is made to keep the isolate, and every answer
 * in it, busy: parsing and checking grow with the values, not with the bytes.
 */
const MOST_VALUES = 100_000

/** Stands before whatever parses a body; to be put behind `refuseLargeBodies`. */
export const refuseManyValues = createMiddleware<App>(async (c, next) => {
  // So few bytes cannot hold more.
  const isSmall = Number(c.req.header('content-length')) <= MOST_VALUES
  if (c.req.raw.body && !isSmall && hasMoreValues(await c.req.text(), MOST_VALUES))
    throw new Failure('payload_too_large', `A body has at most ${MOST_VALUES} values.`)
  await next()
})

/** Whether JSON has more values than `most`: one for each comma, and each bracket that opens, outside of its strings. */
function hasMoreValues(json: string, most: number): boolean {
  let values = 1
  for (let at = 0; at < json.length && values <= most; at++) {
    const unit = json.charCodeAt(at)
    if (unit === QUOTE) {
      for (at++; at < json.length && json.charCodeAt(at) !== QUOTE; at++)
        if (json.charCodeAt(at) === BACKSLASH) at++
    } else if (unit === COMMA || unit === BRACKET || unit === BRACE) values++
  }
  return values > most
}
const [QUOTE, BACKSLASH, COMMA, BRACKET, BRACE] = [0x22, 0x5c, 0x2c, 0x5b, 0x7b]

/** A body that no route has read, of a refusal or an unknown path: unread, it would break the connection. */
export const readOn = createMiddleware(async (c, next) => {
  await next()
  if (c.req.raw.body && !c.req.raw.bodyUsed) await drain(c.req.raw.body)
})

/** What the API says is for whoever asked, and is kept by nobody in between. Event streams say more. */
export const keepPrivate = createMiddleware(async (c, next) => {
  await next()
  if (!c.res.headers.has('Cache-Control')) c.res.headers.set('Cache-Control', 'no-store')
})

async function drain(body: ReadableStream<Uint8Array> | null): Promise<void> {
  if (!body || body.locked) return
  const reader = body.getReader()
  let seen = 0
  while (seen < DRAIN_LIMIT) {
    const { done, value } = await reader.read()
    if (done) return
    seen += value.byteLength
  }
  await reader.cancel()
}
