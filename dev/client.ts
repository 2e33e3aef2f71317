/**
 * The types of a client, generated from openapi.json by openapi-typescript: `console/wire/openapi.d.ts`, which the
 * console is written against. Not kept in git; `npm run types` makes it.
 */
import { readFile, writeFile } from 'node:fs/promises'
import { registerHooks } from 'node:module'
import { join } from 'node:path'
import { root } from './root.ts'

const target = join(root, 'console/wire/openapi.d.ts')

/** @returns the source of a module with the types `paths`, `components` and `operations` */
export async function clientTypes(): Promise<string> {
  // The generator writes with the compiler's old API, which TypeScript 7 no longer has.
  const hooks = registerHooks({
    resolve: (name, context, next) => next(name === 'typescript' ? 'typescript5' : name, context),
  })
  try {
    const { default: generate, astToString } = await import('openapi-typescript')
    const document = await readFile(join(root, 'openapi.json'), 'utf8')
    return `// Generated from openapi.json by dev/client.ts.\n${astToString(await generate(document, { defaultNonNullable: false }))}`
  } finally {
    hooks.deregister()
  }
}

if (import.meta.main) {
  const wanted = await clientTypes()
  const present = await readFile(target, 'utf8').catch(() => '')
  if (wanted !== present) await writeFile(target, wanted)
}
