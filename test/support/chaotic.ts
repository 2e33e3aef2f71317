/** An upstream that stalls, cuts, errs, lies about usage and ignores limits, as a dice in each request says. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

export const KINDS = [
  'good',
  'good',
  'good',
  'slow',
  'silent',
  'stall',
  'cut',
  'error',
  'error after',
  'busy',
  'no usage',
  'huge usage',
  'odd usage',
  'endless',
  'empty',
  'garbage',
] as const
export type Kind = (typeof KINDS)[number]

const USAGE: Partial<Record<Kind, object>> = {
  'huge usage': { prompt_tokens: 900_000_000, completion_tokens: 999_999_999, total_tokens: 2_000_000_000 },
  'odd usage': { prompt_tokens: -5, completion_tokens: 1.5, total_tokens: 'many' },
}

/** What one call was told: how often the question's words, and the usage, if any that counts. */
export interface Said {
  pieces: number
  usage: { prompt_tokens: number; completion_tokens: number } | undefined
}

/** Its answers repeat the question, so that a text can be traced to who asked for it: `said` is by question. */
export async function startChaotic(random: () => number): Promise<{
  link: string
  counts: Record<string, number>
  said: Map<string, Said[]>
  close(): void
}> {
  const counts: Record<string, number> = {}
  const said = new Map<string, Said[]>()
  const server = createServer(async (request, response) => {
    const parts: Buffer[] = []
    try {
      for await (const part of request) parts.push(part)
    } catch {
      return // whoever asked is gone
    }
    const { messages, max_tokens } = JSON.parse(Buffer.concat(parts).toString())
    const word = String(messages.at(-1).content)
    const kind = KINDS[Math.floor(random() * KINDS.length)]!
    counts[kind] = (counts[kind] ?? 0) + 1
    const told: Said = { pieces: 0, usage: undefined }
    said.set(word, [...(said.get(word) ?? []), told])
    const fail = (status: number, headers = {}) =>
      response
        .writeHead(status, { 'content-type': 'application/json', ...headers })
        .end('{"error":{"message":"chaos"}}')
    if (kind === 'error') return fail(500)
    if (kind === 'busy') return fail(429, { 'retry-after': '1' })
    if (kind === 'silent') return
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    if (kind === 'garbage') return response.end('<html>not what you asked for</html>')
    const say = (data: object) => response.write(`data: ${JSON.stringify(data)}\n\n`)
    const pieces =
      kind === 'empty'
        ? 0
        : kind === 'endless'
          ? Math.min(4 * max_tokens, 2_000)
          : 3 + Math.floor(random() * 30)
    for (let i = 0; i < pieces && !response.destroyed; i++) {
      say({ choices: [{ index: 0, delta: { content: `${word} ` } }] })
      told.pieces++
      if (i === 2 && kind === 'stall') return
      if (i === 2 && kind === 'cut') return response.destroy()
      if (i === 2 && kind === 'error after') return response.end('data: {"error":{"message":"chaos"}}\n\n')
      await sleep(kind === 'slow' ? 60 : kind === 'endless' ? 0 : 5)
    }
    const usage =
      USAGE[kind] ??
      (kind === 'no usage'
        ? undefined
        : { prompt_tokens: 7, completion_tokens: pieces, total_tokens: 7 + pieces })
    if (usage && kind !== 'odd usage') told.usage = usage as Said['usage']
    say({ choices: [{ index: 0, delta: {}, finish_reason: 'stop' }], ...(usage ? { usage } : {}) })
    response.end('data: [DONE]\n\n')
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  return {
    link: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    counts,
    said,
    close: () => {
      server.close()
      server.closeAllConnections()
    },
  }
}
