/** RFC 4180, read strictly: what our own reader forgave a spreadsheet might not. */

/** Every record, the header too. @throws Error where the text is no CSV of this service */
export function recordsOf(text: string): string[][] {
  const records: string[][] = []
  let record: string[] = []
  // A field is quoted, with quotes inside doubled, or holds nothing that would need it.
  const field = /(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r\n)/y
  while (field.lastIndex < text.length) {
    const at = field.lastIndex
    const match = field.exec(text)
    if (!match) throw new Error(`no field at ${at}: ${JSON.stringify(text.slice(at, at + 80))}`)
    const [, quoted, plain = '', end] = match
    record.push(quoted === undefined ? plain : quoted.replaceAll('""', '"'))
    if (end === ',') continue
    records.push(record)
    record = []
  }
  if (record.length > 0) throw new Error('the last record does not end')
  const [header] = records
  if (!header) throw new Error('there is no header')
  for (const [n, each] of records.entries())
    if (each.length !== header.length) throw new Error(`record ${n} has ${each.length} fields`)
  return records
}

/** The rows by the names of the header; numbers as such, an empty field as null. */
export function rowsOf<Row = Record<string, string | number | null>>(text: string): Row[] {
  const [header = [], ...records] = recordsOf(text)
  return records.map(
    (record) => Object.fromEntries(record.map((field, n) => [header[n], read(field)])) as Row,
  )
}

const NUMBER = /^-?\d+(?:\.\d{1,6})?$/
const read = (field: string) => (field === '' ? null : NUMBER.test(field) ? Number(field) : field)

/** What is wrong with a file whose columns may have these names; nothing when it is fine. */
export function csvFault(text: string, names: string[]): string | undefined {
  try {
    const [header = [], ...records] = recordsOf(text)
    const strange = header.filter((name) => !names.includes(name))
    if (strange.length > 0) return `columns that JSON does not have: ${strange}`
    const formula = records.flat().find((field) => /^[=+\-@\t\r\n]/.test(field) && !NUMBER.test(field))
    return formula === undefined ? undefined : `a formula: ${formula.slice(0, 80)}`
  } catch (error) {
    return (error as Error).message
  }
}
