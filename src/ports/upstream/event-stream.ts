// Server-sent events from bytes (WHATWG HTML, 9.2.6), as upstreams really send them.

export interface ServerEvent {
  event?: string
  data: string
}

/** Thrown when one line or event grows past the bound; `events` are the whole ones read before it. */
export interface EventTooLarge extends Error {
  code: 'event_too_large'
  events: ServerEvent[]
}

export interface EventReader {
  /** Events completed by these bytes. Throws `EventTooLarge`. */
  push(bytes: Uint8Array): ServerEvent[]
  /** The event that was pending at the end of the body, if any. Throws `EventTooLarge`. */
  end(): ServerEvent[]
}

const LF = 10
const SPACE = 32

/** The bound per event, in UTF-16 units: an image as base64 fits, an endless line does not. */
export const EVENT_LIMIT = 8 * 1024 * 1024

/** True for the error that a reader throws on an endless line or event. */
export function isEventTooLarge(error: unknown): error is EventTooLarge {
  return error instanceof Error && (error as Partial<EventTooLarge>).code === 'event_too_large'
}

/**
 * An incremental reader. Every character is looked at once; a line split over many reads is joined once.
 * Beyond the standard: an event pending at the end is delivered, and a field named `error` is an event
 * of that name at once (old text-generation-inference). `id` and `retry` are of no use here and dropped.
 */
export function createEventReader(limit: number = EVENT_LIMIT): EventReader {
  const decoder = new TextDecoder() // drops a leading BOM, keeps half a character until its rest comes
  let parts: string[] = [] // the unfinished line
  let partsLength = 0
  let afterCr = false // a line feed that comes next belongs to the carriage return before it
  let name: string | undefined
  let data: string[] = []
  let dataLength = 0
  let events: ServerEvent[] = []

  function hold(more: number): void {
    if (dataLength + partsLength + more <= limit) return
    const error = new Error(`an event of more than ${limit} characters`)
    throw Object.assign(error, { code: 'event_too_large' as const, events: taken() })
  }

  function taken(): ServerEvent[] {
    const out = events
    events = []
    return out
  }

  function dispatch(): void {
    if (data.length > 0) {
      events.push({ event: name, data: data.length === 1 ? data[0]! : data.join('\n') })
      data = []
      dataLength = 0
    }
    name = undefined
  }

  function valueAt(line: string, colon: number): string {
    return line.slice(line.charCodeAt(colon + 1) === SPACE ? colon + 2 : colon + 1)
  }

  function take(line: string): void {
    if (line.startsWith('data:')) {
      data.push(valueAt(line, 4))
      dataLength += line.length
    } else if (line.startsWith('event:')) name = valueAt(line, 5) || undefined
    else if (line.startsWith('error:')) {
      dispatch()
      events.push({ event: 'error', data: valueAt(line, 5) })
    } else if (line === '') dispatch()
    else if (line === 'data') {
      data.push('')
      dataLength += line.length
    }
  }

  function endLine(tail: string): void {
    hold(tail.length)
    if (partsLength === 0) {
      take(tail)
      return
    }
    parts.push(tail)
    const line = parts.join('')
    parts = []
    partsLength = 0
    take(line)
  }

  function feed(text: string): void {
    if (text === '') return
    let from = 0
    if (afterCr) {
      if (text.charCodeAt(0) === LF) from = 1
      afterCr = false
    }
    // Both positions are remembered, so a text without one of them is searched for it only once.
    let lf = text.indexOf('\n', from)
    let cr = text.indexOf('\r', from)
    while (lf !== -1 || cr !== -1) {
      const byLf = cr === -1 || (lf !== -1 && lf < cr)
      const stop = byLf ? lf : cr
      endLine(text.slice(from, stop))
      from = stop + 1
      if (!byLf) {
        if (lf === from) from++
        else if (from === text.length) afterCr = true
      }
      if (lf !== -1 && lf < from) lf = text.indexOf('\n', from)
      if (cr !== -1 && cr < from) cr = text.indexOf('\r', from)
    }
    if (from < text.length) {
      hold(text.length - from)
      parts.push(from === 0 ? text : text.slice(from))
      partsLength += text.length - from
    }
  }

  return {
    push(bytes) {
      feed(decoder.decode(bytes, { stream: true }))
      return taken()
    },
    end() {
      feed(decoder.decode())
      if (partsLength > 0) endLine('')
      dispatch()
      return taken()
    },
  }
}
