import { EventSourceParserStream } from 'eventsource-parser/stream'

export interface SentEvent {
  event: string
  id?: string | undefined
  data: any
}

/** The events of an answer until it ends. */
export async function* eventsOf(response: Response): AsyncGenerator<SentEvent> {
  if (!response.body) throw new Error('no body')
  const events = response.body.pipeThrough(new TextDecoderStream()).pipeThrough(new EventSourceParserStream())
  for await (const { event = 'message', id, data } of events) yield { event, id, data: JSON.parse(data) }
}

/** The text of one kind that deltas add up to. @throws on a gap, a repeat or a split surrogate pair */
export function joined(events: SentEvent[], kind: 'message_delta' | 'reasoning_delta'): string {
  let text = ''
  for (const { event, data } of events) {
    if (event !== kind) continue
    if (data.offset !== text.length) throw new Error(`a delta at ${data.offset} follows ${text.length} units`)
    if (!data.text.isWellFormed()) throw new Error('a delta splits a surrogate pair')
    text += data.text
  }
  return text
}
