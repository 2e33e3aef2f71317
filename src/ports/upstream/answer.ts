// The body of one answer, as a machine: bytes in, chunks out, an end when it is over. No I/O, no clock.
import { type ChunkState, chunkOf } from './chunk.ts'
import { type Blot, errorOf, faultOf } from './error.ts'
import { createEventReader, isEventTooLarge, type ServerEvent } from './event-stream.ts'
import type { UpstreamChunk, UpstreamFault, UpstreamUsage } from './port.ts'
import { createSniffer } from './sniff.ts'
import { isRecord } from './usage.ts'

/** Produced text, reasoning and the rest, in UTF-16 units: an eighth of an isolate's memory. */
export const ANSWER_LIMIT = 16 * 1024 * 1024

export interface Answer {
  /** Chunks completed by these bytes. */
  push(bytes: Uint8Array): UpstreamChunk[]
  /** The body ended (`lost`: by a failure or a time limit); the chunks of what was pending. */
  end(lost: boolean): UpstreamChunk[]
  /** Nothing after this matters: [DONE] or a fault. */
  over(): boolean
  /** Output began: a token, or the first byte of a JSON answer. */
  begun(): boolean
  /** Every choice that spoke has finished; only usage and [DONE] may follow. */
  finished(): boolean
  outcome(): AnswerOutcome
}

export interface AnswerOutcome {
  finishReason: string | null
  done: boolean
  fault?: UpstreamFault
  usage?: UpstreamUsage
}

/** A reader for the body of one answer of status 200, whatever its content type says. */
export function createAnswer(blot: Blot, limit: number = ANSWER_LIMIT): Answer {
  const sniff = createSniffer()
  const reader = createEventReader()
  const state: ChunkState = { fresh: true, open: new Set() }
  let form: 'events' | 'json' | 'text' | undefined
  let json: string[] = []
  let jsonLength = 0
  const decoder = new TextDecoder()
  let produced = 0
  let fault: UpstreamFault | undefined
  let done = false
  let finishReason: string | null = null
  let usage: UpstreamUsage | undefined

  function fail(kind: UpstreamFault['kind'], message: string): void {
    fault ??= { kind, message: blot(message) }
  }

  function keep(object: Record<string, unknown>, whole: boolean, out: UpstreamChunk[]): void {
    const error = errorOf(object, false)
    const chunk = chunkOf(object, state, whole)
    if (chunk !== undefined) {
      // Never charged for what is not delivered: the chunk over the bound is dropped whole.
      produced += chunk.text.length + chunk.reasoning.length + chunk.extra.length
      if (produced > limit) {
        fail('too_large', `an answer of more than ${limit} characters`)
        return
      }
      if (chunk.usage !== undefined) usage = chunk.usage
      if (chunk.finishReason !== undefined) finishReason = chunk.finishReason
      if (error !== undefined) chunk.raw = withoutError(object)
      if (error === undefined || chunk.produced || chunk.usage !== undefined) out.push(chunk)
    }
    if (error !== undefined) fault ??= faultOf('error_in_stream', error, blot)
    // Kept raw, but nobody should take such an answer for a complete one.
    else if (chunk?.finishReason === 'error')
      fail('error_in_stream', 'the upstream gave "error" as finish reason')
  }

  /** True if the text was understood. */
  function read(text: string, certainError: boolean, out: UpstreamChunk[]): boolean {
    if (text === '[DONE]' || (text.length < 16 && text.trim() === '[DONE]')) {
      done = true
      return true
    }
    let value: unknown
    try {
      value = JSON.parse(text)
    } catch {
      return false
    }
    if (certainError) {
      const error = errorOf(value, true)
      if (error !== undefined) fault ??= faultOf('error_in_stream', error, blot)
    } else if (isRecord(value)) keep(value, false, out)
    else {
      const error = errorOf(value, false)
      if (error !== undefined) fault ??= faultOf('error_in_stream', error, blot)
    }
    return true
  }

  function hear(event: ServerEvent, last: boolean, out: UpstreamChunk[]): void {
    const { data } = event
    const isError = event.event === 'error'
    if (read(data, isError, out)) return
    if (isError) {
      fault ??= faultOf('error_in_stream', { message: data }, blot)
      return
    }
    // Events without a blank line between them: each line is a whole object of its own.
    if (
      data.includes('\n') &&
      data.split('\n').every((line) => over() || line.trim() === '' || read(line, false, out))
    )
      return
    // A broken object is a gap in the text; a broken last one was cut off. Other words are keep-alives.
    if (last) return
    if (/^\s*[{[]/.test(data)) fail('bad_answer', 'an event of the stream is not valid JSON')
  }

  function over(): boolean {
    return done || fault !== undefined
  }

  function hearAll(events: ServerEvent[], last: boolean, out: UpstreamChunk[]): void {
    for (const event of events) {
      if (over()) return
      hear(event, last, out)
    }
  }

  function pushEvents(bytes: Uint8Array | undefined, out: UpstreamChunk[]): void {
    try {
      hearAll(bytes === undefined ? reader.end() : reader.push(bytes), bytes === undefined, out)
    } catch (error) {
      if (!isEventTooLarge(error)) throw error
      hearAll(error.events, false, out)
      fail('too_large', error.message)
    }
  }

  function pushJson(text: string): void {
    jsonLength += text.length
    if (jsonLength > limit) fail('too_large', `an answer of more than ${limit} characters`)
    else json.push(text)
  }

  function endJson(lost: boolean, out: UpstreamChunk[]): void {
    pushJson(decoder.decode())
    if (fault !== undefined) return
    let value: unknown
    try {
      value = JSON.parse(json.join(''))
    } catch {
      json = []
      if (lost) fail('incomplete', 'the connection ended within a JSON answer')
      else fail('bad_answer', 'the answer is not valid JSON')
      return
    }
    json = []
    if (isRecord(value) && Array.isArray(value.choices) && value.choices.length > 0) {
      keep(value, true, out)
      done = fault === undefined
      return
    }
    const error =
      errorOf(value, false) ?? (isRecord(value) && 'message' in value ? errorOf(value, true) : undefined)
    if (error !== undefined) fault ??= faultOf('error_in_stream', error, blot)
    else fail('bad_answer', 'the JSON answer is not a chat completion')
  }

  function finished(): boolean {
    return finishReason !== null && state.open.size === 0
  }

  return {
    push(bytes) {
      const out: UpstreamChunk[] = []
      let body: Uint8Array = bytes
      if (form === undefined) {
        const found = sniff(bytes)
        if (found === undefined) return out
        form = found.form
        body = found.rest
      }
      if (form === 'events') pushEvents(body, out)
      else if (form === 'json') pushJson(decoder.decode(body, { stream: true }))
      else fail('bad_answer', notAnAnswer(decoder.decode(body.subarray(0, 2048))))
      return out
    },
    end(lost) {
      const out: UpstreamChunk[] = []
      if (over()) return out
      if (form === 'events') pushEvents(undefined, out)
      else if (form === 'json') endJson(lost, out)
      if (!over() && !finished()) {
        fail('incomplete', 'the connection ended with neither a finish reason nor [DONE]')
      }
      return out
    },
    over,
    begun: () => !state.fresh || form === 'json',
    finished,
    outcome: () => ({ finishReason, done: done || finishReason !== null, fault, usage }),
  }
}

/** An error's words may name hosts and keys; they go into the fault, blotted, and nowhere else. */
function withoutError(object: Record<string, unknown>): Record<string, unknown> {
  const choices = Array.isArray(object.choices) ? object.choices : []
  return {
    ...object,
    error: undefined,
    choices: choices.map((choice: unknown) => (isRecord(choice) ? { ...choice, error: undefined } : choice)),
  }
}

function notAnAnswer(head: string): string {
  return head.startsWith('<') ? 'an HTML page in place of an answer' : `neither a stream nor JSON: ${head}`
}
