/** The demo upstream in a process of its own: its pace must not hang on what the bridges and the clients do. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { startDemoUpstream } from '../dev/upstream.ts'

export interface Upstream {
  /** To be a model's `api_link`. */
  url: string
  close(): Promise<void>
}

export async function startUpstream(): Promise<Upstream> {
  const child = fork(import.meta.filename)
  const [url] = (await once(child, 'message')) as [string]
  return {
    url,
    async close() {
      const ended = once(child, 'exit')
      child.disconnect()
      await ended
    },
  }
}

if (import.meta.main) {
  const { url } = await startDemoUpstream()
  process.send?.(url)
  process.once('disconnect', () => process.exit(0))
}
