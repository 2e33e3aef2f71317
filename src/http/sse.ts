import { streamSSE } from 'hono/streaming'
import type { Ctx } from './context.ts'

/** A comment keeps proxies from cutting a silent connection. */
const HEARTBEAT_MS = 15_000
/** A reader that is this far behind (UTF-16 units), or takes nothing for this long, is let go. */
const LIMIT = 4 * 1024 * 1024
const STALL_MS = 30_000
/** Nothing in between may keep an event, or hold it back. */
const HEADERS = {
  'Cache-Control': 'no-cache, no-transform',
  'X-Accel-Buffering': 'no',
}

/** The far end: who reads. */
export interface Reader {
  /** Resolves when it was taken. @throws when nobody reads any more */
  write(text: string): Promise<void>
  /** Cuts the connection. */
  abort(): void
}

/**
 * The near end of an event stream: events go in without waiting, a reader takes them out at its own pace. A reader
 * that cannot keep up is let go and never holds the writer back.
 */
export interface Outlet {
  event(name: string, data: unknown, id?: string): void
  /** An event without a name: `text` is one line. */
  data(text: string): void
  /** Shows that somebody is there. */
  comment(text: string): void
  /** The position so far, although nothing was shown for it: goes out with the next heartbeat. */
  mark(id: string): void
  /** Says when to come back, in ms, with a comment why. */
  retry(ms: number, comment?: string): void
  /** Nothing more will come; what is queued still goes out. */
  end(): void
  /** Writes to the client until the end; returns early when the reader was let go. */
  pipe(reader: Reader): Promise<void>
}

export function createOutlet(): Outlet {
  let queue: string[] = []
  let queued = 0
  let ended = false
  let writingSince: number | undefined
  let wake: (() => void) | undefined
  let drop: (() => void) | undefined
  let marked: string | undefined

  const push = (text: string) => {
    if (ended) return
    // Behind is who leaves things lying: one large event (a snapshot) is none.
    const behind = queued
    queue.push(text)
    queued += text.length
    if (behind > 0 && queued > LIMIT) drop?.()
    wake?.()
  }
  const end = () => {
    ended = true
    wake?.()
  }

  return {
    event(name, data, id) {
      if (id !== undefined) marked = id
      push(`${id === undefined ? '' : `id: ${id}\n`}event: ${name}\ndata: ${JSON.stringify(data)}\n\n`)
    },
    data: (text) => push(`data: ${text}\n\n`),
    comment: (text) => push(`: ${text}\n\n`),
    mark: (id) => {
      marked = id
    },
    retry: (ms, comment) => push(`retry: ${ms}\n${comment === undefined ? '' : `: ${comment}\n`}\n`),
    end,
    async pipe(reader) {
      drop = () => {
        queue = []
        queued = 0
        end()
        reader.abort()
      }
      const heartbeat = setInterval(() => {
        if (writingSince !== undefined && Date.now() - writingSince > STALL_MS) drop?.()
        else push(`${marked === undefined ? '' : `id: ${marked}\n`}: keep-alive\n\n`)
      }, HEARTBEAT_MS)
      try {
        while (!ended || queue.length > 0) {
          if (queue.length === 0) {
            await new Promise<void>((resolve) => {
              wake = resolve
            })
            continue
          }
          const text = queue.join('')
          queue = []
          queued = 0
          writingSince = Date.now()
          await reader.write(text)
          writingSince = undefined
        }
      } catch {
        // It has left.
      } finally {
        clearInterval(heartbeat)
        end()
      }
    },
  }
}

/**
 * A response that empties the outlet. `beside` runs with it and fills it until `gone`, which fires when the client
 * has left or was let go; what it throws is logged, and the client only sees the stream end.
 */
export function eventStream(c: Ctx, outlet: Outlet, beside?: (gone: AbortSignal) => Promise<void>): Response {
  const over = new AbortController()
  c.req.raw.signal.addEventListener('abort', () => over.abort(), { once: true })
  const response = streamSSE(c, async (stream) => {
    const filling = beside?.(over.signal)
      .catch((error: Error) => c.var.log.error('stream_broke', { error: error.name }))
      .finally(outlet.end)
    await outlet.pipe({
      write: async (text) => {
        // It never throws: a stream whose reader is gone only says so.
        await stream.write(text)
        if (stream.aborted) throw new Error('nobody reads')
      },
      abort: () => stream.abort(),
    })
    over.abort()
    await filling
  })
  // In both places: what the context already holds is laid over what a handler returns.
  for (const [name, value] of Object.entries(HEADERS)) {
    c.header(name, value)
    response.headers.set(name, value)
  }
  return response
}
