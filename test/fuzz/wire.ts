/** The wire itself: `fetch` would mend the path, join the headers and refuse half of the methods. */
import { Agent, request } from 'node:http'
import { brotliDecompressSync, gunzipSync, inflateSync } from 'node:zlib'

export interface Sent {
  method: string
  /** With the query, as it goes out. */
  path: string
  headers: [string, string][]
  body?: Uint8Array
}

export interface Answer {
  status: number
  headers: Headers
  text: string
  /** It was an endless stream that had said enough. */
  cut: boolean
}

const LONGEST_MS = 20_000
const agent = new Agent({ keepAlive: true, maxSockets: 64 })
const UNZIP: Record<string, (bytes: Buffer) => Buffer> = {
  gzip: gunzipSync,
  br: brotliDecompressSync,
  deflate: inflateSync,
}

/**
 * A server may close a connection that waits for its next request; then the request goes out once more, on its own.
 * @param isEnough whether a stream has said all that is waited for
 * @throws Error when there is no answer, or it does not end
 */
export async function send(origin: string, sent: Sent, isEnough: (text: string) => boolean): Promise<Answer> {
  return (await attempt(origin, sent, isEnough, agent)) ?? (await attempt(origin, sent, isEnough, false))!
}

/** @returns undefined when the connection had been used before, and closed at once */
function attempt(
  origin: string,
  { method, path, headers, body }: Sent,
  isEnough: (text: string) => boolean,
  by: Agent | false,
): Promise<Answer | undefined> {
  const { hostname, port, host } = new URL(origin)
  const length: [string, string][] = body ? [['Content-Length', String(body.byteLength)]] : []
  return new Promise((resolve, reject) => {
    const asked = request({
      ...{ hostname, port, method, path, agent: by },
      headers: [['Host', host], ...headers, ...length].flat(),
    })
    const timer = setTimeout(() => asked.destroy(new Error('it did not end')), LONGEST_MS)
    asked.on('error', (error: NodeJS.ErrnoException) => {
      clearTimeout(timer)
      if (asked.reusedSocket && error.code === 'ECONNRESET') resolve(undefined)
      else reject(error)
    })
    asked.on('response', (answer) => {
      const chunks: Buffer[] = []
      const given = new Headers()
      for (let i = 0; i < answer.rawHeaders.length; i += 2)
        given.append(answer.rawHeaders[i]!, answer.rawHeaders[i + 1]!)
      const end = (cut: boolean) => {
        clearTimeout(timer)
        const bytes = Buffer.concat(chunks)
        const unzip = UNZIP[given.get('content-encoding') ?? '']
        const text = (unzip && bytes.length > 0 ? unzip(bytes) : bytes).toString()
        resolve({ status: answer.statusCode!, headers: given, text, cut })
      }
      const isStream = given.get('content-type')?.startsWith('text/event-stream')
      answer.on('data', (chunk: Buffer) => {
        chunks.push(chunk)
        if (!isStream || !isEnough(Buffer.concat(chunks).toString())) return
        answer.removeAllListeners('end')
        end(true)
        asked.destroy()
      })
      answer.on('end', () => end(false))
      answer.on('error', reject)
    })
    asked.end(body)
  })
}

export const closeWire = () => agent.destroy()
