import { SQL, StringChunk } from 'drizzle-orm'

export interface Statement {
  sql: string
  params: unknown[]
}

/**
 * A statement's text and parameters. The builder asks every piece of it what of twelve things it may be, and copies what
 * it has at each level: for the some 300 pieces of a hold that took longer than all the rest of a send. Ours are made of
 * text, of other statements and of plain values, which are told apart at once.
 * @returns undefined for anything else: tables, columns, lists. The builder knows them
 */
export function statementOf(query: SQL): Statement | undefined {
  const params: unknown[] = []
  let text = ''
  const write = (piece: unknown): boolean => {
    if (piece instanceof StringChunk) text += piece.value.length === 1 ? piece.value[0] : piece.value.join('')
    else if (piece instanceof SQL) return !isInline(piece) && piece.queryChunks.every(write)
    else if (piece === null || PLAIN.has(typeof piece)) text += `$${params.push(piece)}`
    else return false
    return true
  }
  return write(query) ? { sql: text, params } : undefined
}
const PLAIN = new Set(['string', 'number', 'boolean', 'bigint'])

/** Its values are to stand in the text: for statements that take no parameters. */
const isInline = (query: SQL): boolean =>
  (query as unknown as { shouldInlineParams: boolean }).shouldInlineParams
