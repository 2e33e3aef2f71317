/**
 * Text as Postgres can hold it and JSON can carry it: U+0000 and lone surrogates become U+FFFD, before anything
 * is counted, streamed or stored, so that every copy of a text is the same text.
 */
export function wellFormed(text: string): string {
  const formed = text.isWellFormed() ? text : text.toWellFormed()
  return formed.includes('\0') ? formed.replaceAll('\0', '\uFFFD') : formed
}

/**
 * The same for a text that arrives in pieces: a high surrogate at the end of a piece waits for its other half,
 * so that no delta splits a pair and no half is replaced too early.
 */
export function textJoiner(): { push(piece: string): string; end(): string } {
  let held = ''
  return {
    push(piece) {
      const text = held + piece
      const last = text.charCodeAt(text.length - 1)
      const split = last >= 0xd800 && last <= 0xdbff
      held = split ? text.slice(-1) : ''
      return wellFormed(split ? text.slice(0, -1) : text)
    },
    end() {
      const rest = held
      held = ''
      return wellFormed(rest)
    },
  }
}

/** Code points in the text: as JSON Schema and Postgres count its length, so that an emoji is one. */
export function codePoints(text: string): number {
  let points = text.length
  for (let i = 0; i < text.length - 1; i++) {
    const isHigh = (text.charCodeAt(i) & 0xfc00) === 0xd800
    if (isHigh && (text.charCodeAt(i + 1) & 0xfc00) === 0xdc00) points--
  }
  return points
}

/** Bytes of the text in UTF-8, without encoding it. */
export function utf8Length(text: string): number {
  let bytes = text.length
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    if (unit < 0x80) continue
    if (unit < 0x800) bytes += 1
    else if (unit >= 0xd800 && unit <= 0xdbff) {
      bytes += 2
      i++
    } else bytes += 2
  }
  return bytes
}

/** The estimate of tokens in a text: a quarter of its UTF-8 bytes, rounded up (contract, section 7, rule 1). */
export const estimateTokens = (text: string): number => Math.ceil(utf8Length(text) / 4)

/** Tokens that a message costs around its text, in the estimate. */
export const TOKENS_PER_MESSAGE = 4
