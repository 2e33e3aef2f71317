/** openapi.json as its readers use it: a public linter, a generator of clients, and a person with curl. */
import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { createConfig, lintFromString } from '@redocly/openapi-core'
import { expect, onTestFinished, test } from 'vitest'
import { clientTypes } from '../../../dev/client.ts'
import { root } from '../../../dev/root.ts'
import { world } from '../../support/world.ts'

const run = promisify(execFile)

interface Document {
  paths: Record<string, Record<string, { operationId: string; description: string }>>
}

test('a strict public linter finds nothing but the one pair of paths that the contract prescribes', async () => {
  const { call } = await world()
  const { body } = await call<Document>('GET', '/openapi.json')
  const problems = await lintFromString({
    source: JSON.stringify(body),
    absoluteRef: join(root, 'openapi.json'),
    config: await createConfig({ extends: ['recommended-strict'] }),
  })
  // A chat's uid is a UUID, so /api/chat/sse/messages is only ever the one or the other.
  expect(problems.map(({ ruleId, message }) => `${ruleId}: ${message}`)).toEqual([
    'no-ambiguous-paths: Paths should resolve unambiguously. Found two ambiguous paths: `/api/chat/sse/{chatUid}` and `/api/chat/{chatUid}/messages`.',
  ])
})

/** What somebody writes against the generated types; the lines below an expectation must not compile. */
const CLIENT = `
import type { components, operations, paths } from './openapi.d.ts'

type Json<Response> = Response extends { content: { 'application/json': infer Body } } ? Body : never
type Send = operations['sendMessage']

export const question: Send['requestBody']['content']['application/json'] = {
  role: 'user',
  message: 'What does a hold do?',
  chatUid: '019abf6e-7c1d-7a53-9d0e-3f1f6a0c2b11',
  modelUid: '019abf6e-8a10-7d2e-8f0a-5b1c9d3e7f42',
}
export const costOf = (answer: Json<Send['responses'][200]>): number => ('code' in answer ? 0 : answer.cost)
export const textOf = ({ assistantMessage: { message } }: components['schemas']['Answer']): string => message
export const isOver = ({ status }: components['schemas']['Message']): boolean => status !== 'STREAMING'
export const profile: keyof paths = '/api/user/profile'
export const problem = (body: components['schemas']['Problem']): string => \`\${body.code}: \${body.detail}\`
export const top: components['schemas']['TopUp'] = { amount: 10.5, type: 'PURCHASE' }

// @ts-expect-error no such path
export const nowhere: keyof paths = '/api/nowhere'
// @ts-expect-error a role that there is not
export const odd: Send['requestBody']['content']['application/json'] = { ...question, role: 'tool' }
// @ts-expect-error credits are numbers
export const words: string = costOf({} as never)
`

test('a typed client that openapi-typescript generates compiles, and knows what is wrong', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'bothub-client-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  const types = await clientTypes()
  const strict = {
    strict: true,
    noUncheckedIndexedAccess: true,
    exactOptionalPropertyTypes: true,
    noEmit: true,
  }
  const compilerOptions = {
    ...strict,
    allowImportingTsExtensions: true,
    types: [],
    lib: ['es2024'],
    skipLibCheck: false,
  }
  await Promise.all([
    writeFile(join(folder, 'openapi.d.ts'), types),
    writeFile(join(folder, 'client.ts'), CLIENT),
    writeFile(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['.'] })),
  ])
  const { stdout } = await run(process.execPath, [
    join(root, 'node_modules/typescript/bin/tsc'),
    '-p',
    folder,
  ]).catch((error) => error)
  expect(stdout).toBe('')
  // The console is such a client.
  expect(types).toContain('export interface operations')
})

test('every stream is explained by a line of curl, which works as it stands', async () => {
  const { url, call, richPerson, model } = await world()
  const person = await richPerson(100)
  const { modelUid, name } = await model({ token_cost: 1000 })
  const { chatUid } = (await person.post<{ chatUid: string }>('/api/chat/create', {})).body
  const { key = '' } = (await person.post<{ key?: string }>('/api/key/create', { name: 'curl' })).body
  const { body } = await call<Document>('GET', '/openapi.json')
  const streams = Object.values(body.paths)
    .flatMap((path) => Object.values(path))
    .filter((operation) => JSON.stringify(operation).includes('text/event-stream'))
  const lines = new Map(
    streams.map(({ operationId, description }) => [
      operationId,
      /```sh\n(curl [\s\S]*?)\n```/.exec(description)?.[1],
    ]),
  )
  expect([...lines].filter(([, line]) => !line).map(([operationId]) => operationId)).toEqual(['retryMessage'])
  const env = { ...process.env, TOKEN: person.token, CHAT: chatUid, MODEL: modelUid, NAME: name, KEY: key }
  const tried = [...lines].flatMap(([operationId, line]) => (line ? [{ operationId, line }] : []))
  await Promise.all(
    tried.map(async ({ operationId, line }) => {
      // A feed has no end; by then it has said what it has to say.
      const command = `${line.replace('http://localhost:8000', url)} -s -m 8`
      const { stdout } = await run('sh', ['-c', command], { env }).catch((error) => error)
      expect([operationId, stdout]).toEqual([operationId, expect.stringMatching(beginningOf(operationId))])
    }),
  )
})

function beginningOf(operationId: string): RegExp {
  if (operationId.startsWith('feed')) return /^retry: \d+\n[\s\S]*event: snapshot\n/
  if (operationId === 'sendMessage') return /^event: message_start\n[\s\S]*event: message_end\n/
  return /^data: \{[\s\S]*data: \[DONE\]/
}
