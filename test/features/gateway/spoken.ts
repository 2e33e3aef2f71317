import { createAnswer } from '../../../src/ports/upstream/answer.ts'
import { createBlot } from '../../../src/ports/upstream/error.ts'
import type { UpstreamChunk } from '../../../src/ports/upstream/port.ts'

export const NAMING = { id: 'chatcmpl-1', model: 'scribe', created: 1_700_000_000 }

/** The chunks of an upstream's answer, as the adapter reads them; one network read each. */
export function chunksOf(...reads: string[]): UpstreamChunk[][] {
  const answer = createAnswer(createBlot('https://upstream.example', []))
  const chunks = reads.map((text) => answer.push(new TextEncoder().encode(text)))
  return [...chunks, answer.end(false)]
}

/** Objects as the events of one stream. */
export const events = (...objects: object[]): string =>
  `${objects.map((object) => `data: ${JSON.stringify(object)}\n\n`).join('')}data: [DONE]\n\n`

/** A chunk with one choice. */
export const delta = (said: object, more: object = {}) => ({
  id: 'theirs',
  object: 'chat.completion.chunk',
  created: 5,
  model: 'their-model',
  choices: [{ index: 0, delta: said, finish_reason: null, ...more }],
})
