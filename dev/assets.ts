/**
 * Brings what public/ serves but does not keep in git: the console, Swagger UI's files and openapi.json. Runs before
 * every build (wrangler.toml) and every start of the local stack.
 */
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { consoleFiles } from './console.ts'
import { root } from './root.ts'

const swaggerFiles = ['swagger-ui.css', 'swagger-ui-bundle.js']

/** Writes what is missing or differs; nothing is written when all is as it should be. */
export async function copyAssets(): Promise<void> {
  await Promise.all([
    copy('openapi.json', 'openapi.json'),
    ...swaggerFiles.map((name) => copy(`node_modules/swagger-ui-dist/${name}`, `swagger-ui/${name}`)),
    writeConsole(),
  ])
}

async function copy(from: string, to: string): Promise<void> {
  await put(to, await readFile(join(root, from)))
}

/** The page last, and what it no longer asks for after it. */
async function writeConsole(): Promise<void> {
  const files = await consoleFiles()
  const isPage = ({ path }: { path: string }) => path === 'index.html'
  for (const { path, contents } of files.toSorted((a, b) => Number(isPage(a)) - Number(isPage(b))))
    await put(path, contents)
  const wanted = new Set(files.map(({ path }) => path))
  for (const name of await readdir(join(root, 'public/console')))
    if (!wanted.has(`console/${name}`)) await rm(join(root, 'public/console', name), { force: true })
}

/** `to` is below public/. */
async function put(to: string, wanted: Uint8Array): Promise<void> {
  const target = join(root, 'public', to)
  const present = await readFile(target).catch(() => undefined)
  if (present?.equals(wanted)) return
  // By rename, so that nobody ever reads half a file; elsewhere, so that nobody serves one or tidies it away.
  const halves = join(root, '.wrangler', 'halves')
  const half = join(halves, `${to.replaceAll('/', '+')}.${process.pid}`)
  await Promise.all([mkdir(join(target, '..'), { recursive: true }), mkdir(halves, { recursive: true })])
  await writeFile(half, wanted)
  await rename(half, target)
}

if (import.meta.main) await copyAssets()
