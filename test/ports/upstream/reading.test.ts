// The reader in the runtime that it is made for: a Worker of a few lines reads what a server here sends, and tells how.
import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { constants, createGzip } from 'node:zlib'
import { build } from 'esbuild'
import fc from 'fast-check'
import { Miniflare } from 'miniflare'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { root } from '../../../dev/root.ts'
import { pause } from '../../../src/core/pause.ts'
import { pacer } from '../../../src/ports/upstream/reading.ts'

/** Reads the body at `?url=` as the adapter does: the first piece at once, then together. Cancels after `?stop=` bytes. */
const WORKER = `
import { gatheringReader } from './reading.ts'
const { setTimeout } = globalThis
let rests = 0
globalThis.setTimeout = (...timer) => {
  rests++
  return setTimeout(...timer)
}
export default {
  async fetch(request) {
    const { searchParams } = new URL(request.url)
    const stop = Number(searchParams.get('stop') ?? Infinity)
    const rest = Number(searchParams.get('rest') ?? 0)
    const hold = Number(searchParams.get('hold') ?? 0)
    const control = new AbortController()
    const { body } = await fetch(searchParams.get('url'), { signal: control.signal })
    rests = 0
    const cancel = () => {
      control.abort()
      reader.cancel()
    }
    const reader = gatheringReader(body)
    const decoder = new TextDecoder()
    let text = ''
    let bytes = 0
    let reads = 0
    let lost = false
    try {
      for (;;) {
        // Somebody else cancels, as a stop does, while a read rests or waits.
        if (bytes >= stop) setTimeout(cancel, rest)
        if (bytes > 0 && hold > 0) {
          await new Promise((resolve) => setTimeout(resolve, hold))
          cancel()
        }
        const value = await reader.read(reads > 0)
        if (value === undefined) break
        reads++
        bytes += value.byteLength
        text += decoder.decode(value, { stream: true })
      }
    } catch {
      lost = true
    }
    // The end of a request would close its connections: what is to be seen is that they were closed before.
    if (stop < Infinity) await new Promise((resolve) => setTimeout(resolve, 1_500))
    return Response.json({ text: bytes > 1e6 ? '' : text, bytes, reads, rests, lost })
  },
}`

interface Told {
  text: string
  bytes: number
  reads: number
  /** How often a read waited for more than had come. */
  rests: number
  lost: boolean
}

let miniflare: Miniflare
let url: string
let send: (response: ServerResponse) => Promise<void>
const server = createServer(async (request, response) => {
  response.on('error', () => {})
  request.resume()
  await send(response)
})

beforeAll(async () => {
  const { outputFiles } = await build({
    stdin: { contents: WORKER, resolveDir: join(root, 'src/ports/upstream'), loader: 'ts' },
    ...{ bundle: true, format: 'esm', target: 'es2024', write: false },
  })
  miniflare = new Miniflare({
    modules: [{ type: 'ESModule', path: 'worker.js', contents: outputFiles[0]!.text }],
    compatibilityDate: '2026-07-30',
    cf: false,
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
})
afterAll(async () => {
  await miniflare.dispose()
  server.closeAllConnections()
  server.close()
})

async function read(how: (response: ServerResponse) => Promise<void>, more = ''): Promise<Told> {
  send = how
  const answer = await miniflare.dispatchFetch(`http://worker/?url=${encodeURIComponent(url)}${more}`)
  return (await answer.json()) as Told
}

it('what comes thick is read together, and nothing of it is lost or repeated', async () => {
  const pieces = Array.from({ length: 200 }, (_, n) => `data: piece ${n} of 🙂\n\n`)
  const told = await read(async (response) => {
    for (const piece of pieces) {
      response.write(piece)
      await pause(3)
    }
    response.end()
  })
  expect(told.text).toBe(pieces.join(''))
  expect(told.lost).toBe(false)
  expect(told.reads).toBeLessThan(pieces.length / 2)
  expect(told.rests).toBeGreaterThan(0)
})

it('the longer rest is for what comes faster than anybody reads, and is over when that is', () => {
  const event = (bytes: number) => `data: ${'x'.repeat(bytes - 8)}\n\n`
  /** The rests of a stream of so many events a second, after a burst. */
  const rests = (perSecond: number, bytes: number) => {
    const pace = pacer()
    const after = (events: number) => pace(Buffer.from(event(bytes).repeat(events)))
    const all = [after(5)]
    while (all.length < 20) all.push(after(Math.max(1, Math.floor((all.at(-1)! * perSecond) / 1_000))))
    return all
  }
  // However long they are: some upstreams send 100 bytes with a token, some 400, and with logprobs more.
  for (const bytes of [60, 100, 256, 402, 800]) {
    expect(new Set(rests(100, bytes)), `${bytes} bytes`).toEqual(new Set([100]))
    for (const perSecond of [10, 30, 40, 49])
      expect(new Set(rests(perSecond, bytes).slice(1)), `${bytes} bytes`).toEqual(new Set([40]))
  }
})

it.each([
  ['a blank line', 'event: a\ndata: b\n\n'],
  ['line ends of two characters', 'event: a\r\ndata: b\r\n\r\n'],
  ['line ends of one old character', 'event: a\rdata: b\r\r'],
])('an event is whole at %s, however it is cut', (_, event) => {
  const bytes = Buffer.from(event.repeat(2))
  for (let cut = 1; cut < bytes.length; cut++) {
    const pace = pacer()
    const [first, second] = [pace(bytes.subarray(0, cut)), pace(bytes.subarray(cut))]
    const head = bytes.subarray(0, cut).toString()
    expect(first, JSON.stringify(head)).toBe(/(\n\n|\r\n\r\n?|\r\r)$/.test(head) ? 40 : 0)
    expect(second, JSON.stringify(head)).toBe(40)
  }
})

it('the rest of an event is not waited for, and neither is what lies ready', async () => {
  const split = await read(async (response) => {
    for (const piece of ['data: the head', ' of an event', '\n\n', 'event: a\n', 'data: of lines\n', '\n']) {
      response.write(piece)
      await pause(60)
    }
    response.end()
  })
  expect(split).toMatchObject({
    text: 'data: the head of an event\n\nevent: a\ndata: of lines\n\n',
    lost: false,
  })
  // After each event, and not after each line.
  expect(split.rests).toBeLessThanOrEqual(2)
  const line = `${'x'.repeat(98)}\n\n`
  const ready = await read(async (response) => void response.end(line.repeat(5_000)))
  expect(ready).toMatchObject({ bytes: 500_000, lost: false })
  expect(ready.rests).toBeLessThan(10)
})

it('any pieces at any pace come out whole and in order', async () => {
  const piece = fc.record({
    size: fc.oneof(
      { weight: 4, arbitrary: fc.integer({ min: 1, max: 300 }) },
      fc.integer({ min: 1, max: 70_000 }),
    ),
    wait: fc.constantFrom(0, 0, 0, 1, 5, 30, 120),
    line: fc.boolean(),
  })
  await fc.assert(
    fc.asyncProperty(fc.array(piece, { minLength: 1, maxLength: 25 }), async (pieces) => {
      const parts = pieces.map(({ size, line }, n) => {
        const part = String.fromCharCode(97 + (n % 26)).repeat(size)
        return line ? `${part.slice(2)}\n\n` : part
      })
      const told = await read(async (response) => {
        for (const [n, part] of parts.entries()) {
          response.write(part)
          const { wait } = pieces[n]!
          if (wait > 0) await pause(wait)
        }
        response.end()
      })
      expect(told.bytes).toBe(parts.join('').length)
      if (told.bytes <= 1e6) expect(told.text).toBe(parts.join(''))
      expect(told.lost).toBe(false)
    }),
    { numRuns: 25 },
  )
})

it('an upstream that is faster than its reader has to wait', async () => {
  let megabytes = 0
  const megabyte = Buffer.alloc(1024 * 1024, 'x')
  const told = await read(async (response) => {
    response.setMaxListeners(0)
    // `write` says when nobody takes it, and `drain` when there is room.
    while (megabytes < 500 && !response.destroyed) {
      megabytes++
      if (!response.write(megabyte)) await Promise.race([once(response, 'drain'), once(response, 'close')])
    }
  }, '&hold=1500')
  expect(told.bytes).toBeGreaterThan(0)
  // What two ends of a connection hold by themselves, and no more.
  expect(megabytes).toBeLessThan(50)
})

it('a compressed body is read as what it says', async () => {
  const pieces = Array.from({ length: 40 }, (_, n) => `data: piece ${n} of 🙂\n\n`)
  const told = await read(async (response) => {
    response.setHeader('Content-Encoding', 'gzip')
    const gzip = createGzip({ flush: constants.Z_SYNC_FLUSH })
    gzip.pipe(response)
    for (const piece of pieces) {
      gzip.write(piece)
      await pause(3)
    }
    gzip.end()
  })
  expect(told).toMatchObject({ text: pieces.join(''), lost: false })
})

it('much comes whole', async () => {
  const told = await read(async (response) => {
    for (let n = 0; n < 50; n++)
      if (!response.write(Buffer.alloc(1024 * 1024, 'x'))) await once(response, 'drain')
    response.end()
  })
  expect(told).toMatchObject({ bytes: 50 * 1024 * 1024, lost: false })
})

it.each([
  ['while it rests', 'rest=10', 200],
  ['while it waits for bytes that do not come', 'rest=400', 200],
  ['in the middle of much', 'rest=0', 1024 * 1024],
])('a cancelled read ends at once and closes the connection: %s', async (_, rest, size) => {
  let isClosed = false
  const told = await read(async (response) => {
    response.on('close', () => {
      isClosed = true
    })
    response.write(`${'x'.repeat(size)}\n\n`)
  }, `&stop=1&${rest}`)
  expect(told.bytes).toBeGreaterThan(0)
  expect(told.lost).toBe(false)
  expect(isClosed).toBe(true)
})

it('a connection that breaks is no end', async () => {
  const told = await read(async (response) => {
    response.write('the beginning', () => response.destroy())
  })
  expect(told).toMatchObject({ text: 'the beginning', lost: true })
})
