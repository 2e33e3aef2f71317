/**
 * What a source says to readers of openapi.json alone, and the blanks that make its SQL legible, taken out before it
 * is bundled: the document is made ahead (dev/openapi.ts) and served as a file, so the Worker never needs them.
 */
import ts from 'typescript5'

interface Edit {
  from: number
  to: number
  text: string
}

/** Members of a route's contract that no request looks at. */
const TOLD = new Set(['operationId', 'tags', 'summary', 'description', 'responses'])
/** Files that declare contracts and nothing else at their top. */
const CONTRACTS = /\/(schema|routes|contract|page|csv)\.ts$/

/**
 * A source of src/ as it goes into the bundle. Lines stay where they are, so that stacks still point at them; only
 * within a statement of SQL are they joined.
 * @throws Error when SQL holds a comment, which would swallow what comes behind it
 */
export function withoutProse(path: string, source: string): string {
  const edits: Edit[] = []
  const file = ts.createSourceFile(path, source, ts.ScriptTarget.Latest, true)
  const blank = (from: number, to: number) =>
    edits.push({ from, to, text: source.slice(from, to).replace(/[^\n]/g, ' ') })

  const visit = (node: ts.Node): void => {
    if (isMetadata(node)) {
      blank(node.expression.expression.end, node.end)
      visit(node.expression.expression)
      return
    }
    if (ts.isImportDeclaration(node)) edits.push(...importOfZod(node, source))
    else if (CONTRACTS.test(path) && ts.isObjectLiteralExpression(node) && isContract(node)) {
      for (const member of node.properties) {
        if (TOLD.has(nameOf(member))) blank(member.getStart(), afterComma(source, member.end))
        else visit(member)
      }
      return
    } else if (ts.isTaggedTemplateExpression(node) && node.tag.getText() === 'sql') {
      edits.push(...onOneLine(node, source))
    } else if (ts.isTemplateLiteral(node) && /^`\n.*redis\.call\(/s.test(node.getText())) {
      edits.push(...withoutIndent(node, source))
    }
    ts.forEachChild(node, visit)
  }
  visit(file)
  if (CONTRACTS.test(path)) edits.push(...marked(file))
  return applied(source, edits)
}

/** `.openapi({…})` or `.openapi('Name', …)` on a schema; on a router it takes a route and a handler. */
function isMetadata(node: ts.Node): node is ts.CallExpression & { expression: ts.PropertyAccessExpression } {
  if (!ts.isCallExpression(node) || !ts.isPropertyAccessExpression(node.expression)) return false
  const [first] = node.arguments
  const isNamed = first !== undefined && ts.isStringLiteral(first)
  return node.expression.name.text === 'openapi' && (node.arguments.length === 1 || isNamed)
}

/** What `createRoute` is given. */
const isContract = (node: ts.ObjectLiteralExpression): boolean =>
  ['method', 'path', 'responses'].every((name) => node.properties.some((member) => nameOf(member) === name))

const nameOf = ({ name }: ts.ObjectLiteralElementLike): string =>
  name && ts.isIdentifier(name) ? name.text : ''

const afterComma = (source: string, end: number): number => {
  const comma = /^\s*,/.exec(source.slice(end))
  return end + (comma?.[0].length ?? 0)
}

/** `import { z }` becomes a namespace, of which the bundler keeps what is used. Through an object it keeps all. */
function importOfZod(node: ts.ImportDeclaration, source: string): Edit[] {
  const names = node.importClause?.namedBindings
  const from = (node.moduleSpecifier as ts.StringLiteral).text
  if (!/^(zod|@hono\/zod-openapi)$/.test(from) || !names || !ts.isNamedImports(names)) return []
  const rest = names.elements.filter(({ name }) => name.text !== 'z')
  if (rest.length === names.elements.length || node.importClause?.isTypeOnly) return []
  const others = rest.map((element) => element.getText()).join(', ')
  const lines = source.slice(node.getStart(), node.end).replace(/[^\n]/g, '')
  return [
    {
      from: node.getStart(),
      to: node.end,
      text: `import * as z from 'zod';${others === '' ? '' : ` import { ${others} } from '${from}'`}${lines}`,
    },
  ]
}

/** The literal parts of a template, between its backticks and substitutions. */
function chunksOf(template: ts.TemplateLiteral): { from: number; to: number }[] {
  const parts = ts.isNoSubstitutionTemplateLiteral(template)
    ? [template]
    : [template.head, ...template.templateSpans.map(({ literal }) => literal)]
  return parts.map((part) => ({
    from: part.getStart() + 1,
    to: part.end - (ts.isTemplateHead(part) || ts.isTemplateMiddle(part) ? 2 : 1),
  }))
}

function onOneLine(node: ts.TaggedTemplateExpression, source: string): Edit[] {
  let lines = ''
  const edits = chunksOf(node.template).map(({ from, to }) => {
    const chunk = source.slice(from, to)
    if (/--|\/\*/.test(chunk)) throw new Error(`A comment within SQL: ${chunk}`)
    lines += chunk.replace(/[^\n]/g, '')
    return { from, to, text: chunk.replace(/\s*\n\s*/g, ' ') }
  })
  return [...edits, { from: node.end, to: node.end, text: lines }]
}

const withoutIndent = (template: ts.TemplateLiteral, source: string): Edit[] =>
  chunksOf(template).map(({ from, to }) => ({
    from,
    to,
    text: source.slice(from, to).replace(/\n[ \t]+/g, '\n'),
  }))

/** Schemas that nothing but the contract's answers uses are not made at all: making one has no effect. */
function marked(file: ts.SourceFile): Edit[] {
  return file.statements
    .filter(ts.isVariableStatement)
    .flatMap(({ declarationList }) => declarationList.declarations)
    .flatMap(({ initializer }) => {
      if (!initializer || !ts.isCallExpression(initializer)) return []
      return [
        { from: initializer.getStart(), to: initializer.getStart(), text: '/* @__PURE__ */ (() => ' },
        { from: initializer.end, to: initializer.end, text: ')()' },
      ]
    })
}

/** Edits do not overlap; of two at one place the one that was found first comes first. */
function applied(source: string, edits: Edit[]): string {
  let out = ''
  let at = 0
  for (const { from, to, text } of edits.toSorted((a, b) => a.from - b.from)) {
    out += source.slice(at, from) + text
    at = to
  }
  return out + source.slice(at)
}
