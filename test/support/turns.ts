/** An upstream that answers its requests in turn as it was told, the last way for ever. */
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

/** A refusal by its status; or a whole answer, one cut after a token, or a connection that dies before anything. */
export type Turn = { status: number; retryAfter?: number; afterMs?: number } | 'answer' | 'cut' | 'drop'

export interface Turns {
  link: string
  /** When each request came, in milliseconds since the epoch. */
  asked: number[]
  /** From now on these. */
  play(...turns: Turn[]): void
  close(): void
}

const event = (choice: object, more: object = {}) =>
  `data: ${JSON.stringify({ choices: [{ index: 0, ...choice }], ...more })}\n\n`

function take(turn: Turn, response: ServerResponse): void {
  if (turn === 'drop') response.destroy()
  else if (turn === 'answer' || turn === 'cut') {
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    const token = event({ delta: { content: 'Well.' } })
    if (turn === 'cut') response.write(token, () => setTimeout(() => response.destroy(), 50))
    else {
      const usage = { prompt_tokens: 5, completion_tokens: 2, total_tokens: 7 }
      response.end(`${token}${event({ delta: {}, finish_reason: 'stop' }, { usage })}data: [DONE]\n\n`)
    }
  } else {
    const { status, retryAfter } = turn
    response.writeHead(status, {
      'content-type': 'application/json',
      ...(retryAfter === undefined ? {} : { 'retry-after': String(retryAfter) }),
    })
    response.end(JSON.stringify({ error: { message: `as told: ${status}` } }))
  }
}

export async function startTurns(...first: Turn[]): Promise<Turns> {
  let turns = first
  const asked: number[] = []
  const server = createServer(async (request, response) => {
    for await (const _ of request);
    asked.push(Date.now())
    const turn = turns.length > 1 ? turns.shift()! : turns[0]!
    if (typeof turn === 'object' && turn.afterMs) await sleep(turn.afterMs)
    take(turn, response)
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  return {
    link: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    asked,
    play: (...next) => {
      turns = next
    },
    close: () => {
      server.close()
      server.closeAllConnections()
    },
  }
}
