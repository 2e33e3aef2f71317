/** An upstream that answers by a script in the question: any text, cut anywhere, at any pace. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

export interface Script {
  pieces: string[]
  reasoning: string[]
  /** How often the pieces are said over again; once when absent. */
  times?: number
  /** Pieces that go out together, and the pause after them. */
  together: number
  pauseMs: number
}

export async function startScripted(): Promise<{ link: string; close(): void }> {
  const server = createServer(async (request, response) => {
    const parts: Buffer[] = []
    try {
      for await (const part of request) parts.push(part)
    } catch {
      return // whoever asked is gone
    }
    const { messages } = JSON.parse(Buffer.concat(parts).toString())
    const script = JSON.parse(messages.at(-1).content) as Script
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    const chunks = [
      ...script.reasoning.map((reasoning_content) => ({ reasoning_content })),
      ...Array.from({ length: script.times ?? 1 }, () =>
        script.pieces.map((content) => ({ content })),
      ).flat(),
    ].map((delta) => `data: ${JSON.stringify({ choices: [{ index: 0, delta }] })}\n\n`)
    for (let i = 0; i < chunks.length && !response.destroyed; i += script.together) {
      response.write(chunks.slice(i, i + script.together).join(''))
      if (script.pauseMs > 0) await sleep(script.pauseMs)
    }
    response.end(
      `data: ${JSON.stringify({ choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] })}\n\ndata: [DONE]\n\n`,
    )
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  return {
    link: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    close: () => {
      server.close()
      server.closeAllConnections()
    },
  }
}
