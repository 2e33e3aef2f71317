import { Redis as Upstash } from '@upstash/redis/cloudflare'
import { measure } from './meter.ts'
import { createEventReader } from './upstream/event-stream.ts'

/** The commands of Redis that are used: no other one is in the bundle (dev/bundler.ts). */
export const commands = ['del', 'eval', 'get', 'mget', 'ping', 'publish', 'set'] as const

/** Redis over HTTP. It holds only what may vanish; callers decide what its absence means. */
export interface Redis extends Pick<Upstash, (typeof commands)[number]> {
  /**
   * Listens on a channel. Resolves once the server has acknowledged: nothing published after that is missed. The
   * client library's own `subscribe` is silent about a connection that was lost, so this one is ours.
   * @throws Error when Redis cannot be asked
   */
  listen(channel: string, signal: AbortSignal): Promise<Subscription>
}

export interface Subscription {
  /** The next payloads, all that came with one read; undefined when the subscription has ended. */
  next(): Promise<string[] | undefined>
}

const ACKNOWLEDGED_WITHIN_MS = 5_000
const ANSWERED_WITHIN_MS = 2_000

/** One more try and no more: a limit or a cache that is late is worth less than the answer it holds up. */
export function connectRedis(url: string, token: string): Redis {
  // The client asks for a signal while it begins a request, so it gets that request's.
  let beginning = new AbortController()
  const client = new Upstash({
    url,
    token,
    automaticDeserialization: false,
    enableAutoPipelining: false,
    enableTelemetry: false,
    // Ours is well-formed text; base64 would only have to be read again.
    responseEncoding: false,
    retry: { retries: 1, backoff: () => 50 },
    signal: () => beginning.signal,
  })
  client.use(async (request, next) => {
    // AbortSignal.timeout would fire for every command, answered or not, and wake the Worker for it.
    const late = new AbortController()
    const timer = setTimeout(() => late.abort(), ANSWERED_WITHIN_MS)
    beginning = late
    try {
      return await measure('redis', () => next(request))
    } finally {
      clearTimeout(timer)
    }
  })
  return Object.assign(client, {
    listen: (channel: string, signal: AbortSignal) => listen(url, token, channel, signal),
  })
}

async function listen(
  url: string,
  token: string,
  channel: string,
  signal: AbortSignal,
): Promise<Subscription> {
  const late = new AbortController()
  const timer = setTimeout(() => late.abort(), ACKNOWLEDGED_WITHIN_MS)
  const response = await fetch(`${url.replace(/\/$/, '')}/subscribe/${encodeURIComponent(channel)}`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${token}`, Accept: 'text/event-stream' },
    signal: AbortSignal.any([signal, late.signal]),
  })
  if (!response.ok || !response.body) {
    clearTimeout(timer)
    await response.body?.cancel()
    throw new Error(`Redis refused a subscription (${response.status})`)
  }
  const reader = response.body.getReader()
  const events = createEventReader()
  const next = async (): Promise<string[] | undefined> => {
    for (;;) {
      const { done, value } = await reader.read().catch(() => ({ done: true as const, value: undefined }))
      if (done) return undefined
      const payloads = events.push(value).map(({ data }) => data)
      if (payloads.length > 0) return payloads
    }
  }
  // `subscribe,<channel>,<count>`: the acknowledgement. What comes in the same read must not be lost.
  let early = await next()
  clearTimeout(timer)
  if (!early?.[0]?.startsWith('subscribe,')) throw new Error('Redis did not acknowledge a subscription')
  early = early.slice(1)
  return {
    async next() {
      const payloads = early && early.length > 0 ? early : await next()
      early = undefined
      return payloads?.flatMap((line) =>
        line.startsWith('message,') ? [line.slice(line.indexOf(',', 8) + 1)] : [],
      )
    },
  }
}
