/** What a first visitor finds: an administrator, and two models at the demo upstream. All of it over the public API. */
import { randomBytes } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

export interface Demo {
  mail: string
  passwordFile: string
  models: string[]
}

/** What `npm start` opens, and dev/serve.ts with DEMO=on, where nothing else is said. */
export const demoRules = { ADMIN_REGISTRATION: 'open', SELF_TOP_UP: 'on', PRIVATE_UPSTREAMS: 'on' }

const mail = 'admin@demo.example'
const wanted = [
  { name: 'demo', description: 'Answers questions about this gateway at a pleasant pace.' },
  { name: 'demo-reasoner', description: 'Thinks aloud before it answers.' },
]

/**
 * Makes the administrator and the models at the first start. Later it only moves the models' links when the demo
 * upstream listens elsewhere, so that what a person changed or deleted stays so.
 * @returns undefined while the service has no accounts or models yet
 * @throws Error with the service's own words when it refuses
 */
export async function setUpDemo(url: string, apiLink: string, dataDir: string): Promise<Demo | undefined> {
  const document = await fetch(`${url}/openapi.json`).then(
    (answer) => answer.json() as Promise<{ paths: object }>,
  )
  if (!('/api/auth/register' in document.paths && '/api/model/create' in document.paths)) return undefined

  const passwordFile = join(dataDir, 'demo-password.txt')
  const isNew = !existsSync(passwordFile)
  if (isNew) writeFileSync(passwordFile, `${randomBytes(12).toString('base64url')}\n`, { mode: 0o600 })
  const password = readFileSync(passwordFile, 'utf8').trim()

  const call = async (method: string, path: string, token: string | undefined, json?: object) => {
    const answer = await fetch(`${url}/api${path}`, {
      method,
      headers: {
        ...(json ? { 'Content-Type': 'application/json' } : {}),
        ...(token ? { Authorization: `Bearer ${token}` } : {}),
      },
      ...(json ? { body: JSON.stringify(json) } : {}),
    })
    const body = (await answer.json()) as { code?: string; detail?: string }
    return {
      status: answer.status,
      body: body as Record<string, unknown>,
      why: `${method} ${path}: ${body.detail}`,
    }
  }

  const login = await call('POST', '/auth/login', undefined, { mail, password })
  const isKnown = login.status === 200
  const entered = isKnown
    ? login
    : await call('POST', '/auth/register', undefined, {
        firstName: 'Demo',
        lastName: 'Administrator',
        mail,
        password,
        role: 'ADMIN',
      })
  if (entered.status >= 300) throw new Error(entered.why)
  const token = String(entered.body.accessToken)

  const all = await call('GET', '/model/all?limit=100', token)
  if (all.status !== 200) throw new Error(all.why)
  const models = all.body.data as { uid: string; name: string; api_link?: string }[]
  for (const { name, description } of wanted) {
    const present = models.find((model) => model.name === name)
    if (!present && isKnown) continue
    if (present?.api_link === apiLink) continue
    const done = present
      ? await call('PUT', '/model/update', token, { uid: present.uid, api_link: apiLink })
      : await call('POST', '/model/create', token, { name, description, token_cost: 1000, api_link: apiLink })
    if (done.status >= 300) throw new Error(done.why)
  }
  return { mail, passwordFile, models: wanted.map(({ name }) => name) }
}
