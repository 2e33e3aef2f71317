/** An upstream that answers as each model's address says, and keeps what it was asked. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface Canned {
  status?: number
  /** By default that of the body: events, or JSON. */
  type?: string
  headers?: Record<string, string>
  body: string
}

export type Request = Record<string, any>

export interface CannedUpstream {
  /** A new api_link: what is asked there is answered so. */
  link(answer: Canned | ((request: Request) => Canned)): string
  /** What was asked, oldest first. */
  asked: Request[]
  close(): void
}

export async function startCanned(): Promise<CannedUpstream> {
  const answers: ((request: Request) => Canned)[] = []
  const asked: Request[] = []
  const server = createServer(async (request, response) => {
    const parts: Buffer[] = []
    for await (const part of request) parts.push(part)
    const json = JSON.parse(Buffer.concat(parts).toString()) as Request
    asked.push(json)
    const answer = answers[Number(/^\/(\d+)\//.exec(request.url ?? '')?.[1])]!(json)
    const isStream = /^(data|event|:)/.test(answer.body)
    response.writeHead(answer.status ?? 200, {
      'content-type': answer.type ?? (isStream ? 'text/event-stream' : 'application/json'),
      ...answer.headers,
    })
    response.end(answer.body)
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  const { port } = server.address() as AddressInfo
  return {
    link(answer) {
      answers.push(typeof answer === 'function' ? answer : () => answer)
      return `http://127.0.0.1:${port}/${answers.length - 1}/v1`
    },
    asked,
    close: () => {
      server.close()
      server.closeAllConnections()
    },
  }
}

const USAGE = { prompt_tokens: 9, completion_tokens: 4, total_tokens: 13 }

/** A whole completion. */
export const completion = (message: object, choice: object = {}, more: object = {}): string =>
  JSON.stringify({
    ...{ id: 'theirs', object: 'chat.completion', created: 1_700_000_000, model: 'theirs' },
    choices: [
      {
        index: 0,
        message: { role: 'assistant', content: null, ...message },
        finish_reason: 'stop',
        ...choice,
      },
    ],
    usage: USAGE,
    ...more,
  })

/** The same in chunks. */
export const stream = (...choices: object[]): string => {
  const head = { id: 'theirs', object: 'chat.completion.chunk', created: 1_700_000_000, model: 'theirs' }
  const chunks = [
    ...choices.map((choice) => ({ ...head, choices: [{ index: 0, finish_reason: null, ...choice }] })),
    { ...head, choices: [], usage: USAGE },
  ]
  return `${chunks.map((chunk) => `data: ${JSON.stringify(chunk)}\n\n`).join('')}data: [DONE]\n\n`
}
