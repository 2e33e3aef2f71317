/**
 * README.md is run: every block of commands as it is written, in its order, in one shell, against a service that was
 * just started; what the README shows of their output must come. A block that is not run says why in a comment before
 * it: `<!-- not run: … -->`. Ids and times are others each time. Where numbers and places of cuts are, too, a comment
 * before the output says so: `<!-- varies: … -->`; equal numbers of three digits and more stay equal all the same.
 * In shown output `…` stands for anything, and `… 105 more of these …` for as many deltas.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { globSync, readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { root } from '../dev/root.ts'
import { freePort } from './support/port.ts'

const read = (path: string) => readFileSync(join(root, path), 'utf8')

interface Block {
  line: number
  commands: string
  /** Why it is not run. */
  why: string | undefined
  shown: { text: string; varies: boolean } | undefined
}

function blocksOf(markdown: string): Block[] {
  const blocks: Block[] = []
  for (const match of markdown.matchAll(/^( *)```(\w*)\n([\s\S]*?)^\1```$/gm)) {
    const [, indent = '', language, body = ''] = match
    const before = markdown.slice(0, match.index).trimEnd()
    const [, word, reason] = /<!-- (not run|varies): ([^>]+) -->$/.exec(before) ?? []
    const text = body.replaceAll(new RegExp(`^${indent}`, 'gm'), '')
    const last = blocks.at(-1)
    if (language === 'sh')
      blocks.push({
        line: before.split('\n').length + 2,
        commands: text,
        why: word === 'not run' ? reason : undefined,
        shown: undefined,
      })
    // A plain block is the output of the commands before it, unless these have theirs already.
    else if (language === '' && last && !last.shown && !last.why && !/\n#/.test(between(last, match.index)))
      last.shown = { text, varies: word === 'varies' }
  }
  return blocks

  function between(block: Block, end: number): string {
    const begin = markdown.indexOf(block.commands) + block.commands.length
    return markdown.slice(begin, end)
  }
}

const DELTA = /(?:id: \S+\n)?event: message_delta\ndata: .*\n\n/g

/** Without what is another one each time. */
const known = (text: string): string =>
  text
    .replace(/\b[0-9a-f]{32}-\d+(~[\w.…]*)?/g, '‹place›')
    .replace(/\b[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}\b/g, '‹uid›')
    .replace(/\b\d{4}-\d\d-\d\dT[\d:.]+Z/g, '‹time›')
    // The demo upstream takes another port when its own is taken.
    .replace(/\b127\.0\.0\.1:\d+/g, '‹address›')

/** How many deltas a text has, or says that it has, and the text with one word for each run of them. */
function deltasOf(text: string): { count: number; rest: string } {
  let count = text.match(DELTA)?.length ?? 0
  const rest = text
    .replace(/ *… (\d+) more of these …\n\n/g, (_, more) => {
      count += Number(more)
      return ''
    })
    .replace(DELTA, '‹deltas›')
    .replace(/(‹deltas›)+/g, '‹deltas›\n')
  return { count, rest }
}

/** What README shows as a pattern of what comes. */
function patternOf(shown: string, varies: boolean): RegExp {
  const names = new Map<string, string>()
  const plain = (text: string) => text.replace(/[.*+?^${}()|[\]\\/]/g, '\\$&')
  const number = (digits: string) => {
    if (digits.length < 3) return '-?[\\d.]+'
    const name = names.get(digits)
    if (name) return `\\k<${name}>`
    names.set(digits, `n${names.size}`)
    return `(?<n${names.size - 1}>-?[\\d.]+)`
  }
  const pattern = shown
    .split(/( ?…|-?\d[\d.]*)/)
    .map((part) =>
      part.endsWith('…') ? '[\\s\\S]*?' : varies && /^-?\d/.test(part) ? number(part) : plain(part),
    )
  return new RegExp(`^${pattern.join('')}$`)
}

const tidy = (text: string, varies: boolean) =>
  varies ? text.replace(/(?<=\d)\s+(?=\d)/g, '_').replace(/\s+/g, '') : text.trim().replace(/\n+/g, '\n')

/** `npm start` with a port and a folder of its own, once it says that people may come. */
async function startService(folder: string): Promise<number> {
  const port = await freePort()
  const env = { ...process.env, PORT: String(port), DATA_DIR: join(folder, 'data') }
  const child = spawn(process.execPath, [join(root, 'dev/main.ts')], { env })
  onTestFinished(async () => {
    child.kill('SIGINT')
    await once(child, 'exit')
  })
  let said = ''
  for (const output of [child.stdout, child.stderr])
    output.on('data', (data) => {
      said += data
    })
  await expect.poll(() => child.exitCode !== null || said, { timeout: 60_000 }).toContain('Ctrl-C')
  return port
}

test('every command of the README does what the README shows', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'bothub-readme-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  const blocks = blocksOf(read('README.md'))
  const run = blocks.filter(({ why }) => !why)
  expect(run.length).toBeGreaterThan(5)
  const port = await startService(folder)

  // Where the service is and where its data are is all that is put in another's place.
  const here = (commands: string) =>
    commands
      .replaceAll('localhost:8000', `localhost:${port}`)
      .replaceAll('.data/', `${join(folder, 'data')}/`)
  const script = run.map(({ commands }, index) => `printf '\\n@@@ ${index}\\n'\n${here(commands)}`)
  await writeFile(join(folder, 'tour.sh'), script.join('\n'))
  const PATH = [dirname(process.execPath), process.env.PATH].join(delimiter)
  const shell = spawn('bash', [join(folder, 'tour.sh')], { cwd: root, env: { ...process.env, PATH } })
  const said = { out: '', err: '' }
  shell.stdout.on('data', (data) => {
    said.out += data
  })
  shell.stderr.on('data', (data) => {
    said.err += data
  })
  await once(shell, 'close')

  // What curl says when the time that it was given is up, and npm of its own settings.
  const complaints = said.err.split('\n').filter((line) => line && !/^(curl: \(28\)|npm warn)/.test(line))
  expect(complaints).toEqual([])
  const outputs = said.out.split(/\n@@@ \d+\n/).slice(1)
  expect(outputs).toHaveLength(run.length)
  for (const [index, { shown, line }] of run.entries()) {
    if (!shown) continue
    const { varies } = shown
    const wanted = deltasOf(known(shown.text))
    const got = deltasOf(known(outputs[index] ?? ''))
    const where = `README.md, the commands at line ${line}`
    if (!varies) expect(got.count, where).toBe(wanted.count)
    expect(tidy(got.rest, varies), where).toMatch(patternOf(tidy(wanted.rest, varies), varies))
  }
}, 150_000)

test('every npm script that README and docs name is there', () => {
  const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> }
  const missing = ['README.md', ...globSync('docs/**/*.md', { cwd: root })].flatMap((page) =>
    [...read(page).matchAll(/npm run (?:--silent )?([\w:]+)/g)]
      .map(([, name = '']) => name)
      .filter((name) => !(name in scripts))
      .map((name) => `${page}: npm run ${name}`),
  )
  expect(missing).toEqual([])
})
