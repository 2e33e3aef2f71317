import type { UpstreamChunk } from './port.ts'
import { isRecord, usageOf } from './usage.ts'

/** Output of one delta or message. */
interface Output {
  text: string
  reasoning: string
  toolCalls: boolean
  toolText: string
  /** Output without text: audio, images. */
  other: boolean
}

function stringOf(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

/** Words of typed parts: `thinking` goes to the reasoning, `text` to the text, strings as they are. */
function readParts(parts: unknown[], out: Output): void {
  for (const part of parts) {
    if (typeof part === 'string') out.text += part
    else if (isRecord(part)) {
      if (part.type === 'thinking' || part.type === 'reasoning') out.reasoning += wordsOf(part)
      else if (typeof part.text === 'string') out.text += part.text
      else if (part.type === 'image_url' || part.type === 'audio') out.other = true
    }
  }
}

/** The words of a thinking part, whose `thinking` is a string or again a list of text parts. */
function wordsOf(part: Record<string, unknown>): string {
  const inner = part.thinking ?? part.reasoning ?? part.text ?? part.summary
  if (!Array.isArray(inner)) return stringOf(inner)
  let words = ''
  for (const piece of inner) words += isRecord(piece) ? stringOf(piece.text) : stringOf(piece)
  return words
}

function detailsOf(details: unknown): string {
  if (!Array.isArray(details)) return ''
  let words = ''
  for (const detail of details) if (isRecord(detail)) words += wordsOf(detail)
  return words
}

function callText(call: unknown): string {
  if (!isRecord(call)) return ''
  const named = isRecord(call.function) ? call.function : call
  return stringOf(named.name) + stringOf(named.arguments)
}

/** What one delta (or whole message) says. Never throws, whatever the types are. */
function readDelta(delta: Record<string, unknown>): Output {
  const out: Output = { text: '', reasoning: '', toolCalls: false, toolText: '', other: false }
  const content = delta.content
  if (typeof content === 'string') out.text = content
  else if (Array.isArray(content)) readParts(content, out)
  // A refusal is what the model said instead of an answer; the user should read it.
  if (out.text === '' && typeof delta.refusal === 'string') out.text = delta.refusal
  // Some send the same words in two or three fields: the first that holds any is taken.
  const named = stringOf(delta.reasoning_content) || stringOf(delta.reasoning)
  if (named !== '') out.reasoning = named
  else if (out.reasoning === '' && delta.reasoning_details !== undefined) {
    out.reasoning = detailsOf(delta.reasoning_details)
  }
  if (Array.isArray(delta.tool_calls) && delta.tool_calls.length > 0) {
    out.toolCalls = true
    for (const call of delta.tool_calls) out.toolText += callText(call)
  } else if (isRecord(delta.function_call)) {
    out.toolCalls = true
    out.toolText = callText(delta.function_call)
  }
  if (isRecord(delta.audio) || (Array.isArray(delta.images) && delta.images.length > 0)) out.other = true
  return out
}

/**
 * The delta of a choice. In a stream a cumulative `message` beside it is ignored, and alone it counts
 * only while nothing has been said (an upstream that puts its whole answer into one event).
 */
function deltaOf(
  choice: Record<string, unknown>,
  whole: boolean,
  fresh: boolean,
): Record<string, unknown> | undefined {
  if (whole && isRecord(choice.message)) return choice.message
  if (isRecord(choice.delta)) return choice.delta
  if (fresh && isRecord(choice.message)) return choice.message
  return typeof choice.text === 'string' ? { content: choice.text } : undefined
}

/** What the reader of a whole answer keeps between its objects. */
export interface ChunkState {
  /** Nothing was produced yet. */
  fresh: boolean
  /** Other choices that speak and have not finished. */
  open: Set<number>
}

/**
 * Reads one upstream object (a stream's chunk, or with `whole` a plain completion). Undefined if it is
 * neither: no `choices` and no usage (pings and the like).
 */
export function chunkOf(
  object: Record<string, unknown>,
  state: ChunkState,
  whole: boolean,
): UpstreamChunk | undefined {
  const usage = usageOf(object)
  const choices = object.choices
  if (!Array.isArray(choices) && usage === undefined) return undefined
  const chunk: UpstreamChunk = {
    text: '',
    reasoning: '',
    toolCalls: false,
    otherChoices: false,
    extra: '',
    produced: false,
    usage,
    finishReason: undefined,
    raw: object,
  }
  if (!Array.isArray(choices)) return chunk
  for (const choice of choices) {
    if (!isRecord(choice)) continue
    const index = typeof choice.index === 'number' ? choice.index : 0
    const reason = stringOf(choice.finish_reason)
    const delta = deltaOf(choice, whole, state.fresh)
    const out = delta === undefined ? undefined : readDelta(delta)
    if (out !== undefined) gather(chunk, out, index === 0)
    if (index === 0) {
      if (reason !== '') chunk.finishReason = reason
    } else if (reason !== '') state.open.delete(index)
    else if (out !== undefined) state.open.add(index)
  }
  if (chunk.produced) state.fresh = false
  return chunk
}

function gather(chunk: UpstreamChunk, out: Output, first: boolean): void {
  const spoke = out.text !== '' || out.reasoning !== '' || out.toolCalls || out.other
  if (!spoke) return
  chunk.produced = true
  if (out.toolCalls) chunk.toolCalls = true
  if (first) {
    chunk.text += out.text
    chunk.reasoning += out.reasoning
    chunk.extra += out.toolText
  } else {
    chunk.otherChoices = true
    chunk.extra += out.text + out.reasoning + out.toolText
  }
}
