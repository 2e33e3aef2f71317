/** Clients of both Workers: they ask, read to the end, and say when the first token came. */
import { Agent, type ClientRequest, type IncomingMessage, request } from 'node:http'
import type { Served } from './bare.ts'
import type { Person, Stage } from './stage.ts'

export interface Heard {
  /** From the request to the first bytes that carry a token, in ms. */
  firstMs: number
  /** To the end of the answer, in ms. */
  ms: number
  text: string
}

/** Connections are kept, as programs and proxies keep them. */
const agent = new Agent({ keepAlive: true, maxSockets: Number.POSITIVE_INFINITY })

interface Asked {
  url: string
  headers: Record<string, string>
  json: unknown
  /** Stands in what carries the first token, and not before it. */
  token: string
  /** Stands at the end of a whole answer. */
  end: string
  /** Called when the first token is there. */
  onToken?: (() => void) | undefined
}

/** Posts JSON and reads the answer to its end. @throws Error when it is not a whole answer */
function ask(asked: Asked): Promise<Heard> {
  const { url, headers, json, token, end, onToken } = asked
  const body = Buffer.from(JSON.stringify(json))
  const began = performance.now()
  return new Promise((resolve, reject) => {
    const asking: ClientRequest = request(
      url,
      {
        ...{ method: 'POST', agent },
        headers: { ...headers, 'Content-Type': 'application/json', 'Content-Length': body.length },
      },
      (answer) => {
        let text = ''
        let firstMs: number | undefined
        answer.setEncoding('utf8')
        answer.on('data', (part: string) => {
          text += part
          if (firstMs !== undefined || !text.includes(token)) return
          firstMs = performance.now() - began
          onToken?.()
        })
        answer.on('end', () => {
          const ms = performance.now() - began
          const isWhole = answer.statusCode === 200 && text.includes(end)
          if (isWhole && firstMs !== undefined) resolve({ firstMs, ms, text })
          else reject(new Error(`${url} answered ${answer.statusCode}: …${text.slice(-500)}`))
        })
        answer.on('error', reject)
      },
    )
    asking.on('error', (error: Error & { code?: string }) => {
      // A kept connection that the other side has just closed: nothing was asked yet.
      if (asking.reusedSocket && error.code === 'ECONNRESET') resolve(ask(asked))
      else reject(error)
    })
    asking.end(body)
  })
}

/**
 * A question whose answer is so many deltas of 12 characters. With a delay each delta is a write of its own, and so
 * as a rule a network read of its own, as real upstreams stream; without one they come as fast as they can.
 */
export const question = (deltas: number, delayMs: number): string =>
  `[[chunks=${deltas},size=12]] [[delay=${delayMs}]]`

export interface Wish {
  message: string
  onToken?: () => void
  /** Which of our Workers; the first one when absent. */
  at?: Served
}

const LIMIT = 100_000

/** Through a chat: as a stream, or as one JSON answer. */
export const askChat = (
  stage: Stage,
  person: Person,
  chatUid: string,
  wish: Wish,
  stream = true,
): Promise<Heard> =>
  ask({
    url: `${(wish.at ?? stage.ours).url}/api/chat/message${stream ? '?stream=true' : ''}`,
    headers: { Authorization: `Bearer ${person.token}` },
    json: { role: 'user', message: wish.message, chatUid, modelUid: stage.modelUid, maxTokens: LIMIT },
    token: stream ? 'event: message_delta' : '"assistantMessage"',
    end: stream ? 'event: message_end' : '"newBalance"',
    onToken: wish.onToken,
  })

const completion = (model: string, message: string) => ({
  ...{ model, stream: true, max_tokens: LIMIT, stream_options: { include_usage: true } },
  messages: [{ role: 'user', content: message }],
})

/** Through /v1, as a stream. */
export const askGateway = (stage: Stage, person: Person, wish: Wish): Promise<Heard> =>
  ask({
    url: `${(wish.at ?? stage.ours).url}/v1/chat/completions`,
    headers: { Authorization: `Bearer ${person.key}` },
    json: completion(stage.model, wish.message),
    ...{ token: '"content":"0 ', end: 'data: [DONE]', onToken: wish.onToken },
  })

/** Through the pass-through, as a stream. */
export const askBare = ({ bare, upstreamModel }: Stage, { message }: Wish): Promise<Heard> =>
  ask({
    url: `${bare.url}/v1/chat/completions`,
    headers: {},
    json: completion(upstreamModel, message),
    ...{ token: '"content":"0 ', end: 'data: [DONE]' },
  })

/** So many pieces of work, `width` of them at a time. */
export async function spread<Result>(
  count: number,
  width: number,
  work: (index: number, lane: number) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = []
  let next = 0
  const lanes = Array.from({ length: width }, async (_, lane) => {
    while (next < count) {
      const index = next++
      results[index] = await work(index, lane)
    }
  })
  await Promise.all(lanes)
  return results
}

/** A stream that is held open and listened to, as a screen holds a feed. */
export interface Held {
  close(): void
}

/** A feed says 200 also when Redis is late on a busy machine, and asks its client to come again. */
const TRIES = 10
const AGAIN_MS = 500

/** Opens a stream; resolves when `ready` was heard. `onText` gets what comes from then on. */
export async function hold(
  url: string,
  headers: Record<string, string>,
  ready: string,
  onText?: (text: string) => void,
): Promise<Held> {
  for (let tries = 1; ; tries++) {
    try {
      return await open(url, headers, ready, onText)
    } catch (error) {
      if (tries === TRIES) throw error
      await new Promise((resolve) => setTimeout(resolve, AGAIN_MS))
    }
  }
}

const open = (
  url: string,
  headers: Record<string, string>,
  ready: string,
  onText?: (text: string) => void,
): Promise<Held> =>
  new Promise((resolve, reject) => {
    const asking = request(url, { headers, agent: false }, (answer: IncomingMessage) => {
      let isReady = false
      let early = ''
      answer.setEncoding('utf8')
      answer.on('data', (text: string) => {
        if (isReady) return onText?.(text)
        early += text
        if (!early.includes(ready)) return
        isReady = true
        early = ''
        resolve({ close: () => asking.destroy() })
      })
      answer.on('close', () => reject(new Error(`${url} ended with ${answer.statusCode}: ${early}`)))
      answer.on('error', () => undefined)
    })
    asking.on('error', reject)
    asking.end()
  })

/** Opens the feed of everything for a person and resolves when its snapshot is there. */
export const watch = (at: Served, { token }: Person, onText?: (text: string) => void): Promise<Held> =>
  hold(`${at.url}/api/feed`, { Authorization: `Bearer ${token}` }, 'event: snapshot', onText)
