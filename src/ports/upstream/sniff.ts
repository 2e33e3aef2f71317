// What an answer is, by its first byte that means something: content types lie both ways.

export interface Sniffed {
  form: 'events' | 'json' | 'text'
  /** From the first byte that means something; what was before (blanks, comments) means nothing in any form. */
  rest: Uint8Array
}

const FIELDS = ['data', 'event', 'id', 'retry', 'error']

function isBlank(byte: number): boolean {
  return byte === 10 || byte === 13 || byte === 32 || byte === 9
}

/** True if the bytes begin, as far as they go, like a field of an event stream. */
function isField(bytes: Uint8Array): boolean {
  const head = String.fromCharCode(...bytes.subarray(0, 6))
  return FIELDS.some((field) => {
    const name = head.slice(0, field.length)
    const after = head.slice(field.length, field.length + 1)
    return field.startsWith(name) && (name.length < field.length ? name === head : ':\r\n'.includes(after))
  })
}

/**
 * Feed it the reads until it answers. Skips a BOM, blank lines and comment lines (keep-alives come before
 * JSON bodies too) without keeping them.
 */
export function createSniffer(): (bytes: Uint8Array) => Sniffed | undefined {
  const bom = [0xef, 0xbb, 0xbf]
  let inComment = false
  return (bytes) => {
    for (let i = 0; i < bytes.length; i++) {
      const byte = bytes[i]!
      if (inComment) inComment = byte !== 10 && byte !== 13
      else if (byte === bom[0]) bom.shift()
      else if (isBlank(byte)) bom.length = 0
      else if (byte === 58) inComment = true
      else {
        const rest = bytes.subarray(i)
        if (byte === 123 || byte === 91 || byte === 34) return { form: 'json', rest }
        return { form: isField(rest) ? 'events' : 'text', rest }
      }
    }
    return undefined
  }
}
