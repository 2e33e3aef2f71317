/** The console as static files: bundled by esbuild, named by their contents, and the page that asks for them. */
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { buildSync } from 'esbuild'
import { root } from './root.ts'

export interface ConsoleFile {
  /** Below public/: `console/main-ABCD2345.js`. */
  path: string
  contents: Uint8Array
}

const folder = join(root, 'console')

/** About 0.2 s. The same sources give the same files. @throws with esbuild's own words when it does not build */
export async function consoleFiles(): Promise<ConsoleFile[]> {
  // The other way would leave a service process behind for as long as `npm start` runs.
  const { outputFiles, metafile } = buildSync({
    absWorkingDir: root,
    entryPoints: { main: 'console/main.tsx', theme: 'console/theme.ts', style: 'console/style/all.css' },
    outdir: 'public/console',
    entryNames: '[name]-[hash]',
    chunkNames: '[name]-[hash]',
    bundle: true,
    splitting: true,
    format: 'esm',
    target: ['es2022', 'chrome123', 'firefox128', 'safari17.5'],
    jsx: 'automatic',
    jsxImportSource: 'preact',
    minify: true,
    legalComments: 'none',
    metafile: true,
    write: false,
    logLevel: 'silent',
  })
  const urlOf = (entry: string): string => {
    const made = Object.entries(metafile.outputs).find(([, { entryPoint }]) => entryPoint === entry)
    if (!made) throw new Error(`${entry} was not built`)
    return `/console/${basename(made[0])}`
  }
  const icon = await readFile(join(folder, 'icon.svg'))
  const iconPath = `console/icon-${createHash('sha256').update(icon).digest('hex').slice(0, 8)}.svg`
  const template = await readFile(join(folder, 'page.html'), 'utf8')
  const page = template
    .replace('{style}', urlOf('console/style/all.css'))
    .replace('{theme}', urlOf('console/theme.ts'))
    .replace('{main}', urlOf('console/main.tsx'))
    .replace('{icon}', `/${iconPath}`)
  return [
    ...outputFiles.map(({ path, contents }) => ({ path: `console/${basename(path)}`, contents })),
    { path: iconPath, contents: icon },
    { path: 'index.html', contents: new TextEncoder().encode(page) },
  ]
}
