/** Holds every answer against openapi.json: declared, and not a field more than declared. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'
import { root } from '../../dev/root.ts'
import { failures } from '../../src/core/failure.ts'
import { csvFault } from './csv.ts'

type Schema = { [word: string]: unknown }
interface Operation {
  operationId: string
  'x-guard': string
  requestBody?: { content: Record<string, { schema: Schema; example?: unknown }> }
  responses: Record<string, { content?: Record<string, { schema?: Schema; examples?: object }> }>
}

export interface Seen {
  method: string
  /** With the query. */
  path: string
  status: number
  headers: Headers
  body: unknown
}

const document = JSON.parse(readFileSync(join(root, 'openapi.json'), 'utf8')) as {
  paths: Record<string, Record<string, Operation>>
  components: { schemas: Record<string, Schema> }
}
// Templates with fewer parameters first: /chat/all is not /chat/{chatUid}.
const routes = Object.entries(document.paths)
  .map(([template, operations]) => ({
    template,
    operations,
    parameters: template.split('{').length,
    pattern: new RegExp(
      `^${template
        .replace(/\{\w+\}/g, '[^/]+')
        .replace(/[.*+?()]/g, '\\$&')
        .replace(/\[\^\/\]\\\+/g, '[^/]+')}$`,
    ),
  }))
  .sort((a, b) => a.parameters - b.parameters)

/** A route as the refusal suite needs it. */
export interface RouteOperation {
  method: string
  /** With `{parameters}`. */
  path: string
  operationId: string
  guard: string
  /** A body that fits, if the route takes one. */
  example: Record<string, unknown> | undefined
}

export const operations: RouteOperation[] = Object.entries(document.paths).flatMap(([path, byMethod]) =>
  Object.entries(byMethod).map(([method, operation]) => ({
    method: method.toUpperCase(),
    path,
    operationId: operation.operationId,
    guard: operation['x-guard'],
    example: exampleOf(operation),
  })),
)

function exampleOf({ operationId, requestBody }: Operation): Record<string, unknown> | undefined {
  const media = requestBody?.content['application/json']
  if (!media) return undefined
  const name = String(media.schema.$ref ?? '').replace('#/components/schemas/', '')
  const example = media.example ?? media.schema.example ?? document.components.schemas[name]?.example
  if (typeof example !== 'object') throw new Error(`${operationId} has no example of its body`)
  return example as Record<string, unknown>
}

const ajv = new Ajv2020({ strict: false, allErrors: true })
addFormats.default(ajv)
const validators = new Map<string, ValidateFunction>()

/** The operation that a request belongs to, or undefined for what no route declares. */
export function operationOf(method: string, path: string): Operation | undefined {
  const [bare = ''] = path.split('?')
  const route = routes.find(
    ({ pattern, operations }) => pattern.test(bare) && method.toLowerCase() in operations,
  )
  return route?.operations[method.toLowerCase()]
}

/** @throws Error that says what the answer has and the document has not, or the other way round */
export function checkAnswer(seen: Seen): void {
  const { method, path, status, headers } = seen
  const wrong = faultOf(seen)
  if (wrong !== undefined)
    throw new Error(
      `${method} ${path} answered ${status} ${headers.get('content-type') ?? ''}, which breaks the contract: ${wrong}\n${JSON.stringify(seen.body)?.slice(0, 2_000)}`,
    )
}

function faultOf(seen: Seen): string | undefined {
  const { method, path, status, headers, body } = seen
  const operation = operationOf(method, path)
  const type = (headers.get('content-type') ?? '').split(';')[0] ?? ''
  if (method === 'OPTIONS') return undefined
  const isOurs = operation !== undefined || /^\/(api|v1|docs|health|ready)\b/.test(path) || status >= 300
  if (isOurs && !headers.get('x-request-id')) return 'X-Request-Id is missing'
  if (!isOurs) return undefined
  if (status >= 400)
    return path.startsWith('/v1') ? envelopeFault(seen, operation) : problemFault(seen, operation, type)
  if (!operation) return undefined

  const declared = operation.responses[status]
  if (!declared) return `${operation.operationId} declares no ${status}`
  if (!declared.content) return body === '' || body === undefined ? undefined : 'a body that is not declared'
  const content = declared.content[type]
  if (!content) return `${operation.operationId} declares no ${type} for ${status}`
  if (type === 'text/csv') return csvFault(String(body), fieldsOfRows(declared.content))
  if (type !== 'application/json' || !content.schema) return undefined
  return schemaFault(`${operation.operationId} ${status}`, content.schema, body)
}

function problemFault(seen: Seen, operation: Operation | undefined, type: string): string | undefined {
  if (type !== 'application/problem+json') return 'a refusal must be application/problem+json'
  const { code, status, title, detail, requestId } = seen.body as Record<string, unknown>
  const kind = failures[code as keyof typeof failures]
  if (!kind) return `the code ${String(code)} is not in src/core/failure.ts`
  if (kind.status !== seen.status || status !== seen.status)
    return `${String(code)} has the status ${kind.status}`
  if (title !== kind.title || typeof detail !== 'string' || detail === '')
    return 'title or detail is not as it should be'
  if (requestId !== seen.headers.get('x-request-id')) return 'requestId is not X-Request-Id'
  // How large a body may be is asked before whom it is for.
  if (!operation) return status === 404 || status === 413 ? undefined : 'what no route declares is 404'
  const examples = operation.responses[seen.status]?.content?.['application/problem+json']?.examples ?? {}
  return String(code) in examples ? undefined : `${operation.operationId} does not declare ${String(code)}`
}

/** What a row of a list has in JSON. */
function fieldsOfRows(content: Record<string, { schema?: Schema }>): string[] {
  const page = closed(content['application/json']?.schema ?? {}) as any
  return Object.keys(page.properties.data.items.properties)
}

/** OpenAI's shape: `{error: {message, type, param, code}}`. */
function envelopeFault({ status, body }: Seen, operation: Operation | undefined): string | undefined {
  const { message, type, param, code } = (body as { error?: Record<string, unknown> }).error ?? {}
  const isWhole = [message, type, code].every((word) => typeof word === 'string' && word !== '')
  if (!isWhole || (param !== null && typeof param !== 'string')) return "a refusal must be OpenAI's error"
  if (!operation || operation.responses[status]) return undefined
  return `${operation.operationId} declares no ${status}`
}

/** What is wrong with a part of an event, which has the schema of that name. */
export const componentFault = (name: string, value: unknown): string | undefined =>
  schemaFault(name, { $ref: `#/components/schemas/${name}` }, value)

function schemaFault(name: string, schema: Schema, body: unknown): string | undefined {
  let validate = validators.get(name)
  if (!validate) {
    validate = ajv.compile(closed(schema))
    validators.set(name, validate)
  }
  if (validate(body)) return undefined
  return validate.errors
    ?.map(
      ({ instancePath, message, params }) =>
        `${instancePath || 'the body'} ${message} ${JSON.stringify(params)}`,
    )
    .join('; ')
}

/**
 * A schema that refuses every field it does not declare, with its references put in place. Parts of an `allOf`
 * stay open, each would refuse the others' fields; the whole is closed instead.
 */
function closed(schema: Schema, isPart = false): Schema {
  if (typeof schema.$ref === 'string') {
    const target = document.components.schemas[schema.$ref.replace('#/components/schemas/', '')]
    if (!target) throw new Error(`openapi.json has no ${schema.$ref}`)
    const { $ref: _, ...beside } = schema
    return closed({ ...target, ...beside }, isPart)
  }
  const copy: Schema = { ...schema }
  const each = (value: unknown, part = false) => (value as Schema[]).map((item) => closed(item, part))
  if (copy.properties)
    copy.properties = Object.fromEntries(
      Object.entries(copy.properties as Record<string, Schema>).map(([key, value]) => [key, closed(value)]),
    )
  if (copy.items && typeof copy.items === 'object') copy.items = closed(copy.items as Schema)
  if (copy.additionalProperties && typeof copy.additionalProperties === 'object')
    copy.additionalProperties = closed(copy.additionalProperties as Schema)
  if (copy.anyOf) copy.anyOf = each(copy.anyOf, isPart)
  if (copy.oneOf) copy.oneOf = each(copy.oneOf, isPart)
  if (copy.allOf) copy.allOf = each(copy.allOf, true)
  if (isPart) return copy
  if (copy.allOf) copy.unevaluatedProperties ??= false
  else if (copy.properties) copy.additionalProperties ??= false
  return copy
}
