/**
 * Writes openapi.json from the routes themselves. `--check` only compares, and fails when the committed
 * document is not the one the code makes.
 */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createApp } from '../src/app.ts'
import { document, securitySchemes, tags } from '../src/features/docs/document.ts'
import type { Services } from '../src/http/context.ts'
import { root } from './root.ts'

/** Routes for people, and a second way to write a path that is declared. */
const UNDECLARED = new Set(['/docs', '/v1/models/:id{.+}'])

/** The document as text, ready to be stored. */
export function openapiText(): string {
  // No route is called here, and nothing but a call uses the services.
  const services = { env: { CORS_ORIGINS: [] as string[] } } as unknown as Services
  const app = createApp(services)
  for (const [name, scheme] of Object.entries(securitySchemes))
    app.openAPIRegistry.registerComponent('securitySchemes', name, { ...scheme })
  const made = app.getOpenAPI31Document(document)
  // A route that was added around the contract would be found by nobody.
  const declared = new Set(Object.keys(made.paths ?? {}))
  const hidden = app.routes
    .filter(({ method, path }) => method !== 'ALL' && !UNDECLARED.has(path))
    .filter(({ path }) => !declared.has(path.replace(/:(\w+)/g, '{$1}')))
  if (hidden.length > 0)
    throw new Error(
      `Not in the document: ${hidden.map(({ method, path }) => `${method} ${path}`).join(', ')}`,
    )
  const used = new Set(
    Object.values(made.paths ?? {}).flatMap((path) =>
      Object.values(path as Record<string, { tags?: string[] }>).flatMap((operation) => operation.tags ?? []),
    ),
  )
  const complete = { ...made, tags: tags.filter((tag) => used.has(tag.name)) }
  return `${JSON.stringify(complete, null, 2)}\n`
}

if (import.meta.main) {
  const path = join(root, 'openapi.json')
  const made = openapiText()
  const stored = await readFile(path, 'utf8').catch(() => '')
  if (process.argv.includes('--check')) {
    if (made !== stored) {
      console.error('openapi.json is not what the routes say. Run: npm run openapi')
      process.exitCode = 1
    }
  } else if (made !== stored) await writeFile(path, made)
}
