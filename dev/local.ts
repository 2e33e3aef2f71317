/**
 * Which service a command is for: the one that the environment or .dev.vars names, else the one that `npm start` runs
 * on DATA_DIR, whose embedded parts live in its process and are reached through its bridges.
 */
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, relative, resolve } from 'node:path'
import { root } from './root.ts'
import { readVars } from './vars.ts'

/** How a command reaches a service. */
export interface Reach {
  DATABASE_URL: string
  NEON_HTTP_ENDPOINT?: string | undefined
  UPSTASH_REDIS_REST_URL?: string | undefined
  UPSTASH_REDIS_REST_TOKEN?: string | undefined
  MODEL_SECRET_KEYS?: string | undefined
}

export const dataDirOf = (environment: NodeJS.ProcessEnv): string =>
  resolve(root, environment.DATA_DIR || '.data')

const fileIn = (dataDir: string): string => join(dataDir, 'stack.json')

/** Tells the commands where this process serves; only its owner may read it, since the address is all that it takes. */
export function tellWhere(dataDir: string, reach: Reach): void {
  const path = fileIn(dataDir)
  rmSync(path, { force: true })
  writeFileSync(path, `${JSON.stringify({ pid: process.pid, reach })}\n`, { mode: 0o600 })
  process.on('exit', () => rmSync(path, { force: true }))
}

/**
 * @returns how to reach it, and a word for people that holds no secret
 * @throws Error in one line, when nothing is named and nothing runs
 */
export function whichService(): { reach: Reach; name: string } {
  const { DATABASE_URL, NEON_HTTP_ENDPOINT, ...others } = readVars()
  const { UPSTASH_REDIS_REST_URL, UPSTASH_REDIS_REST_TOKEN, MODEL_SECRET_KEYS } = others
  if (DATABASE_URL)
    return {
      reach: {
        DATABASE_URL,
        NEON_HTTP_ENDPOINT: NEON_HTTP_ENDPOINT || undefined,
        ...{ UPSTASH_REDIS_REST_URL, UPSTASH_REDIS_REST_TOKEN, MODEL_SECRET_KEYS },
      },
      name: `the database ${placeOf(DATABASE_URL)}${NEON_HTTP_ENDPOINT ? ` over ${placeOf(NEON_HTTP_ENDPOINT)}` : ''}`,
    }
  const dataDir = dataDirOf(process.env)
  const shown = relative(root, dataDir).startsWith('..') ? dataDir : relative(root, dataDir)
  const { pid, reach } = existsSync(fileIn(dataDir)) ? JSON.parse(readFileSync(fileIn(dataDir), 'utf8')) : {}
  if (!reach || !isAlive(pid))
    throw new Error(
      `DATABASE_URL is not set, in the environment or in .dev.vars, and no \`npm start\` runs on ${shown}.`,
    )
  return { reach, name: `the local stack on ${shown} (npm start)` }
}

/** Host and path of an address: no name, no password. */
function placeOf(address: string): string {
  if (!URL.canParse(address)) return 'at an address that is none'
  const { host, pathname } = new URL(address)
  return host + pathname
}

/** Whether that process is an `npm start` and runs; a number may be another's by now, or that of a dead one. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    const command = `/proc/${pid}/cmdline`
    return !existsSync(command) || readFileSync(command, 'utf8').includes('main.ts')
  } catch {
    return false
  }
}

/** The service that a command is for, said in a line; or the reason in a line, and the end. */
export function serviceAtHand(): Reach {
  try {
    const { reach, name } = whichService()
    console.log(`On ${name}.`)
    return reach
  } catch (error) {
    console.error((error as Error).message)
    process.exit(1)
  }
}

/** Why a command failed, in a line: what the port keeps to itself is all that there is to say here. */
export const reasonOf = (error: unknown): string => {
  const { message, cause } = error as Error
  return cause instanceof Error ? cause.message : message
}
