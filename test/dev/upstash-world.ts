import { randomUUID } from 'node:crypto'
import { Redis } from '@upstash/redis/cloudflare'
import { vi } from 'vitest'
import { embeddedRedis } from '../../dev/redis-embedded.ts'
import { type RedisEngine, realRedis } from '../../dev/redis-engine.ts'
import { startUpstashBridge } from '../../dev/upstash.ts'

/** A real server to test against as well, e.g. `redis://127.0.0.1:6379`; shared ones are left as found. */
export const realUrl = process.env.TEST_REDIS_URL

export const engines: Array<[string, () => RedisEngine]> = [['embedded', embeddedRedis]]
if (realUrl) {
  engines.push(['real', () => realRedis({ url: realUrl, keyPrefix: `bridge-test:${randomUUID()}:` })])
}

/** Several alphabets, an emoji of two characters, control characters, quotes, line ends. */
export const text = 'Привет, «мир»! 👋🏽 \u0000\u0001\u007f \\ " \r\n\t é'

export const until = (check: () => void | Promise<void>) =>
  vi.waitFor(check, { timeout: 30_000, interval: 5 })

export type World = Awaited<ReturnType<typeof openWorld>>
type Options = Partial<ConstructorParameters<typeof Redis>[0]>

/** An engine, a bridge over it, and ways to speak to it with and without the unmodified client. */
export async function openWorld(startEngine: () => RedisEngine) {
  const engine = startEngine()
  const bridge = await startUpstashBridge({ engine, token: 'secret-token' })

  const client = (options: Options = {}) =>
    new Redis({
      url: bridge.url,
      token: bridge.token,
      automaticDeserialization: false,
      enableAutoPipelining: false,
      enableTelemetry: false,
      retry: { retries: 0 },
      ...options,
    })
  const redis = client()

  const raw = async (path: string, init: RequestInit = {}) => {
    const headers = { authorization: `Bearer ${bridge.token}`, ...(init.headers as Record<string, string>) }
    const response = await fetch(bridge.url + path, { ...init, headers })
    return { status: response.status, body: (await response.json()) as unknown }
  }
  const post = (body: unknown, path = '/', headers: Record<string, string> = {}) =>
    raw(path, { method: 'POST', body: typeof body === 'string' ? body : JSON.stringify(body), headers })

  return {
    engine,
    bridge,
    client,
    /** Gives text as it is. */
    redis,
    /** As it comes out of the box: parses JSON, sends what is asked at once as a pipeline. */
    parsing: new Redis({ url: bridge.url, token: bridge.token }),
    raw,
    post,
    /** The result of one command, or `! ` and the error. */
    async send(...command: Array<string | number>) {
      const { result, error } = (await post(command)).body as { result?: unknown; error?: string }
      return error === undefined ? result : `! ${error}`
    },
    /** An open event stream; `lines` fills with what follows `data: `, `ended` tells how it ended. */
    async listen(channel: string) {
      const stop = new AbortController()
      const response = await fetch(`${bridge.url}/subscribe/${encodeURIComponent(channel)}`, {
        method: 'POST',
        headers: { authorization: `Bearer ${bridge.token}`, accept: 'text/event-stream' },
        signal: stop.signal,
      })
      const lines: string[] = []
      const read = async () => {
        const decoder = new TextDecoder()
        let rest = ''
        for await (const chunk of response.body!) {
          const events = (rest + decoder.decode(chunk, { stream: true })).split('\n\n')
          rest = events.pop()!
          lines.push(...events.map((event) => event.replace(/^data: /gm, '')))
        }
        return 'end'
      }
      return { response, lines, ended: read().catch(() => 'broken'), stop: () => stop.abort() }
    },
    /** No data, nothing counted, nothing broken. */
    async empty() {
      bridge.reset()
      await redis.flushall()
      bridge.reset()
    },
    async close() {
      await bridge.close()
      await engine.close()
    },
  }
}
