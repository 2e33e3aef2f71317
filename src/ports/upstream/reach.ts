import type { Reach } from './port.ts'

/** The one call of the runtime's socket module that is used here. */
interface Sockets {
  connect(
    address: { hostname: string; port: number },
    options: { secureTransport: 'off' },
  ): { opened: Promise<unknown>; close(): Promise<void> }
}

// Not a literal, so that neither a bundler nor Node's checker looks for what only workerd has.
const SOCKETS = 'cloudflare:sockets'

/**
 * Tells whether a host accepts connections: 'open', or 'silent' if a bare TCP connection neither opens nor
 * fails within `ms`. 'unknown' if it failed (Cloudflare refuses sockets to its own addresses; what refuses
 * everybody is told by `fetch` itself) or where the runtime has no sockets (Node). Never throws.
 */
export const reach: Reach = async (url, ms) => {
  let timer: ReturnType<typeof setTimeout> | undefined
  try {
    const { connect } = (await import(/* @vite-ignore */ SOCKETS)) as Sockets
    const { hostname, port, protocol } = new URL(url)
    const socket = connect(
      { hostname: hostname.replace(/^\[|\]$/g, ''), port: Number(port) || (protocol === 'http:' ? 80 : 443) },
      { secureTransport: 'off' },
    )
    const silence = new Promise<'silent'>((resolve) => {
      timer = setTimeout(() => resolve('silent'), ms)
    })
    const result = await Promise.race([socket.opened.then(() => 'open' as const), silence])
    socket.close().catch(() => {})
    return result
  } catch {
    return 'unknown'
  } finally {
    if (timer !== undefined) clearTimeout(timer)
  }
}
