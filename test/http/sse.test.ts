import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { createOutlet, type Reader } from '../../src/http/sse.ts'

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

/** A client that reads at once, and what it was sent. */
function reader() {
  const sent: string[] = []
  const stream: Reader = {
    write: async (text: string) => {
      sent.push(text)
    },
    abort: () => void sent.push('ABORTED'),
  }
  return { sent, stream }
}

it('a heartbeat never takes the reader back behind what it was sent', async () => {
  const { sent, stream } = reader()
  const outlet = createOutlet()
  const piping = outlet.pipe(stream)
  outlet.event('a', {}, 'E-1')
  outlet.mark('E-1')
  outlet.event('b', {}, 'E-2')
  await vi.advanceTimersByTimeAsync(15_000)
  expect(sent.at(-1)).toBe('id: E-2\n: keep-alive\n\n')
  outlet.mark('E-5') // seen, but not shown by this feed
  await vi.advanceTimersByTimeAsync(15_000)
  expect(sent.at(-1)).toBe('id: E-5\n: keep-alive\n\n')
  outlet.end()
  await piping
})

it('one event of any size goes out, a reader that lets 4 MiB lie is let go', async () => {
  const { sent, stream } = reader()
  const outlet = createOutlet()
  outlet.event('snapshot', 'x'.repeat(5 * 1024 * 1024))
  const piping = outlet.pipe(stream)
  await vi.advanceTimersByTimeAsync(0)
  expect(sent).toHaveLength(1)
  stream.write = () => new Promise(() => {})
  outlet.event('taken', {})
  await vi.advanceTimersByTimeAsync(0)
  outlet.event('small', {})
  outlet.event('large', 'x'.repeat(5 * 1024 * 1024))
  expect(sent.at(-1)).toBe('ABORTED')
  void piping
})

it('every event goes out at once, and what waited for a slow reader goes out together', async () => {
  const { sent, stream } = reader()
  let taken = Promise.withResolvers<void>()
  stream.write = (text) => {
    sent.push(text)
    return taken.promise
  }
  const outlet = createOutlet()
  const piping = outlet.pipe(stream)
  outlet.event('start', {})
  await vi.advanceTimersByTimeAsync(0)
  expect(sent).toEqual(['event: start\ndata: {}\n\n'])
  for (const delta of [1, 2, 3]) {
    outlet.event('delta', delta)
    await vi.advanceTimersByTimeAsync(0)
  }
  expect(sent).toHaveLength(1)
  taken.resolve()
  taken = Promise.withResolvers<void>()
  taken.resolve()
  await vi.advanceTimersByTimeAsync(0)
  expect(sent.slice(1)).toEqual([[1, 2, 3].map((n) => `event: delta\ndata: ${n}\n\n`).join('')])
  outlet.event('end', {})
  outlet.end()
  await piping
  expect(sent.slice(2)).toEqual(['event: end\ndata: {}\n\n'])
  expect(vi.getTimerCount()).toBe(0)
})

it('a reader that takes what comes is never let go, however much it is', async () => {
  const { sent, stream } = reader()
  const outlet = createOutlet()
  const piping = outlet.pipe(stream)
  const piece = 'x'.repeat(100_000)
  // More in all than a reader may be behind, and no time passes.
  for (let i = 0; i < 60; i++) {
    outlet.data(piece)
    await vi.advanceTimersByTimeAsync(0)
  }
  outlet.end()
  await piping
  expect(sent.join('')).toBe(`data: ${piece}\n\n`.repeat(60))
})
