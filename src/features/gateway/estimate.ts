// The prompt estimate of money rule 1 for what programs send. Numbers and their reasons: docs/decisions/0006.
import { estimateTokens, TOKENS_PER_MESSAGE, utf8Length } from '../../core/text.ts'
import { isRecord } from '../../ports/upstream/usage.ts'

/** An image of any size: about what the largest one costs where it is not scaled by a detail setting. */
export const IMAGE_TOKENS = 1600
/** Bytes of sound for one token: 10 tokens a second at 16 kbit/s, the least that speech is sent with. */
const AUDIO_BYTES_PER_TOKEN = 200
/** Bytes of a file for one token: half as dense as plain text, since most of a PDF is fonts and pictures. */
const FILE_BYTES_PER_TOKEN = 8

/** Members of a message, or of what is in it, that are wiring and no words, as long as they are as short as wiring. */
const WIRING = new Set(['role', 'type', 'id', 'tool_call_id', 'index', 'format', 'detail'])
const LONGEST_WIRING = 64
/** Members of the request, beside the messages, that the model reads: each counts as one message of its JSON. */
const READ_TOO = new Set(['tools', 'functions', 'response_format', 'prediction', 'documents'])
/** Members that it never reads. Any other one counts like those above once it is too long to be a setting. */
const NEVER_READ = new Set(['messages', 'model', 'logit_bias', 'metadata'])
const LONGEST_SETTING = 256

/** Σ (⌈UTF-8 bytes ÷ 4⌉ + 4) over what is sent: see `sendable` for what was done to it before. */
export function estimatePrompt(request: Record<string, unknown>): number {
  const messages = Array.isArray(request.messages) ? request.messages : []
  let tokens = 0
  for (const message of messages) tokens += messageTokens(message)
  for (const [name, member] of Object.entries(request)) {
    if (NEVER_READ.has(name) || member === null || member === undefined) continue
    const text = JSON.stringify(member)
    if (READ_TOO.has(name) || text.length > LONGEST_SETTING)
      tokens += estimateTokens(text) + TOKENS_PER_MESSAGE
  }
  return tokens
}

interface Sum {
  bytes: number
  tokens: number
}

function messageTokens(message: unknown): number {
  const sum: Sum = { bytes: 0, tokens: TOKENS_PER_MESSAGE }
  if (isRecord(message) && Array.isArray(message.content)) {
    const { content, ...others } = message
    addWords(others, sum)
    for (const part of content) addPart(part, sum)
  } else addWords(message, sum)
  return Math.ceil(sum.bytes / 4) + sum.tokens
}

/** Every word of the value, wherever it stands. */
function addWords(value: unknown, sum: Sum): void {
  if (typeof value === 'string') sum.bytes += utf8Length(value)
  else if (typeof value === 'number') sum.bytes += String(value).length
  else if (Array.isArray(value)) for (const item of value) addWords(item, sum)
  else if (isRecord(value))
    for (const [name, member] of Object.entries(value)) {
      if (name.length > LONGEST_WIRING) sum.bytes += utf8Length(name)
      if (!WIRING.has(name) || !isShort(member)) addWords(member, sum)
    }
}

const isShort = (member: unknown): boolean =>
  typeof member !== 'object' && String(member).length <= LONGEST_WIRING

/**
 * An element of a message's content: pictures, sound and files at their own rates, for the one string that they are;
 * whatever stands beside that string is words.
 */
function addPart(part: unknown, sum: Sum): void {
  const type = isRecord(part) ? part.type : undefined
  if (!isRecord(part)) addWords(part, sum)
  else if (type === 'image_url' || type === 'input_image' || type === 'image') {
    sum.tokens += IMAGE_TOKENS
    const [, rest] = without(
      part,
      ['image_url', 'url'],
      ['image', 'url'],
      ['source', 'url'],
      ['source', 'data'],
    )
    addWords(rest, sum)
  } else if (type === 'input_audio') {
    const [data, rest] = without(part, ['input_audio', 'data'])
    sum.tokens += Math.ceil(base64Bytes(data) / AUDIO_BYTES_PER_TOKEN)
    addWords(rest, sum)
  } else if (type === 'file') {
    const [data, rest] = without(part, ['file', 'file_data'])
    sum.tokens += Math.ceil(base64Bytes(data) / FILE_BYTES_PER_TOKEN)
    addWords(rest, sum)
  } else addWords(part, sum)
}

/** The string at the first of the places that holds one (`outer.inner`, or `outer` itself), and the part without it. */
function without(
  part: Record<string, unknown>,
  ...places: [string, string][]
): [string, Record<string, unknown>] {
  for (const [outer, inner] of places) {
    const { [outer]: held, ...others } = part
    if (typeof held === 'string') return [held, others]
    if (!isRecord(held)) continue
    const { [inner]: data, ...beside } = held
    if (typeof data === 'string') return [data, { ...others, [outer]: beside }]
  }
  return ['', part]
}

/** Bytes behind base64, with or without the head of a data URL. */
function base64Bytes(data: string): number {
  const head = data.startsWith('data:') ? data.slice(0, LONGEST_SETTING).indexOf(',') + 1 : 0
  return Math.floor(((data.length - head) * 3) / 4)
}
