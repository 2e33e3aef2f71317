// Every recorded upstream answer, read whole, by events, by random bytes, cut and hung. The recordings are
// not part of the project: FIXTURES_DIR, or the folder beside the checkout; without it nothing is proved here.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { collect, fakeFetch, type Got, requestOf, shred, TIMES } from './feed.ts'

interface Expected {
  text: string
  reasoning: string
  reasoning_alt?: { text: string }
  finish_reason: string | null
  done?: boolean
  status?: number
  tool_calls: number
  usage: null | Record<
    'prompt_tokens' | 'completion_tokens' | 'total_tokens' | 'cached_tokens' | 'reasoning_tokens',
    number | null
  >
  error: null | { message: string; code?: string | number | null; form?: string }
}

const dir = process.env.FIXTURES_DIR ?? join(import.meta.dirname, '../../../../shared/fixtures')
const present = existsSync(join(dir, 'expected.json'))
if (!present) console.info('recordings: left out, no folder of recorded upstream answers (FIXTURES_DIR)')

const expected = present
  ? (JSON.parse(readFileSync(join(dir, 'expected.json'), 'utf8')) as Record<string, Expected>)
  : {}
const names = present
  ? readdirSync(dir).filter((name) => name !== 'expected.json' && /\.(sse|json)$/.test(name))
  : []

function load(name: string): { status: number; headers: Record<string, string>; bytes: Uint8Array } {
  const bytes = new Uint8Array(readFileSync(join(dir, name)))
  if (name.endsWith('.sse')) return { status: 200, headers: { 'content-type': 'text/event-stream' }, bytes }
  if (!name.endsWith('.err.json'))
    return { status: 200, headers: { 'content-type': 'application/json' }, bytes }
  const told = JSON.parse(new TextDecoder().decode(bytes)) as {
    status: number
    headers: Record<string, string>
    body: unknown
  }
  const body = typeof told.body === 'string' ? told.body : JSON.stringify(told.body)
  return { status: told.status, headers: told.headers, bytes: new TextEncoder().encode(body) }
}

/** After each blank line, whatever the line ends. */
function byEvent(bytes: Uint8Array): Uint8Array[] {
  const text = new TextDecoder().decode(bytes)
  return text.split(/(?<=\r\n\r\n|\n\n|\r\r)/).map((piece) => new TextEncoder().encode(piece))
}

function wantedUsage(usage: NonNullable<Expected['usage']>): Record<string, number> {
  const pairs: Array<[string, number | null]> = [
    ['promptTokens', usage.prompt_tokens],
    ['completionTokens', usage.completion_tokens],
    ['totalTokens', usage.total_tokens],
    ['cachedTokens', usage.cached_tokens],
    ['reasoningTokens', usage.reasoning_tokens],
  ]
  return Object.fromEntries(pairs.filter((pair): pair is [string, number] => pair[1] !== null))
}

function check(name: string, want: Expected, got: Got): void {
  expect(got.text).toBe(want.text)
  // Thinking parts (Mistral) are reasoning to a reader, though `expected.json` keeps them apart.
  expect(got.reasoning).toBe(want.reasoning_alt?.text ?? want.reasoning)
  expect(got.end.finishReason).toBe(want.finish_reason)
  expect(got.chunks.some((chunk) => chunk.toolCalls)).toBe(want.tool_calls > 0)
  expect(got.end.usage ?? null).toEqual(want.usage === null ? null : wantedUsage(want.usage))
  expect(got.chunks.findLast((chunk) => chunk.usage)?.usage).toEqual(got.end.usage)
  expect(got.reads).not.toContain(0)
  const produced = want.text !== '' || got.reasoning !== '' || want.tool_calls > 0
  expect(got.end.firstTokenMs !== undefined).toBe(produced)
  expect(got.chunks.some((chunk) => chunk.produced)).toBe(produced)
  if (want.error === null) {
    const ended = want.done === true || want.finish_reason !== null
    expect(got.end.done).toBe(ended)
    expect(got.end.fault?.kind).toBe(ended ? undefined : 'incomplete')
    return
  }
  const fault = got.end.fault
  const status = want.status ?? 200
  const limited = status === 429 || want.error.code === 429
  const kind = limited ? 'rate_limited' : status === 200 ? 'error_in_stream' : 'status'
  expect(fault?.kind).toBe(kind)
  if (limited) expect(fault?.status).toBe(429)
  else if (status !== 200) expect(fault?.status).toBe(status)
  if (want.error.code) expect(fault?.upstreamCode).toBe(String(want.error.code))
  if (want.error.message.startsWith('<html')) expect(fault?.message).toBe(`HTTP ${status} with an HTML page`)
  else expect(fault?.message).toBe(want.error.message.replace(/sk-[\w*]+/, '***'))
  expect(got.end.done, name).toBe(false)
}

describe.skipIf(!present)('recorded answers', () => {
  it('are all here and all expected', () => {
    expect(names.length).toBe(39)
    expect(names.toSorted()).toEqual(Object.keys(expected).toSorted())
  })

  it.each(names)('%s', async (name) => {
    const { status, headers, bytes } = load(name)
    const want = expected[name]!
    const splits = [[bytes], byEvent(bytes), shred(bytes, 1, 3), shred(bytes, 7, 40), shred(bytes, 99, 1500)]
    for (const pieces of splits) {
      const got = await collect(requestOf(fakeFetch({ status, headers, pieces }).fetch))
      check(name, want, got)
    }
    // The content type lies: nothing changes.
    for (const type of ['application/octet-stream', 'application/json', 'text/event-stream', 'text/html']) {
      const lying = { ...headers, 'content-type': type }
      check(
        name,
        want,
        await collect(requestOf(fakeFetch({ status, headers: lying, pieces: [bytes] }).fetch)),
      )
    }
  })

  it.concurrent.each(
    names.filter((name) => !name.endsWith('.err.json') && !name.includes('json-error-body')),
  )('%s, broken off or silent half-way', async (name) => {
    const { headers, bytes } = load(name)
    const whole = await collect(requestOf(fakeFetch({ headers, pieces: [bytes] }).fetch))
    const broken = [0.1, 0.5, 0.9].map(async (part) => {
      const pieces = [bytes.subarray(0, Math.floor(bytes.length * part))]
      const times = { ...TIMES, firstTokenMs: 400, silenceMs: 400 }
      const cut = await collect(requestOf(fakeFetch({ headers, pieces, ending: 'break' }).fetch))
      const closed = await collect(requestOf(fakeFetch({ headers, pieces }).fetch))
      const hungFetch = fakeFetch({ headers, pieces, ending: 'hang' })
      const hung = await collect(requestOf(hungFetch.fetch, { times }))
      for (const got of [cut, closed, hung]) {
        expect(whole.text.startsWith(got.text)).toBe(true)
        expect(whole.reasoning.startsWith(got.reasoning)).toBe(true)
        // The finish reason came before the break: nothing of the text is missing.
        if (got.end.finishReason !== null) {
          expect(got.end.fault).toBeUndefined()
          expect(got.text).toBe(whole.text)
        }
      }
      if (cut.end.finishReason === null) expect(cut.end.fault?.kind).toBe('incomplete')
      if (closed.end.finishReason === null) {
        expect(closed.end.fault?.kind).toBe(name.endsWith('.json') ? 'bad_answer' : 'incomplete')
      }
      if (hung.end.finishReason === null) {
        const begun = hung.chunks.some((chunk) => chunk.produced) || name.endsWith('.json')
        expect(hung.end.fault?.kind).toBe(begun ? 'silence_timeout' : 'first_token_timeout')
      }
      expect(hungFetch.cancelled()).toBe(1)
    })
    await Promise.all(broken)
  })
})
