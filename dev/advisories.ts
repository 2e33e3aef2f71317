/**
 * Asks npm's advisory database about every package that is installed, and fails when one has a serious flaw that is
 * known. Where there is no database to ask, it says so and fails nobody.
 */
import { execFile } from 'node:child_process'
import { root } from './root.ts'

interface Report {
  vulnerabilities?: Record<string, { name: string; severity: string; range: string }>
  statusCode?: number
}

const SERIOUS = new Set(['high', 'critical'])

// npm ends with a status of its own when it finds something; what it found stands in its output either way.
execFile('npm', ['audit', '--json'], { cwd: root, maxBuffer: 64 * 1024 * 1024 }, (_, output) => {
  const { vulnerabilities, statusCode } = reportIn(output)
  if (!vulnerabilities) {
    console.log(
      `No advisory database could be asked${statusCode ? ` (${statusCode})` : ''}: nothing is known.`,
    )
    return
  }
  const found = Object.values(vulnerabilities)
  for (const { severity, name, range } of found) console.log(`${severity}: ${name} ${range}`)
  console.log(`${found.length} packages have a known flaw.`)
  if (found.some(({ severity }) => SERIOUS.has(severity))) process.exitCode = 1
})

function reportIn(output: string): Report {
  try {
    return JSON.parse(output)
  } catch {
    return {}
  }
}
