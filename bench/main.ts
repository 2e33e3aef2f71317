/**
 * `npm run bench`: measures everything, prints one table and fails when a limit is broken (budget.json).
 *
 *   --ci         a shorter run, without what is only reported
 *   --write      puts the table into docs/performance.md
 *   NAME …       only these questions: the names of the files
 *
 * On TEST_DATABASE_URL and TEST_REDIS_URL where they are given, else on the embedded Postgres and Redis.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { root } from '../dev/root.ts'
import { bundleAndStart } from './bundle.ts'
import { cpu } from './cpu.ts'
import { feeds } from './feeds.ts'
import { firstToken } from './first-token.ts'
import { length } from './length.ts'
import { roundTrips } from './round-trips.ts'
import { type Stage, startStage } from './stage.ts'
import { type Budget, type Figure, isBroken, tableOf } from './table.ts'
import { throughput } from './throughput.ts'

type Question = (stage: Stage, isShort: boolean) => Promise<Figure[]>

const questions: Record<string, Question> = {
  'round-trips': roundTrips,
  cpu,
  'first-token': firstToken,
  throughput,
  length,
  feeds,
  bundle: bundleAndStart,
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { ci: { type: 'boolean', default: false }, write: { type: 'boolean', default: false } },
})
const unknown = positionals.filter((name) => !(name in questions))
if (unknown.length > 0)
  throw new Error(`unknown: ${unknown.join(', ')}. Known: ${Object.keys(questions).join(', ')}`)
const isAsked = (name: string) =>
  positionals.length > 0 ? positionals.includes(name) : !(values.ci && name === 'throughput')

const budget: Budget = JSON.parse(readFileSync(join(root, 'bench/budget.json'), 'utf8'))
const isReal = Boolean(process.env.TEST_DATABASE_URL)
const figures: Figure[] = []

/** A stage for each question: none starts with what another one left behind. */
async function put(name: string, ask: Question, onReal: boolean): Promise<void> {
  const began = Date.now()
  const stage = await startStage(onReal)
  try {
    figures.push(...(await ask(stage, values.ci)))
  } finally {
    await stage.close()
  }
  console.error(`${name}: ${Math.round((Date.now() - began) / 1000)} s`)
}

for (const [name, ask] of Object.entries(questions)) {
  if (!isAsked(name)) continue
  await put(name, ask, isReal)
  // The embedded one too, since it is what everybody has.
  if (name === 'throughput' && isReal) await put(name, ask, false)
}

const table = tableOf(figures, budget)
console.log(table)
if (values.write) write(table)
const broken = figures.filter((figure) => isBroken(figure, budget))
for (const { name } of broken) console.error(`Over its limit: ${name}`)
// A bound of a name that is never measured would hold nothing.
const isWhole = positionals.length === 0
const forgotten = Object.keys(budget).filter((name) => !figures.some((figure) => figure.name === name))
if (isWhole && forgotten.length > 0) console.error(`Not measured: ${forgotten.join(', ')}`)
process.exit(broken.length > 0 || (isWhole && forgotten.length > 0) ? 1 : 0)

/** Between the two markers of the page, with the date and the machine in general words. */
function write(table: string): void {
  const page = join(root, 'docs/performance.md')
  const [before, , after] = readFileSync(page, 'utf8').split(
    /(?<=<!-- table -->\n)|(?=<!-- end of table -->)/,
  )
  if (after === undefined) throw new Error(`${page} has lost its markers`)
  const { version } = JSON.parse(readFileSync(join(root, 'node_modules/workerd/package.json'), 'utf8'))
  const servers = isReal ? 'PostgreSQL and Redis' : 'the embedded Postgres and Redis'
  const machine = `${cpus().length} cores, ${process.arch}, workerd ${version}, Node ${process.versions.node}, ${servers}`
  const today = new Date().toISOString().slice(0, 10)
  writeFileSync(page, `${before}\n${today}: ${machine}, all on one machine.\n\n${table}\n\n${after}`)
}
