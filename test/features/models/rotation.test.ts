import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'
import { root } from '../../../dev/root.ts'
import { toBase64 } from '../../../src/core/bytes.ts'
import { stack } from '../../support/stack.ts'
import { world } from '../../support/world.ts'
import { cannedUpstream } from './room.ts'

const MARKER = 'sk-that-outlives-its-key-0123456789'
const fresh = `fresh:${toBase64(crypto.getRandomValues(new Uint8Array(32)))}`

it('replaces the key that seals secrets, and no model stops answering', async () => {
  const { secrets, neon } = await stack()
  const old = secrets.MODEL_SECRET_KEYS!
  const upstream = await cannedUpstream(200, {
    choices: [{ index: 0, message: { role: 'assistant', content: 'Yes.' }, finish_reason: 'stop' }],
  })
  const before = await world()
  const { modelUid } = await before.model({ api_link: upstream.url, auth_token: MARKER })
  const tested = async (keys: string) => {
    const at = keys === old ? before : await world({ MODEL_SECRET_KEYS: keys })
    const administrator = await at.administrator()
    return (await administrator.post<{ ok: boolean }>(`/api/model/test/${modelUid}`, undefined)).body.ok
  }
  const reseal = (keys: string) =>
    promisify(execFile)(process.execPath, [join(root, 'dev/reseal.ts')], {
      env: {
        ...process.env,
        DATABASE_URL: 'postgres://local:local@localhost/local',
        NEON_HTTP_ENDPOINT: neon.url,
        MODEL_SECRET_KEYS: keys,
      },
    })

  expect(await tested(old)).toBe(true)
  // A new key under the old one's id: nobody takes it for the old one, and together they are refused.
  const disguised = `${old.split(':')[0]}:${fresh.split(':')[1]}`
  await expect(reseal(disguised)).rejects.toMatchObject({
    code: 1,
    stdout: expect.stringContaining(modelUid),
  })
  await expect(reseal(`${disguised},${old}`)).rejects.toMatchObject({
    code: 1,
    stderr: expect.stringContaining('MODEL_SECRET_KEYS must give each key an id of its own'),
  })
  expect(await tested(fresh)).toBe(false)
  await expect(reseal(fresh)).rejects.toMatchObject({ code: 1, stdout: expect.stringContaining(modelUid) })
  expect(await tested(`${fresh},${old}`)).toBe(true)
  const { stdout } = await reseal(`${fresh},${old}`)
  expect(stdout).toMatch(/Sealed \d+ by the first key; 0 are left\./)
  expect(stdout).not.toContain(MARKER)
  expect(await tested(fresh)).toBe(true)
  expect(new Set(upstream.seen.map(({ authorization }) => authorization))).toEqual(
    new Set([`Bearer ${MARKER}`]),
  )
  await upstream.close()
  // Back, for the tests that come after this one.
  await reseal(`${old},${fresh}`)
})
