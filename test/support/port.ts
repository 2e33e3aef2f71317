import { createServer } from 'node:net'

/** Below the ports that the system gives away by itself, and for each process of the tests some of its own. */
const FIRST = 20_000 + 1_000 * Number(process.env.VITEST_POOL_ID ?? 0)
let tried = Math.floor(Math.random() * 1_000)

/** A port that nobody listens on at this moment: for processes that cannot be asked which one they took. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = FIRST + (tried++ % 1_000)
    if (await isFree(port)) return port
  }
}

const isFree = (port: number) =>
  new Promise<boolean>((resolve) => {
    const server = createServer()
      .once('error', () => resolve(false))
      .listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
