/** `npm run deploy` with a wrangler that only writes down what it was told, and wrangler.toml as the real one reads it. */
import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'
import { expect, onTestFinished, test } from 'vitest'
import { startNeonBridge } from '../../dev/neon.ts'
import { createScratchDatabase, pgliteEngine, postgresEngine } from '../../dev/postgres-engine.ts'
import { root } from '../../dev/root.ts'
import { makeSecrets } from '../../dev/secrets.ts'
import { requiredKeys } from '../../dev/vars.ts'
import { realServers } from '../support/servers.ts'
import { world } from '../support/world.ts'

const fake = `#!${process.execPath}
const { appendFileSync, writeFileSync } = require('node:fs')
const args = process.argv.slice(2)
appendFileSync(process.env.FAKE_LOG, JSON.stringify(args) + '\\n')
if (args[0] === 'secret') {
  if (!process.env.FAKE_SECRETS) {
    console.error('X [ERROR] Worker "bothub-edge-staging" (env: staging) not found.')
    process.exit(1)
  }
  console.log('a banner\\n' + JSON.stringify(process.env.FAKE_SECRETS.split(',').map((name) => ({ name, type: 'secret_text' }))))
} else {
  const line = { type: 'deploy', version: 1, targets: [process.env.FAKE_TARGET, 'schedule: * * * * *'] }
  writeFileSync(process.env.WRANGLER_OUTPUT_FILE_PATH, JSON.stringify({ type: 'wrangler-session' }) + '\\n' + JSON.stringify(line) + '\\n')
  process.exit(Number(process.env.FAKE_EXIT ?? 0))
}
`

const good = () => ({
  ...makeSecrets(),
  DATABASE_URL: 'postgres://owner:npg_4kd83kd92kdW@ep-quiet-1.eu-central-1.aws.example.net/main',
  UPSTASH_REDIS_REST_URL: 'https://eu1-quiet-1.example.net',
})

/** A folder with a wrangler and perhaps a file of secrets, and `npm run deploy` in it. */
async function desk(vars?: Record<string, string>) {
  const folder = await mkdtemp(join(tmpdir(), 'bothub-deploy-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  await writeFile(join(folder, 'wrangler'), fake, { mode: 0o755 })
  const log = join(folder, 'log')
  await writeFile(log, '')
  if (vars) {
    const lines = Object.entries(vars).map(([key, value]) => `${key}="${value}"`)
    await writeFile(join(folder, '.staging.vars'), lines.join('\n'))
  }
  return {
    folder,
    async deploy(environment: Record<string, string> = {}, args = ['staging'], first = folder) {
      const env = {
        PATH: [first, process.env.PATH].join(delimiter),
        HOME: folder,
        FAKE_LOG: log,
        ...environment,
      }
      const { code, said } = await new Promise<{ code: number; said: string }>((resolve) => {
        execFile(
          process.execPath,
          [join(root, 'dev/deploy.ts'), ...args],
          { cwd: folder, env },
          (error, stdout, stderr) => resolve({ code: error ? Number(error.code) : 0, said: stdout + stderr }),
        )
      })
      for (const [key, value] of Object.entries(vars ?? {}))
        if (/SECRET|TOKEN/.test(key) && value.length > 3) expect(said).not.toContain(value)
      return { code, said }
    },
    /** What wrangler was told. */
    told: async () => {
      const lines = (await readFile(log, 'utf8')).split('\n').filter(Boolean)
      return lines.map((line) => JSON.parse(line) as string[])
    },
  }
}

async function database() {
  const { databaseUrl } = realServers()
  const scratch = databaseUrl ? await createScratchDatabase(databaseUrl) : undefined
  const engine = scratch ? postgresEngine({ connectionString: scratch.url }) : pgliteEngine()
  const bridge = await startNeonBridge({ engine })
  onTestFinished(async () => {
    await bridge.close()
    await engine.close()
    await scratch?.drop()
  })
  const ask = async (text: string) => (await engine.run({ statements: [{ text, params: [] }] }))[0]?.rows
  return { bridge, ask }
}

test('what is missing or weak is said, and nothing is done', async () => {
  const nowhere = await desk()
  const lost = await nowhere.deploy({}, [])
  expect([lost.code, lost.said.trim()]).toEqual([1, 'Where to? npm run deploy -- staging | production'])

  const bare = await nowhere.deploy()
  expect(bare.code).toBe(1)
  expect(bare.said).toContain(`Not set for staging, so nothing was done: ${requiredKeys().join(', ')}.`)
  expect(bare.said).toContain('npm run vars -- .staging.vars')

  const { MODEL_SECRET_KEYS: _, ...some } = good()
  const short = await desk(some)
  const { code, said } = await short.deploy({ FAKE_SECRETS: 'JWT_ACCESS_SECRET' })
  expect([code, said]).toEqual([
    1,
    expect.stringMatching(/: MODEL_SECRET_KEYS\.\nFill them in in \.staging\.vars/),
  ])

  const weak = await desk({ ...good(), JWT_ACCESS_SECRET: 'x'.repeat(48), ADMIN_REGISTRATION: 'open' })
  const refused = await weak.deploy()
  expect(refused.code).toBe(1)
  expect(refused.said).toMatch(/wrong +JWT_ACCESS_SECRET +is easy to guess/)
  expect(refused.said).toMatch(/wrong +ADMIN_REGISTRATION +is open: anybody/)

  const here = await desk({ ...good(), UPSTASH_REDIS_REST_URL: 'http://127.0.0.1:54331' })
  expect((await here.deploy()).said).toContain('UPSTASH_REDIS_REST_URL in .staging.vars is this machine')

  const DATABASE_URL = 'postgres://owner:hunter22/pa#ss@ep-quiet-1.example.net/main'
  const spoilt = await desk({ ...good(), DATABASE_URL })
  const set = await desk()
  for (const { code, said } of [
    await spoilt.deploy(),
    await set.deploy({ FAKE_SECRETS: requiredKeys().join(','), DATABASE_URL }),
  ]) {
    expect([code, said]).toEqual([1, expect.stringMatching(/DATABASE_URL +is not an address/)])
    expect(said).not.toContain('hunter22')
  }

  const all = [nowhere, short, weak, here, spoilt, set]
  const told = await Promise.all(all.map((each) => each.told()))
  expect(told.flat().filter(([verb]) => verb === 'deploy')).toEqual([])
})

test('with all of it there: migrate, upload with the secrets, ask whether it is ready', async () => {
  const { url } = await world()
  const { bridge, ask } = await database()
  const { DATABASE_URL, ...others } = good()
  const here = {
    ...{ DATABASE_URL, NEON_HTTP_ENDPOINT: bridge.url },
    ...{ FAKE_TARGET: url, FAKE_SECRETS: 'DATABASE_URL' },
  }

  // A database that cannot be migrated: nothing is uploaded.
  const first = await desk(others)
  bridge.fault = () => 'before'
  const failed = await first.deploy(here)
  bridge.fault = undefined
  expect([failed.code, failed.said]).toEqual([
    1,
    expect.stringMatching(
      /^The database could not be migrated, nothing was deployed: .* cannot be reached.*$/m,
    ),
  ])
  const uploads = async () => (await first.told()).filter(([verb]) => verb === 'deploy')
  expect(await uploads()).toEqual([])

  // A file that names its database is not migrated where the shell's endpoint leads.
  const named = await desk({
    ...others,
    DATABASE_URL: 'postgres://owner:npg_4kd83kd92kdW@ep-1.eu.invalid/main',
  })
  bridge.reset()
  const elsewhere = await named.deploy(here)
  expect([elsewhere.code, elsewhere.said]).toEqual([1, expect.stringContaining('nothing was deployed')])
  expect(bridge.counts.requests).toBe(0)

  const { code, said } = await first.deploy(here)
  expect([code, said]).toEqual([0, expect.stringMatching(/Migrations applied: [1-9]/)])
  expect(said).toContain('Secrets: 5 from .staging.vars, 1 set before.')
  expect(said).toContain(`${url}/ready says 200 {"status":"ok"`)
  const file = join(first.folder, '.staging.vars')
  expect(await uploads()).toEqual([['deploy', '--env', 'staging', '--secrets-file', file]])
  expect(await ask(`SELECT count(*) FROM pg_tables WHERE tablename = 'users'`)).toEqual([['1']])

  // Secrets that were set before, and only the address of the database from whoever calls.
  const second = await desk()
  const names = { FAKE_SECRETS: requiredKeys().join(',') }
  const without = await second.deploy({ ...here, ...names, DATABASE_URL: '' })
  expect([without.code, without.said]).toEqual([1, expect.stringContaining('DATABASE_URL is missing')])
  const again = await second.deploy({ ...here, ...names })
  expect([again.code, again.said]).toEqual([0, expect.stringContaining('Migrations applied: 0.')])
  expect((await second.told()).at(-1)).toEqual(['deploy', '--env', 'staging'])

  // wrangler's own refusal is passed on.
  const third = await first.deploy({ ...here, FAKE_EXIT: '1' })
  expect([third.code, third.said]).toEqual([1, expect.stringContaining('What runs is what ran before')])
})

test('wrangler.toml: every environment needs the same secrets, and workerd knows its date', async () => {
  const script = `
    import { unstable_readConfig } from 'wrangler'
    const read = (env) => unstable_readConfig({ config: 'wrangler.toml', env }, { hideWarnings: true })
    console.log(JSON.stringify([undefined, 'staging', 'production'].map(read)))`
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script], {
    cwd: root,
    maxBuffer: 1e7,
  })
  const [local, ...deployed] = JSON.parse(
    stdout.split('\n').findLast((line) => line.startsWith('[')) ?? '',
  ) as {
    name: string
    secrets?: { required: string[] }
    [key: string]: unknown
  }[]
  for (const each of deployed) {
    expect(each.secrets?.required.toSorted()).toEqual(requiredKeys().toSorted())
    const inherited = ['main', 'compatibility_date', 'compatibility_flags', 'assets', 'triggers']
    for (const key of [...inherited, 'limits', 'observability', 'no_bundle', 'build'])
      expect(each[key]).toEqual(local?.[key])
  }
  expect(new Set(deployed.map(({ name }) => name))).toHaveLength(2)
  // A required list here would keep every other key of .dev.vars from `wrangler dev`.
  expect(local?.secrets).toBeUndefined()
  const { version } = JSON.parse(await readFile(join(root, 'node_modules/workerd/package.json'), 'utf8'))
  const newest = /^1\.(\d{4})(\d\d)(\d\d)\./.exec(version)?.slice(1).join('-') ?? ''
  expect(String(local?.compatibility_date) <= newest, `${local?.compatibility_date} and ${newest}`).toBe(true)
})

test('a dry run by the real wrangler: what would be uploaded is small enough', async () => {
  const { deploy } = await desk(good())
  const { code, said } = await deploy(
    { CI: 'true' },
    ['staging', '--dry-run'],
    join(root, 'node_modules/.bin'),
  )
  expect([code, said]).toEqual([0, expect.stringContaining('--dry-run: exiting now')])
  const kib = Number(/gzip: ([\d.]+) KiB/.exec(said)?.[1])
  // The platform takes ten times that; what a Worker weighs is what its first request waits for.
  expect(kib).toBeGreaterThan(100)
  expect(kib).toBeLessThan(1_024)
})
