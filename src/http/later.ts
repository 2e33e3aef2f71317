import type { Ctx } from './context.ts'

/** A client that has left is noticed at the next write and not before (workerd, as most servers). */
const SPACE_EVERY_MS = 5_000

/**
 * A JSON answer that is certain to come with 200 but is not there yet. Spaces before it, which JSON allows, keep
 * proxies from cutting the connection and show whether anybody still waits. Should it not come after all, the body is
 * what `instead` makes of the error: a body that broke off would end as if it were whole (workerd).
 */
export function jsonLater(c: Ctx, value: Promise<unknown>, instead: (error: unknown) => unknown): Response {
  const encoder = new TextEncoder()
  let timer: ReturnType<typeof setInterval>
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      timer = setInterval(() => controller.enqueue(encoder.encode(' ')), SPACE_EVERY_MS)
      value
        .catch(instead)
        .then((whole) => {
          controller.enqueue(encoder.encode(JSON.stringify(whole)))
          controller.close()
        })
        .finally(() => clearInterval(timer))
    },
    cancel: () => clearInterval(timer),
  })
  // Not transformed: compressed, the spaces would wait for the rest.
  return c.body(body, 200, { 'Content-Type': 'application/json', 'Cache-Control': 'no-store, no-transform' })
}
