/**
 * `npm run doctor`: is this configuration good, and what is to be done? Looks at the environment and .dev.vars, or
 * with `npm run doctor -- FILE` at that file alone. Fails when something is wrong. Changes nothing, shows no secret.
 */
import { existsSync } from 'node:fs'
import { type Finding, isLocal, lookedAt, postgresAnswers, redisAnswers } from './checks.ts'
import { readVars, varsIn } from './vars.ts'

export const shown = (findings: Finding[]): string =>
  findings.map(({ level, about, says }) => `  ${level.padEnd(6)} ${about.padEnd(26)} ${says}`).join('\n')

if (import.meta.main) {
  const [file] = process.argv.slice(2)
  if (file !== undefined && !existsSync(file)) {
    console.error(`There is no ${file}. npm run vars -- ${file} makes one.`)
    process.exit(1)
  }
  const vars = file === undefined ? readVars() : varsIn(file)
  const where = isLocal(vars) ? 'for this machine' : 'for a deployment'
  console.log(`${file ?? 'The environment and .dev.vars'}, ${where}:\n`)
  const findings = [...lookedAt(vars), ...(await postgresAnswers(vars)), ...(await redisAnswers(vars))]
  console.log(shown(findings))
  const count = findings.filter(({ level }) => level === 'wrong').length
  console.log(
    count === 0 ? '\nNothing is wrong.' : `\n${count} ${count === 1 ? 'thing is' : 'things are'} wrong.`,
  )
  // A subscription that was cut may keep the process for a while.
  process.exit(count === 0 ? 0 : 1)
}
