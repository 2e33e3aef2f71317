import { OpenAPIHono } from '@hono/zod-openapi'
import { Failure, type FieldError } from '../core/failure.ts'
import type { App, Ctx } from './context.ts'
import { problem } from './problem.ts'

type Refuse = (c: Ctx, detail: string, errors: FieldError[]) => Response | Promise<Response>

const asProblem: Refuse = (c, detail, errors) =>
  problem(c, new Failure('invalid_request', { detail, errors }))

/** A router whose every refusal of a body, a query or a path has one shape: the house's, or that of `refuse`. */
export function createRouter(refuse = asProblem): OpenAPIHono<App> {
  return new OpenAPIHono<App>({
    defaultHook: (result, c) => {
      if (result.success) return
      const errors = result.error.issues.slice(0, 50).map(fieldError)
      const where = result.target === 'json' ? 'body' : result.target === 'param' ? 'path' : result.target
      return refuse(c, `The ${where} does not fit its schema.`, errors)
    },
  })
}

interface Issue {
  code?: string | undefined
  path: PropertyKey[]
  message: string
  keys?: string[]
}

const isAbsent = ({ code, message }: Issue): boolean =>
  code === 'invalid_type' && message.endsWith('received undefined')

/** Paths and expectations only: the value that came may be a password. */
const fieldError = (issue: Issue): FieldError => ({
  path: issue.path.map(String).join('.').slice(0, 200),
  message:
    issue.code === 'unrecognized_keys'
      ? `Unknown field${(issue.keys?.length ?? 0) > 1 ? 's' : ''}: ${issue.keys
          ?.map((key) => key.slice(0, 64))
          .slice(0, 10)
          .join(', ')}`
      : isAbsent(issue)
        ? 'is required'
        : issue.message.slice(0, 300),
})
