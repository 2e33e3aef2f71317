/**
 * The Worker as one file and its WebAssembly: what is tested here is, to the byte, what is deployed. It holds nothing
 * that no request can reach; docs/performance.md says what each of these omissions is worth.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { build, type Plugin } from 'esbuild'
import ts from 'typescript5'
import { commands } from '../src/ports/redis.ts'
import { withoutProse } from './prose.ts'
import { root } from './root.ts'

/**
 * Writes worker.js, its source map, the .wasm files that it imports and meta.json (what is in it, by module) into a
 * folder; about 2 s. @throws with esbuild's own words when it does not build
 */
export async function bundleInto(folder: string): Promise<void> {
  const { metafile, outputFiles } = await build({
    absWorkingDir: root,
    entryPoints: ['src/worker.ts'],
    outdir: folder,
    assetNames: '[name]-[hash]',
    bundle: true,
    format: 'esm',
    target: 'es2024',
    // As wrangler has them: what the platform brings is not looked for in node_modules.
    conditions: ['workerd', 'worker', 'browser'],
    external: ['node:async_hooks', 'cloudflare:*'],
    loader: { '.wasm': 'copy' },
    define: { 'process.env.NODE_ENV': '"production"' },
    minify: true,
    legalComments: 'none',
    sourcemap: 'linked',
    metafile: true,
    write: false,
    logLevel: 'silent',
    plugins: [lean],
  })
  await mkdir(folder, { recursive: true })
  await Promise.all([
    ...outputFiles.map(({ path, contents }) => writeFile(path, contents)),
    writeFile(join(folder, 'meta.json'), JSON.stringify(metafile)),
  ])
}

/** Takes out what never runs. Each rule must still find what it is about, so that a new version is looked at. */
const lean: Plugin = {
  name: 'lean',
  setup({ onLoad }) {
    const change = (filter: RegExp, loader: 'ts' | 'js', how: (path: string, text: string) => string) =>
      onLoad({ filter }, async ({ path }) => ({
        contents: how(path, await readFile(path, 'utf8')),
        loader,
      }))
    change(/\/src\/.*\.ts$/, 'ts', withoutProse)
    // Both write the document, which is made ahead. The call would keep every part of zod, its 50 languages too.
    change(/@asteasolutions\/zod-to-openapi\/.*\.mjs$/, 'js', () => NO_GENERATOR)
    change(/@hono\/zod-openapi\/.*\.mjs$/, 'js', (_, text) => without(text, 'extendZodWithOpenApi(z);'))
    change(/@upstash\/redis\/chunk.*\.mjs$/, 'js', withoutCommands)
  },
}

const NO_GENERATOR = `
export class OpenAPIRegistry { definitions = []; registerPath() {} }
export const extendZodWithOpenApi = undefined, getOpenApiMetadata = undefined
export const OpenApiGeneratorV3 = undefined, OpenApiGeneratorV31 = undefined`

function without(text: string, part: string): string {
  if (text.split(part).length !== 2) throw new Error(`not there, or not once: ${part}`)
  return text.replace(part, '')
}

/** The client is one class with all the commands that Redis has, so that none of them can be told unused. */
function withoutCommands(path: string, text: string): string {
  const kept = new Set<string>(['use', 'addTelemetry', ...commands])
  const found = new Set<string>()
  let lean = text
  const visit = (node: ts.Node): void => {
    if (ts.isVariableDeclaration(node) && node.name.getText() === 'Redis' && node.initializer) {
      const members = ts.isClassExpression(node.initializer) ? node.initializer.members : []
      for (const member of members.toReversed()) {
        const name = member.name?.getText() ?? ''
        const isField = ts.isPropertyDeclaration(member) && member.initializer === undefined
        if (kept.has(name)) found.add(name)
        else if (!ts.isConstructorDeclaration(member) && !isField)
          lean = lean.slice(0, member.getStart()) + lean.slice(member.end)
      }
    } else ts.forEachChild(node, visit)
  }
  visit(ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true))
  const missing = [...kept].filter((name) => !found.has(name))
  if (missing.length > 0) throw new Error(`not in ${path}: ${missing.join(', ')}`)
  return lean
}
