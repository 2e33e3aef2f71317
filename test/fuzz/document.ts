/** What openapi.json says of each operation, with its references put in place: all that the fuzzer knows. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from '../../dev/root.ts'

export interface Schema {
  type?: string | string[]
  enum?: unknown[]
  format?: string
  pattern?: string
  minLength?: number
  maxLength?: number
  minimum?: number
  maximum?: number
  multipleOf?: number
  minItems?: number
  maxItems?: number
  minProperties?: number
  items?: Schema
  properties?: Record<string, Schema>
  required?: string[]
  additionalProperties?: boolean | Schema
  $ref?: string
}

export interface Parameter {
  in: 'path' | 'query' | 'header'
  name: string
  schema: Schema
}

export interface Operation {
  id: string
  method: string
  /** With `{parameters}`. */
  path: string
  guard: string
  parameters: Parameter[]
  body: Schema | undefined
  bodyRequired: boolean
  statuses: number[]
}

interface Media {
  schema: Schema
}
interface Written {
  operationId: string
  'x-guard': string
  parameters?: Parameter[]
  requestBody?: { required?: boolean; content: Record<string, Media> }
  responses: Record<string, unknown>
}

const document = JSON.parse(readFileSync(join(root, 'openapi.json'), 'utf8')) as {
  paths: Record<string, Record<string, Written>>
  components: { schemas: Record<string, Schema> }
}

/** The schema without a reference in it. None of a request refers to itself. */
function whole(schema: Schema): Schema {
  if (schema.$ref) {
    const { $ref, ...beside } = schema
    const target = document.components.schemas[$ref.replace('#/components/schemas/', '')]
    if (!target) throw new Error(`openapi.json has no ${$ref}`)
    return whole({ ...target, ...beside })
  }
  return {
    ...schema,
    ...(schema.items ? { items: whole(schema.items) } : {}),
    ...(schema.properties
      ? {
          properties: Object.fromEntries(
            Object.entries(schema.properties).map(([name, each]) => [name, whole(each)]),
          ),
        }
      : {}),
  }
}

export const operations: Operation[] = Object.entries(document.paths).flatMap(([path, byMethod]) =>
  Object.entries(byMethod).map(([method, written]) => {
    const media = written.requestBody?.content['application/json']
    return {
      id: written.operationId,
      method: method.toUpperCase(),
      path,
      guard: written['x-guard'],
      parameters: (written.parameters ?? []).map((each) => ({ ...each, schema: whole(each.schema) })),
      body: media && whole(media.schema),
      bodyRequired: written.requestBody?.required === true,
      statuses: Object.keys(written.responses).map(Number),
    }
  }),
)

/** The JSON types that a schema allows; empty: all of them. */
export const typesOf = ({ type, enum: values }: Schema): string[] => {
  if (type !== undefined) return [type].flat()
  return values ? [...new Set(values.map((value) => typeof value))] : []
}
