/** The laws of the house, executed. Each test says one of them and names every line that breaks it. */
import { execFile } from 'node:child_process'
import { existsSync, globSync, readFileSync } from 'node:fs'
import { basename, dirname, join, normalize } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { bundle } from '../dev/build.ts'
import { root } from '../dev/root.ts'
import { envSchema } from '../src/env.ts'
import { document as about, tags } from '../src/features/docs/document.ts'

interface Source {
  /** From the project's folder: `src/core/id.ts`. */
  path: string
  text: string
  /** The text without comments. */
  code: string
  imports: { names: string; from: string }[]
}

const read = (path: string) => readFileSync(join(root, path), 'utf8')
const list = (...patterns: string[]) => globSync(patterns, { cwd: root }).sort()

function sourceOf(path: string): Source {
  const text = read(path)
  const code = text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/(^|\s)\/\/.*$/gm, '')
  const statements = [...code.matchAll(/^(?:import|export)\s([^;'"]*?)from\s+['"]([^'"]+)['"]/gm)]
  const bare = [...code.matchAll(/\bimport\s*\(?\s*['"]([^'"]+)['"]/g)].map(([, from = '']) => ({
    names: '',
    from,
  }))
  const named = statements.map(([, names = '', from = '']) => ({ names, from }))
  return {
    path,
    text,
    code,
    imports: [...named, ...bare].map((each) => ({ ...each, from: placeOf(path, each.from) })),
  }
}

/** A relative import as a path of the project, any other as it stands. */
const placeOf = (path: string, from: string) =>
  from.startsWith('.') ? normalize(join(dirname(path), from)) : from
const roomOf = (path: string) => /^src\/features\/([^/]+)\//.exec(path)?.[1]
const sources = list('src/**/*.ts')
  .filter((path) => !path.endsWith('.d.ts'))
  .map(sourceOf)

/** `path: what` for every import that `isWrong`. */
const imports = (isWrong: (source: Source, from: string, names: string) => boolean) =>
  sources.flatMap((source) =>
    source.imports
      .filter(({ from, names }) => isWrong(source, from, names))
      .map(({ from }) => `${source.path}: ${from}`),
  )

test('arrows never point up: core, then ports, then http, then the rooms', () => {
  const floors = [
    'src/core/',
    'src/env.ts',
    'src/ports/',
    'src/http/',
    'src/features/',
    'src/sweep.ts',
    'src/app.ts',
    'src/worker.ts',
  ]
  const floorOf = (path: string) => floors.findIndex((floor) => path.startsWith(floor))
  expect(sources.filter(({ path }) => floorOf(path) < 0).map(({ path }) => path)).toEqual([])
  expect(imports(({ path }, from) => from.startsWith('src/') && floorOf(from) > floorOf(path))).toEqual([])
  expect(imports(({ path }, from) => path.startsWith('src/') && /^(dev|test|bench)\//.test(from))).toEqual([])
})

test('the console knows the service by its API alone', () => {
  const outside = list('console/**/*.{ts,tsx}').flatMap((path) =>
    sourceOf(path)
      .imports.filter(({ from }) => /^(src|dev|test|bench)\//.test(from) || from.startsWith('node:'))
      .map(({ from }) => `${path}: ${from}`),
  )
  expect(outside).toEqual([])
})

test('rooms form no cycle, and the two doors never see each other', () => {
  const doors = new Map<string, Set<string>>()
  for (const { path, imports: all } of sources) {
    const room = roomOf(path)
    if (room === undefined) continue
    const next = doors.get(room) ?? new Set()
    for (const { from } of all)
      if (roomOf(from) !== undefined && roomOf(from) !== room) next.add(roomOf(from) ?? '')
    doors.set(room, next)
  }
  const walk = (room: string, way: string[]): string[] => {
    if (way.includes(room)) return [[...way.slice(way.indexOf(room)), room].join(' → ')]
    return [...(doors.get(room) ?? [])].flatMap((next) => walk(next, [...way, room]))
  }
  expect([...new Set([...doors.keys()].flatMap((room) => walk(room, [])))]).toEqual([])
  expect(doors.get('chats')?.has('gateway') || doors.get('gateway')?.has('chats')).toBeFalsy()
})

test('queries.ts is private to its room', () => {
  expect(imports(({ path }, from) => /\/queries\.ts$/.test(from) && roomOf(from) !== roomOf(path))).toEqual(
    [],
  )
})

test('only http/, app.ts and routes.ts see Hono; schema.ts has its z', () => {
  const isHono = (from: string) => /^(hono|@hono)(\/|$)/.test(from)
  const mayAll = (path: string) => /^src\/(http\/|app\.ts$)|\/routes\.ts$/.test(path)
  const mayZ = (path: string, names: string) =>
    /\/schema\.ts$/.test(path) && /^(type )?\{\s*z\s*\}\s*$/.test(names)
  expect(imports(({ path }, from, names) => isHono(from) && !mayAll(path) && !mayZ(path, names))).toEqual([])
})

test('a driver is seen by its port alone', () => {
  const isPostgres = (from: string) => /^(@neondatabase\/|drizzle-orm\/neon|pg$|@electric-sql\/)/.test(from)
  expect(imports(({ path }, from) => isPostgres(from) && path !== 'src/ports/postgres.ts')).toEqual([])
  expect(
    imports(({ path }, from) => /redis/.test(from) && !/^src\//.test(from) && path !== 'src/ports/redis.ts'),
  ).toEqual([])
})

test('raw bindings are read at the door alone, and nothing of Node is used', () => {
  const having = (pattern: RegExp, ...except: string[]) =>
    sources.filter(({ path, code }) => pattern.test(code) && !except.includes(path)).map(({ path }) => path)
  expect(having(/\bbindings\b|\bc\.env\b/, 'src/env.ts', 'src/worker.ts')).toEqual([])
  expect(having(/(?<![\w.'"])process\.\w|(?<![\w.'"])Buffer[.(]/)).toEqual([])
  // AsyncLocalStorage, to know for which request a driver asks; workerd has it without Node's compatibility.
  expect(imports((_, from) => from.startsWith('node:'))).toEqual(['src/ports/meter.ts: node:async_hooks'])
})

test('one class, small files, no barrels, no drawers', () => {
  const everything = list(
    '{src,dev,test,bench}/**/*.ts',
    'console/**/*.{ts,tsx,css,html}',
    'public/*.js',
    '*.ts',
  ).filter((path) => path !== 'console/wire/openapi.d.ts')
  const long = everything.map((path) => `${path}: ${read(path).trimEnd().split('\n').length}`)
  expect(long.filter((line) => Number(line.split(': ')[1]) > 350)).toEqual([])
  expect(everything.filter((path) => /(^|\/)(utils?|helpers?|common|lib|misc)\//.test(path))).toEqual([])
  expect(everything.filter((path) => /^index\.ts$/.test(basename(path)))).toEqual([])
  expect(sources.filter(({ code }) => /^export \*/m.test(code)).map(({ path }) => path)).toEqual([])
  const classes = sources.flatMap(({ path, code }) =>
    [...code.matchAll(/\bclass (\w+)/g)].map(([, name]) => `${path}: ${name}`),
  )
  expect(classes).toEqual(['src/core/failure.ts: Failure'])
})

test('.dev.vars.example holds every key of the configuration and no other', () => {
  const keys = [...read('.dev.vars.example').matchAll(/^(\w+)=/gm)].map(([, key]) => key)
  expect(keys.toSorted()).toEqual(Object.keys(envSchema.shape).toSorted())
})

test('every path that README and docs name exists', () => {
  const tracked = new Set(
    list('*', '.*', '{src,dev,test,bench,docs,console,migrations,public,.ci}/**').map((path) =>
      basename(path),
    ),
  )
  // What a build makes is there or not, and named rightly either way.
  const built = new Set(read('.gitignore').split('\n'))
  const builtNames = new Set([...built].map((path) => basename(path)))
  const missing = list('README.md', 'docs/**/*.md').flatMap((page) => {
    const text = read(page)
    const links = [...text.matchAll(/\]\((?!\w+:|#|\/)([^)#\s]+)/g)].map(([, to = '']) =>
      join(dirname(page), to),
    )
    const named = [...text.matchAll(/`([\w./-]+)`/g)].map(([, name = '']) => name)
    const paths = named.filter((name) =>
      /^(src|dev|test|bench|docs|console|migrations|public|\.ci)\//.test(name),
    )
    const files = named.filter((name) => /^[\w.-]+\.(ts|json|toml|ya?ml|md|js|sql|html|css)$/.test(name))
    return [
      ...[...links, ...paths].filter((path) => !built.has(path) && !existsSync(join(root, path))),
      ...files.filter((name) => !tracked.has(name) && !builtNames.has(name)),
    ].map((path) => `${page}: ${path}`)
  })
  expect(missing).toEqual([])
})

test('every test that README and docs name by its title exists, and each money rule names one', () => {
  const named = list('README.md', 'docs/**/*.md').flatMap((page) =>
    [...read(page).matchAll(/`(test\/[\w./-]+\.test\.ts)`:((?:[\s,]+“[^”]+”)+)/g)].flatMap(
      ([, path = '', titles = '']) =>
        [...titles.matchAll(/“([^”]+)”/g)].map(([, title = '']) => ({
          path,
          title: title.replace(/\s+/g, ' '),
        })),
    ),
  )
  // What follows a title that is made at run time is not known here.
  const isThere = ({ path, title }: { path: string; title: string }) =>
    ["'", '"', '`'].some((quote) => [quote, ' ${'].some((end) => read(path).includes(quote + title + end)))
  expect(named.filter((each) => !existsSync(join(root, each.path)) || !isThere(each))).toEqual([])

  const [, rules = ''] = read('README.md').split('## The money rules\n')
  const each = rules
    .split('\n## ')[0]!
    .split(/\n(?=\d\. )|\n\n(?!\d\. )/)
    .filter((part) => /^\d\. /.test(part.trimStart()))
  expect(each.map((rule) => /`test\/[\w./-]+`: “/.test(rule.replace(/\s+/g, ' ')))).toEqual(
    Array(7).fill(true),
  )
})

test('openapi.json is what the routes say, and every route is in it', async () => {
  await promisify(execFile)(process.execPath, [join(root, 'dev/openapi.ts'), '--check'])
  expect(about.info.version).toBe(JSON.parse(read('package.json')).version)
})

interface Schema {
  $ref?: string
  properties?: Record<string, Schema>
  required?: string[]
  [word: string]: unknown
}
interface Operation {
  operationId?: string
  summary?: string
  description?: string
  tags?: string[]
  'x-guard'?: string
  requestBody?: {
    required?: boolean
    content: Record<string, { schema: Schema; example?: unknown; examples?: unknown }>
  }
  responses: Record<string, unknown>
}
interface Api {
  paths: Record<string, Record<string, Operation>>
  components: { schemas: Record<string, Schema> }
}

test('every route has a guard, an operationId, words, refusals, an example and a test', () => {
  const { paths, components } = JSON.parse(read('openapi.json')) as Api
  const tests = list('test/**/*.ts').map(read).join('\n')
  const known = new Set(tags.map(({ name }) => name))
  const seen = new Set<string>()
  const solid = (schema: Schema): Schema =>
    schema.$ref ? solid(components.schemas[basename(schema.$ref)] ?? {}) : schema
  const shows = (schema: Schema): boolean => {
    const whole = solid(schema)
    if (['example', 'examples', 'enum', 'const', 'default'].some((word) => word in whole)) return true
    const needed = whole.required ?? Object.keys(whole.properties ?? {})
    return needed.length > 0 && needed.every((name) => shows(whole.properties?.[name] ?? {}))
  }
  // Tests of one room may leave out what all its paths begin with.
  const isTested = (path: string) => {
    const [, base = '', rest = ''] = /^((?:\/api)?\/\w+)(.*)$/.exec(path) ?? []
    const plain = (text: string) => text.replace(/[.*+?()[\]\\]/g, '\\$&')
    const words = rest
      .split(/\{\w+\}/)
      .map(plain)
      .join('(?:\\$\\{[^}]+\\}|[\\w-]+)')
    const start =
      rest === '' ? plain(base.replace(/^\/api/, '')) : `(?:${plain(base.replace(/^\/api/, ''))})?`
    return new RegExp(`['"\`}](?:/api)?${start}${words}(?![\\w/-])`).test(tests)
  }
  const faults = Object.entries(paths).flatMap(([path, operations]) =>
    Object.entries(operations).flatMap(([method, operation]) => {
      const { operationId = '', summary, description, requestBody, responses } = operation
      const isRepeated = seen.has(operationId)
      seen.add(operationId)
      const found = {
        guard: /^\w+$/.test(operation['x-guard'] ?? ''),
        operationId: /^[a-z]\w+$/.test(operationId) && !isRepeated,
        words: Boolean(summary && description),
        tags: operation.tags?.length === 1 && known.has(operation.tags[0] ?? ''),
        refusals: Object.keys(responses).some((status) => Number(status) >= 400),
        example: Object.values(requestBody?.content ?? {}).every(
          (media) => media.example ?? media.examples ?? shows(media.schema),
        ),
        test: isTested(path),
      }
      return Object.entries(found)
        .filter(([, isFine]) => !isFine)
        .map(([what]) => `${method} ${path}: ${what}`)
    }),
  )
  expect(faults).toEqual([])
})

test('the bundle holds nothing else of Node and none of the dev parts', async () => {
  const { modules } = await bundle()
  const code = modules
    .filter(({ type }) => type === 'ESModule')
    .map(({ contents }) => new TextDecoder().decode(contents))
  expect(
    code.filter((text) => /from\s*"node:(?!async_hooks")|pglite|ioredis|\bdev\/\w+\.ts/i.test(text)),
  ).toHaveLength(0)
})
