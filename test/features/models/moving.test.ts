import { expect, it } from 'vitest'
import { world } from '../../support/world.ts'

it('shows the secret of one upstream to no other: a new host wants it again, or none', async () => {
  const at = await world()
  const administrator = await at.administrator()
  const { modelUid } = await at.model({ auth_token: 'a-secret-of-the-first-host' })
  const update = (change: object) => administrator.put<any>('/api/model/update', { uid: modelUid, ...change })
  const elsewhere = { api_link: at.upstream.url.replace('127.0.0.1', 'localhost') }
  const refused = await update(elsewhere)
  expect(refused).toMatchObject({
    status: 422,
    body: { code: 'invalid_request', errors: [{ path: 'auth_token' }] },
  })
  expect((await administrator.get<any>(`/api/model/one/${modelUid}`)).body.api_link).toBe(at.upstream.url)
  // On the same host it stays, and so it does with everything else that changes.
  expect((await update({ api_link: `${at.upstream.url}/chat/completions` })).body.hasAuthToken).toBe(true)
  expect((await update({ ...elsewhere, auth_token: 'a-secret-of-the-second' })).body).toMatchObject({
    ...elsewhere,
    hasAuthToken: true,
  })
  expect((await update({ api_link: at.upstream.url, auth_token: null })).body).toMatchObject({
    hasAuthToken: false,
  })
})
