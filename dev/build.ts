/**
 * The Worker's bundle (dev/bundler.ts), kept under a name made of what went in, so that an unchanged source is not
 * built twice. The local stack takes it from there; run as a program it lays it where wrangler.toml looks for it.
 */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { copyFile, mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { WorkerOptions } from 'miniflare'
import { root } from './root.ts'

const run = promisify(execFile)
const shelf = join(root, '.wrangler', 'bundles')
/** `main` of wrangler.toml is in it. */
const deployed = join(root, '.wrangler', 'worker')
const keptMs = 60 * 60 * 1000

/** What Miniflare needs to know of the Worker; bindings are not part of it. */
export type Bundle = Pick<WorkerOptions, 'compatibilityDate' | 'compatibilityFlags' | 'assets'> & {
  modules: { type: 'ESModule' | 'CompiledWasm'; path: string; contents: Uint8Array }[]
  /** When the platform calls `scheduled`; empty while the Worker has none. */
  crons: string[]
}

/**
 * The bundle of the sources as they stand; 2–3 s when something changed, else some milliseconds.
 * @throws Error with the bundler's own words when it does not build
 */
export async function bundle(): Promise<Bundle> {
  const folder = join(shelf, await fingerprint())
  // A process of its own: wrangler and the compiler are large, and wrangler changes much of the process it runs in.
  if (!(await exists(folder)))
    await run(process.execPath, [join(root, 'dev/build.ts'), folder], { cwd: root })
  const names = await readdir(folder)
  const options = JSON.parse(await readFile(join(folder, 'options.json'), 'utf8'))
  const modules = names
    .filter((name) => name.endsWith('.js') || name.endsWith('.wasm'))
    // The first one is where the Worker begins.
    .sort((a, b) => Number(b === 'worker.js') - Number(a === 'worker.js'))
    .map(async (name) => ({
      type: name.endsWith('.js') ? ('ESModule' as const) : ('CompiledWasm' as const),
      path: name,
      contents: new Uint8Array(await readFile(join(folder, name))),
    }))
  return {
    ...options,
    assets: { ...options.assets, directory: join(root, 'public') },
    modules: await Promise.all(modules),
  }
}

/** Whatever can change the bundle. openapi.json and public/ are served as files and do not. */
async function fingerprint(): Promise<string> {
  const sources = (await readdir(join(root, 'src'), { recursive: true }))
    .filter((path) => /\.\w+$/.test(path))
    .map((path) => join('src', path))
  const made = ['dev/build.ts', 'dev/bundler.ts', 'dev/prose.ts']
  const paths = [...sources.sort(), 'wrangler.toml', 'tsconfig.json', 'package-lock.json', ...made]
  const digest = createHash('sha256')
  for (const contents of await Promise.all(paths.map((path) => readFile(join(root, path)))))
    digest.update(`${contents.length}\n`).update(contents)
  return digest.update(paths.join('\n')).digest('hex').slice(0, 16)
}

const exists = (path: string) =>
  stat(path).then(
    () => true,
    () => false,
  )

/** Builds into `folder`, which appears when it is complete: two builders at once do no harm. */
async function build(folder: string): Promise<void> {
  const half = `${folder}.${process.pid}`
  await mkdir(half, { recursive: true })
  try {
    const { bundleInto } = await import('./bundler.ts')
    await Promise.all([bundleInto(half), writeOptions(half)])
    await rename(half, folder).catch(async (error) => {
      if (!(await exists(folder))) throw error
    })
  } finally {
    await rm(half, { recursive: true, force: true })
  }
  for (const name of await readdir(shelf)) {
    const path = join(shelf, name)
    const age = Date.now() - ((await stat(path).catch(() => undefined))?.mtimeMs ?? Date.now())
    if (path !== folder && age > keptMs) await rm(path, { recursive: true, force: true })
  }
}

/** The settings of wrangler.toml as Miniflare wants them, without the values that wrangler reads from .dev.vars. */
async function writeOptions(folder: string): Promise<void> {
  const wrangler = await import('wrangler')
  const config = wrangler.unstable_readConfig({ config: join(root, 'wrangler.toml') })
  const { compatibilityDate, compatibilityFlags, assets } =
    wrangler.unstable_getMiniflareWorkerOptions(config).workerOptions
  const crons = config.triggers.crons ?? []
  await writeFile(
    join(folder, 'options.json'),
    JSON.stringify({ compatibilityDate, compatibilityFlags, assets, crons }),
  )
}

/** What wrangler deploys, and what `wrangler dev` runs. */
async function lay(): Promise<void> {
  const folder = join(shelf, await fingerprint())
  if (!(await exists(folder))) await build(folder)
  await mkdir(deployed, { recursive: true })
  const names = (await readdir(folder)).filter((name) => /\.(js|wasm|map)$/.test(name))
  for (const name of await readdir(deployed)) if (!names.includes(name)) await rm(join(deployed, name))
  // The Worker last: `wrangler dev` starts anew when it changes.
  for (const name of names.toSorted((a, b) => Number(a === 'worker.js') - Number(b === 'worker.js')))
    await copyFile(join(folder, name), join(deployed, name))
}

if (import.meta.main) {
  const [, , folder] = process.argv
  try {
    await (folder === undefined ? lay() : build(folder))
  } catch (error) {
    console.error(error instanceof Error ? error.message : error)
    process.exit(1)
  }
}
