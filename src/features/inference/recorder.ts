import { textJoiner } from '../../core/text.ts'
import type { UpstreamChunk } from '../../ports/upstream/port.ts'
import type { Produced } from './billing.ts'

export type DeltaKind = 'text' | 'reasoning'

/** New text of an answer. `offset` counts the UTF-16 units of its kind before it; no pair is split. */
export interface Delta {
  kind: DeltaKind
  offset: number
  text: string
}

/** Keeps what an answer has produced so far and cuts it into deltas, in time linear in its length. */
export function createRecorder() {
  const lanes = { text: lane('text'), reasoning: lane('reasoning') }
  const extra: string[] = []
  let any = false

  return {
    /** The chunks of one network read → as few deltas as their order allows. */
    take(chunks: UpstreamChunk[]): Delta[] {
      const deltas: Delta[] = []
      let kind: DeltaKind = 'text'
      let run = ''
      const flush = () => {
        const delta = run === '' ? undefined : lanes[kind].push(run)
        if (delta) deltas.push(delta)
        run = ''
      }
      const add = (of: DeltaKind, text: string) => {
        if (text === '') return
        if (of !== kind) flush()
        kind = of
        run += text
      }
      for (const chunk of chunks) {
        any ||= chunk.produced
        if (chunk.extra !== '') extra.push(chunk.extra)
        add('reasoning', chunk.reasoning)
        add('text', chunk.text)
      }
      flush()
      return deltas
    },
    /** What a split pair at the very end still held back. */
    end: (): Delta[] => [lanes.reasoning.end(), lanes.text.end()].filter((delta) => delta !== undefined),
    produced: (): Produced => ({
      any,
      text: lanes.text.whole(),
      reasoning: lanes.reasoning.whole(),
      extra: extra.join(''),
    }),
  }
}

function lane(kind: DeltaKind) {
  const joiner = textJoiner()
  const parts: string[] = []
  let offset = 0
  const keep = (text: string): Delta | undefined => {
    if (text === '') return undefined
    const delta = { kind, offset, text }
    parts.push(text)
    offset += text.length
    return delta
  }
  return {
    push: (text: string) => keep(joiner.push(text)),
    end: () => keep(joiner.end()),
    whole: () => parts.join(''),
  }
}
