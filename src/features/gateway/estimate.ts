// The prompt estimate of money rule 1 for what programs send. Numbers and their reasons: docs/decisions/0006.
import { estimateTokens, TOKENS_PER_MESSAGE, utf8Length } from '../../core/text.ts'
import { isRecord } from '../../ports/upstream/usage.ts'

/** An image of any size: about what the largest one costs where it is not scaled by a detail setting. */
export const IMAGE_TOKENS = 1600
/** Bytes of sound for one token: 10 tokens a second at 16 kbit/s, the least that speech is sent with. */
const AUDIO_BYTES_PER_TOKEN = 200
/** Bytes of a file for one token: half as dense as plain text, since most of a PDF is fonts and pictures. */
const FILE_BYTES_PER_TOKEN = 8

/** Members of a message, or of what is in it, that are wiring and no words. */
const WIRING = new Set(['role', 'type', 'id', 'tool_call_id', 'index', 'format', 'detail'])
/** Members of the request, beside the messages, that the model reads: each counts as one message of its JSON. */
const READ_TOO = ['tools', 'functions', 'response_format', 'prediction', 'documents']

/** Σ (⌈UTF-8 bytes ÷ 4⌉ + 4) over what is sent: see `sendable` for what was done to it before. */
export function estimatePrompt(request: Record<string, unknown>): number {
  const messages = Array.isArray(request.messages) ? request.messages : []
  let tokens = 0
  for (const message of messages) tokens += messageTokens(message)
  for (const name of READ_TOO) {
    const member = request[name]
    if (typeof member === 'object' && member !== null)
      tokens += estimateTokens(JSON.stringify(member)) + TOKENS_PER_MESSAGE
  }
  return tokens
}

function messageTokens(message: unknown): number {
  const sum = { bytes: 0, tokens: TOKENS_PER_MESSAGE }
  add(message, sum)
  return Math.ceil(sum.bytes / 4) + sum.tokens
}

/** Every word of the value, wherever it stands; pictures, sound and files at their own rates. */
function add(value: unknown, sum: { bytes: number; tokens: number }): void {
  if (typeof value === 'string') sum.bytes += utf8Length(value)
  else if (Array.isArray(value)) for (const item of value) add(item, sum)
  else if (isRecord(value)) {
    const media = mediaTokens(value)
    if (media !== undefined) sum.tokens += media
    else for (const [name, member] of Object.entries(value)) if (!WIRING.has(name)) add(member, sum)
  }
}

/** Tokens of a typed part that is no text; undefined for any other object. */
function mediaTokens(part: Record<string, unknown>): number | undefined {
  const { type } = part
  if (type === 'image_url' || type === 'input_image' || type === 'image') return IMAGE_TOKENS
  if (type === 'input_audio' && isRecord(part.input_audio))
    return Math.ceil(base64Bytes(part.input_audio.data) / AUDIO_BYTES_PER_TOKEN)
  if (type === 'file' && isRecord(part.file) && typeof part.file.file_data === 'string') {
    const name = typeof part.file.filename === 'string' ? estimateTokens(part.file.filename) : 0
    return name + Math.ceil(base64Bytes(part.file.file_data) / FILE_BYTES_PER_TOKEN)
  }
  return undefined
}

/** Bytes behind base64, with or without the head of a data URL. */
function base64Bytes(data: unknown): number {
  if (typeof data !== 'string') return 0
  return Math.floor(((data.length - data.indexOf(',') - 1) * 3) / 4)
}
