import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { root } from '../../dev/root.ts'

const read = (path: string) => readFileSync(join(root, path), 'utf8')
const { dependencies, devDependencies, allowScripts } = JSON.parse(read('package.json'))

/** Of the table in docs/security.md. */
const rows = [
  ...read('docs/security.md').matchAll(/^\| (@?[\w./-]+) \| (\d[\w.-]*) \| [\d-]{10} \| (.+?) \|/gm),
].map(([, name = '', version, licence]) => ({ name, version, licence }))

test('docs/security.md names every package that reaches the Worker, as it is installed', () => {
  expect(rows.map(({ name }) => name)).toEqual(expect.arrayContaining(Object.keys(dependencies)))
  for (const row of rows) {
    const { version, license: licence } = JSON.parse(read(`node_modules/${row.name}/package.json`))
    expect(row).toEqual({ name: row.name, version, licence })
    expect({ ...devDependencies, ...dependencies }[row.name]).toBe(version)
  }
})

test('and every package that the console is made of', () => {
  const sources = globSync('console/**/*.{ts,tsx}', { cwd: root }).map(read).join('\n')
  const used = [...sources.matchAll(/from '((?:@\w+\/)?[a-z][\w.-]*)/g)].map(([, name = '']) => name)
  expect(used.length).toBeGreaterThan(0)
  expect(rows.map(({ name }) => name)).toEqual(expect.arrayContaining(used))
})

test('versions are exact, and few may run a script when they are installed', () => {
  const all: [string, string][] = Object.entries({ ...dependencies, ...devDependencies })
  expect(all.filter(([, version]) => !/^(npm:[\w@/-]+@)?\d+\.\d+\.\d+$/.test(version))).toEqual([])
  const allowed = Object.entries(allowScripts).filter(([, isAllowed]) => isAllowed)
  expect(allowed.map(([name]) => name).toSorted()).toEqual(['esbuild', 'node', 'workerd'])
})
