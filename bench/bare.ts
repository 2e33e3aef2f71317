/** Workers of a few lines, each in a workerd of its own: what ours is held against. */
import { Miniflare } from 'miniflare'
import { bundle } from '../dev/build.ts'
import { workerds } from '../dev/stack.ts'

/** A Worker that serves. */
export interface Served {
  /** No slash at the end. */
  url: string
  pid: number
}

export interface Bare extends Served {
  close(): Promise<void>
}

/** What a user would pick instead: it asks the upstream, with all that was sent, and passes the answer on. */
export const PASS_THROUGH = 'export default { fetch: (request, { UPSTREAM }) => fetch(UPSTREAM, request) }'

/** A stream that stays open: as lean as a feed can be. One byte now and then, as a heartbeat. */
export const HELD_STREAM = `export default {
  fetch() {
    let timer
    return new Response(new ReadableStream({
      start(controller) {
        controller.enqueue(new TextEncoder().encode('open'))
        timer = setInterval(() => controller.enqueue(new TextEncoder().encode(':')), 15_000)
      },
      cancel: () => clearInterval(timer),
    }), { headers: { 'Content-Type': 'text/event-stream' } })
  },
}`

/** The same with a subscription of its own behind it, which it passes on. */
export const HELD_SUBSCRIPTION = `export default {
  fetch: (_, { REDIS, TOKEN }) => fetch(REDIS + '/subscribe/bench-' + Math.random(), {
    method: 'POST',
    headers: { Authorization: 'Bearer ' + TOKEN, Accept: 'text/event-stream' },
  }).then(({ body }) => {
    const reader = body.getReader()
    return new Response(new ReadableStream({
      async pull(controller) {
        const { done, value } = await reader.read()
        if (done) controller.close()
        else controller.enqueue(value)
      },
    }), { headers: { 'Content-Type': 'text/event-stream' } })
  }),
}`

/**
 * Starts a Worker from its source, in the same shell as ours: what Miniflare puts before a Worker with assets costs
 * too, and only the paths of ours reach it.
 */
export async function startBare(script: string, bindings: Record<string, string>): Promise<Bare> {
  const { compatibilityDate, compatibilityFlags, assets } = await bundle()
  const before = new Set(workerds())
  const miniflare = new Miniflare({
    modules: [{ type: 'ESModule', path: 'worker.js', contents: script }],
    ...{ bindings, compatibilityDate, compatibilityFlags, assets },
    host: '127.0.0.1',
    cf: false,
  })
  const url = (await miniflare.ready).origin
  const pid = workerds().find((each) => !before.has(each))
  if (pid === undefined) throw new Error('workerd was not found among the processes: this needs Linux')
  return { url, pid, close: () => miniflare.dispose() }
}
