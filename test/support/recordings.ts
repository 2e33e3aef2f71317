import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { freePort } from './port.ts'

/** What a correct reader gets out of a recording. */
export interface Expected {
  text: string
  reasoning: string
  finish_reason: string | null
  error: { code: string | number | null; message: string } | null
  done?: boolean
  tool_calls: number
  usage: {
    prompt_tokens: number
    completion_tokens: number
    total_tokens: number
    cached_tokens: number | null
    reasoning_tokens: number | null
  } | null
}

const folder = process.env.FIXTURES_DIR ?? resolve(import.meta.dirname, '../../../shared/fixtures')

/** Real upstream answers, recorded by others and kept beside the checkout; undefined where they are not. */
export const recordings: Record<string, Expected> | undefined = existsSync(join(folder, 'expected.json'))
  ? JSON.parse(readFileSync(join(folder, 'expected.json'), 'utf8'))
  : undefined

if (!recordings) console.warn('No recordings beside this checkout (FIXTURES_DIR): their tests are left out.')

/** The replay server as an upstream: `link(name, 'mode=bytes,seed=7')` is a model's api_link. */
export async function startReplay(): Promise<{ link(name: string, how?: string): string; close(): void }> {
  const port = await freePort()
  const child = spawn(process.execPath, [join(folder, 'replay.mjs'), String(port)], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  await ready(child)
  return {
    link: (name, how) => `http://127.0.0.1:${port}/${how ? `@${how}/` : ''}${encodeURIComponent(name)}/v1`,
    close: () => child.kill(),
  }
}

const ready = (child: ChildProcess) =>
  new Promise<void>((done, fail) => {
    child.stderr?.once('data', () => done())
    child.once('exit', () => fail(new Error('the replay server did not start')))
  })
