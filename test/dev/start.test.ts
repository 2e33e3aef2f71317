import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { root } from '../../dev/root.ts'
import { freePort } from '../support/port.ts'

/** `npm start` with its own port and folder. */
function start(port: number, dataDir: string) {
  const environment = { ...process.env, PORT: String(port), DATA_DIR: dataDir }
  const child = spawn(process.execPath, [join(root, 'dev/main.ts')], { env: environment })
  onTestFinished(() => void child.kill('SIGKILL'))
  const said = { text: '' }
  for (const output of [child.stdout, child.stderr])
    output.on('data', (data) => {
      said.text += data
    })
  return { child, said, ended: once(child, 'exit') }
}

async function until(isSo: () => boolean | Promise<boolean>, ms: number): Promise<void> {
  const end = Date.now() + ms
  while (!(await isSo())) {
    if (Date.now() > end) throw new Error('it did not come to that')
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

const childrenOf = async ({ pid }: ChildProcess) =>
  (await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')).trim().split(' ').filter(Boolean).map(Number)

const isGone = (pid: number) =>
  stat(`/proc/${pid}`).then(
    () => false,
    () => true,
  )

test('npm start serves, keeps its secrets to itself, and Ctrl-C ends all of it; a second start finds the data', async () => {
  const dataDir = await mkdtemp(join(tmpdir(), 'bothub-start-'))
  onTestFinished(() => rm(dataDir, { recursive: true, force: true }))
  const port = await freePort()
  const secretsOf = () => readFile(join(dataDir, 'secrets.json'), 'utf8')
  let secrets: string | undefined

  for (const round of ['first', 'second']) {
    const { child, said, ended } = start(port, dataDir)
    await until(() => said.text.includes('Ctrl-C') || child.exitCode !== null, 120_000)
    expect(said.text, round).toContain(`http://localhost:${port}/docs`)
    expect(said.text, round).not.toContain('not set up')
    expect((await fetch(`http://localhost:${port}/ready`)).status).toBe(200)
    expect((await stat(join(dataDir, 'secrets.json'))).mode & 0o777).toBe(0o600)
    secrets ??= await secretsOf()
    expect(await secretsOf()).toBe(secrets)
    const workers = await childrenOf(child)
    expect(workers).toHaveLength(1)

    child.kill('SIGINT')
    expect(await ended).toEqual([0, null])
    await until(async () => (await Promise.all(workers.map(isGone))).every(Boolean), 30_000)
  }
  expect(await readdir(dataDir)).not.toContain('lock')
}, 120_000)

test('a bad key is named, without its value, and nothing starts', async () => {
  const dataDir = await mkdtemp(join(tmpdir(), 'bothub-start-'))
  onTestFinished(() => rm(dataDir, { recursive: true, force: true }))
  process.env.JWT_ACCESS_SECRET = 'shortsecret'
  const { said, ended } = start(await freePort(), dataDir)
  delete process.env.JWT_ACCESS_SECRET
  expect(await ended).toEqual([1, null])
  expect(said.text).toContain('JWT_ACCESS_SECRET must have at least 32 characters')
  expect(said.text).not.toContain('shortsecret')
})

test('a taken port is said in one line', async () => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  const { port } = server.address() as { port: number }
  const { said, ended } = start(port, join(tmpdir(), 'bothub-never'))
  expect(await ended).toEqual([1, null])
  expect(said.text.trim()).toMatch(new RegExp(`^Port ${port} is taken.*PORT=${port + 1} npm start$`))
})
