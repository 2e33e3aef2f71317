import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  createEventReader,
  type EventTooLarge,
  isEventTooLarge,
  type ServerEvent,
} from '../../../src/ports/upstream/event-stream.ts'
import { shred } from './feed.ts'

const encoder = new TextEncoder()

function readAll(pieces: Array<Uint8Array | string>, limit?: number): ServerEvent[] {
  const reader = createEventReader(limit)
  const events = pieces.flatMap((piece) =>
    reader.push(typeof piece === 'string' ? encoder.encode(piece) : piece),
  )
  return [...events, ...reader.end()]
}

/** Words without line ends; astral characters and lookalikes of line ends included. */
const words = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 40 }).map((text) => text.replace(/[\r\n]/g, '·')),
  fc.constantFrom('', ' ', ':', 'data: x', '😀é漢\u2028\u0085', '\u0000', '\ufeff', '[DONE]'),
)
const lineEnd = fc.constantFrom('\n', '\r\n', '\r')
const filler = fc.oneof(
  words.map((text) => `:${text}`),
  words.map((text) => `id: ${text}`),
  fc.constantFrom('retry: 10', 'unknown: field', 'unknown', ': keep-alive', ':'),
)

interface Rendered {
  bytes: Uint8Array
  events: ServerEvent[]
}

/** A document of events in random framing, and the events that a reader of the standard gets out of it. */
const rendered: fc.Arbitrary<Rendered> = fc
  .record({
    bom: fc.boolean(),
    lastBlank: fc.boolean(),
    events: fc.array(
      fc.record({
        name: fc.option(fc.constantFrom('error', 'message', 'ping', '漢😀'), { nil: undefined }),
        lines: fc.array(fc.tuple(words, fc.boolean(), fc.array(filler, { maxLength: 2 })), {
          minLength: 1,
          maxLength: 4,
        }),
        ends: fc.array(lineEnd, { minLength: 1, maxLength: 5 }),
        blanks: fc.integer({ min: 1, max: 3 }),
      }),
      { minLength: 1, maxLength: 8 },
    ),
  })
  .map(({ bom, lastBlank, events }) => {
    let text = bom ? '\ufeff' : ''
    events.forEach((event, index) => {
      let turn = 0
      // A bare CR before an LF would be one line end, not two; so LF never follows a CR of another line.
      const end = (): string => {
        const next = event.ends[turn++ % event.ends.length]!
        return text.endsWith('\r') && next === '\n' ? '\r' : next
      }
      const line = (content: string): void => {
        text += content
        text += end()
      }
      if (event.name !== undefined) line(`event: ${event.name}`)
      event.lines.forEach(([value, space, fillers], at) => {
        for (const extra of fillers) line(extra)
        const content = `data:${space || value.startsWith(' ') ? ' ' : ''}${value}`
        const isLast = index === events.length - 1 && at === event.lines.length - 1
        if (isLast && !lastBlank) text += content
        else line(content)
      })
      if (index < events.length - 1 || lastBlank) for (let i = 0; i < event.blanks; i++) line('')
    })
    return {
      bytes: encoder.encode(text),
      events: events.map((event) => ({
        event: event.name,
        data: event.lines.map(([value]) => value).join('\n'),
      })),
    }
  })

describe('the event reader', () => {
  it('gets the same events out of any framing and any split', () => {
    fc.assert(
      fc.property(rendered, fc.nat(), fc.integer({ min: 1, max: 60 }), ({ bytes, events }, seed, max) => {
        expect(readAll([bytes])).toEqual(events)
        expect(readAll(shred(bytes, seed, max))).toEqual(events)
        expect(readAll(shred(bytes, seed, 1))).toEqual(events)
      }),
      { numRuns: 400 },
    )
  })

  it('never throws on noise, and does not depend on how the noise is split', () => {
    const noise = fc.array(
      fc.oneof(
        fc.constantFrom(
          'data',
          'data:',
          'event:',
          'error:',
          'error: {"a":1}',
          ':',
          '\n',
          '\r',
          '\r\n',
          ' ',
          '\ufeff',
        ),
        fc.string({ unit: 'binary', maxLength: 5 }),
      ),
      { maxLength: 40 },
    )
    fc.assert(
      fc.property(noise, fc.nat(), (parts, seed) => {
        const bytes = encoder.encode(parts.join(''))
        expect(readAll(shred(bytes, seed, 4))).toEqual(readAll([bytes]))
      }),
      { numRuns: 400 },
    )
  })

  it('delivers each event with the bytes that complete it, a CR included', () => {
    const reader = createEventReader()
    const push = (text: string): ServerEvent[] => reader.push(encoder.encode(text))
    expect(push('data: a\r\n')).toEqual([])
    expect(push('\r')).toEqual([{ event: undefined, data: 'a' }])
    expect(push('\ndata: b\n')).toEqual([])
    expect(push('\ndata:c\r\rdata: d')).toEqual([
      { event: undefined, data: 'b' },
      { event: undefined, data: 'c' },
    ])
    expect(reader.end()).toEqual([{ event: undefined, data: 'd' }])
  })

  it('takes a line named error for an event, after what was pending', () => {
    const events = readAll(['data: {"x":1}\nerror: {"error":"boom"}\n\nevent: ping\n\ndata: after\n\n'])
    expect(events).toEqual([
      { event: undefined, data: '{"x":1}' },
      { event: 'error', data: '{"error":"boom"}' },
      { event: undefined, data: 'after' },
    ])
  })

  it('replaces broken UTF-8 and goes on', () => {
    const bytes = new Uint8Array([
      ...encoder.encode('data: a'),
      0xff,
      0xe6,
      0xbc,
      ...encoder.encode('b\n\ndata: c\n\n'),
    ])
    for (const max of [1, 2, 100]) {
      expect(readAll(shred(bytes, 5, max)).map((event) => event.data)).toEqual(['a\ufffd\ufffdb', 'c'])
    }
  })

  it.each([1, 7, 1024, 65_536])('reads megabytes in pieces of %i bytes at most', (max) => {
    const long = '漢😀x'.repeat(max === 1 ? 20_000 : 150_000)
    const many = Array.from({ length: 20_000 }, (_, i) => `data: ${i}\r\n\r\n`).join('')
    const bytes = encoder.encode(`data: ${long}\n\n${many}data:${long}\r\r`)
    const events = readAll(shred(bytes, 3, max))
    expect(events.length).toBe(20_002)
    expect(events[0]!.data === long && events.at(-1)!.data === long).toBe(true)
    expect(events[20_000]!.data).toBe('19999')
  })

  it.each([
    ['a line without end', 'data: 0123456789', 1],
    ['lines without a blank line', 'data: 01\n', 0],
    ['empty lines of data', 'data\n', 0],
    ['an endless comment', ': 0123', 1],
  ])('stops at its bound: %s, and hands over what was whole', (_, piece, strip) => {
    const reader = createEventReader(1000)
    const flood = (): void => {
      reader.push(encoder.encode(`data: whole\n\n${piece}`))
      for (let i = 0; i < 1000; i++) reader.push(encoder.encode(strip ? piece.slice(6) || piece : piece))
    }
    expect(flood).toThrow(/1000/)
    const whole = createEventReader(1000)
    let error: unknown
    try {
      whole.push(encoder.encode(`data: whole\n\n${piece.padEnd(2000, piece)}\n\n`))
    } catch (thrown) {
      error = thrown
    }
    expect(isEventTooLarge(error)).toBe(true)
    expect((error as EventTooLarge).events).toEqual([{ event: undefined, data: 'whole' }])
  })
})
