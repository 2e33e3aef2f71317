/**
 * `npm run screenshots [folder]`: every view of the console in light, dark and phone-wide, over a stack of its own with
 * a month of life in it. To be looked at; the few that the documentation shows are kept in docs/images.
 */
import { mkdir } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { neon, neonConfig } from '@neondatabase/serverless'
import { type Browser, chromium, type Page } from 'playwright-core'
import { browserPath } from '../test/browser/page.ts'
import { root } from './root.ts'
import { type Stack, startStack } from './stack.ts'

const folder = resolve(process.argv[2] ?? join(root, '.wrangler/screenshots'))
const only = process.argv[3]

const sizes = {
  light: { colorScheme: 'light', viewport: { width: 1280, height: 860 } },
  dark: { colorScheme: 'dark', viewport: { width: 1280, height: 860 } },
  phone: { colorScheme: 'light', viewport: { width: 390, height: 800 }, isMobile: true, hasTouch: true },
} as const

type Call = <Body = Record<string, string>>(method: string, path: string, json?: object) => Promise<Body>
const callOf =
  (url: string, token?: string): Call =>
  async (method, path, json) => {
    const answer = await fetch(`${url}/api${path}`, {
      method,
      headers: {
        'Content-Type': 'application/json',
        ...(token ? { Authorization: `Bearer ${token}` } : {}),
      },
      ...(json ? { body: JSON.stringify(json) } : {}),
    })
    if (!answer.ok) throw new Error(`${method} ${path}: ${await answer.text()}`)
    return answer.json() as never
  }

const password = 'a long password'

/** People, models, chats, keys and bookings. @returns the chat that the pictures show */
async function live(stack: Stack): Promise<string> {
  const { url } = stack
  const api = callOf(url)
  const register = async (firstName: string, lastName: string, role = 'USER') => {
    const mail = `${firstName.toLowerCase()}@example.com`
    const made = await api<{ accessToken: string; user: { uid: string } }>('POST', '/auth/register', {
      firstName,
      lastName,
      mail,
      password,
      role,
    })
    return { uid: made.user.uid, call: callOf(url, made.accessToken) }
  }
  const grace = await register('Grace', 'Hopper', 'ADMIN')
  const others = [
    await register('Alan', 'Turing'),
    await register('Katherine', 'Johnson'),
    await register('Edsger', 'Dijkstra'),
  ]
  const ada = await register('Ada', 'Lovelace', 'ADMIN')
  const models: string[] = []
  for (const model of [
    {
      name: 'quick',
      description: 'Small and quick, for everyday questions.',
      type: 'demo-instant',
      token_cost: 1000,
    },
    {
      name: 'thinker',
      description: 'Thinks aloud before it answers.',
      type: 'demo-reasoner',
      input_price: 800,
      output_price: 3200,
    },
    { name: 'patient', description: 'Takes its time.', type: 'demo', token_cost: 400 },
    { name: 'unwell', description: 'Nobody is at home.', type: 'demo', api_link: 'http://127.0.0.1:9' },
  ]) {
    const wish = {
      token_cost: 1000,
      api_link: stack.upstream!.url,
      auth_token: 'an-upstream-secret',
      ...model,
    }
    models.push((await grace.call('POST', '/model/create', wish)).modelUid!)
  }
  const book = (userUid: string, amount: number, type: string, description: string) =>
    grace.call('POST', '/transaction/make', { userUid, amount, type, description })
  for (const { uid } of [ada, ...others]) await book(uid, 50, 'PURCHASE', 'First top-up')
  await book(ada.uid, 2.5, 'REFUND', 'Goodwill for the outage of 12 November')
  await book(others[0]!.uid, -1.25, 'ADJUSTMENT', 'Booked twice by mistake')
  await grace.call('PATCH', `/user/${others[2]!.uid}`, { status: 'BLOCKED' })

  const ask = (by: Call, chatUid: string, message: string, modelUid: string) =>
    by('POST', '/chat/message', { role: 'user', message, chatUid, modelUid })
  for (const [index, title] of [
    'Reading list on ledgers',
    'Names for a boat',
    'Why is the sky dark at night?',
    'A letter to the landlord',
  ].entries()) {
    const { chatUid } = await ada.call('POST', '/chat/create', { title })
    for (let each = 0; each < 7; each++)
      await ask(ada.call, chatUid!, `[[delay=0]] Question ${each} about balance`, models[(each + index) % 3]!)
  }
  await ask(
    ada.call,
    (await ada.call('POST', '/chat/create', {})).chatUid!,
    '[[fault:cut-after=3]] Tell me of stopping',
    models[0]!,
  )
  await ada.call('POST', '/key/create', {
    name: 'Nightly report',
    budget: 25,
    expiresAt: '2031-01-01T00:00:00Z',
  })
  const { keyUid } = await ada.call('POST', '/key/create', { name: 'Old laptop' })
  await ada.call('DELETE', `/key/delete/${keyUid}`)
  // A month of life: the answers so far are spread over it.
  neonConfig.fetchEndpoint = stack.neon.url
  const sql = neon('postgres://local:local@localhost/local')
  await sql.query(
    `UPDATE generations SET created_at = now() - (abs(hashtext(uid::text)) % 29) * interval '1 day'`,
  )
  const { chatUid } = await ada.call('POST', '/chat/create', { title: 'Sorting in two languages' })
  await ask(
    ada.call,
    chatUid!,
    `[[say:${ANSWER}]] How do I sort a list of people by age, in Python and in TypeScript?`,
    models[0]!,
  )
  await ask(ada.call, chatUid!, 'And what does a hold on my credits do?', models[1]!)
  // What tells the demo upstream how to behave is not part of the picture.
  await sql.query(
    `UPDATE messages SET message = regexp_replace(message, '\\[\\[.*\\]\\] *', '') WHERE role = 'user'`,
  )
  await sql.query(`UPDATE chats SET title = regexp_replace(title, '\\[\\[.*\\]\\] *', '')`)
  return chatUid!
}

const ANSWER = `Both languages sort by a **key**, and both keep equal elements in their order.

### Python

\`\`\`python
people = [("Ada", 36), ("Grace", 85), ("Alan", 41)]
for name, age in sorted(people, key=lambda person: person[1]):
    print(f"{name} is {age}")
\`\`\`

### TypeScript

\`\`\`ts
const byAge = people.toSorted((a, b) => a.age - b.age)
\`\`\`

| | Sorts in place | Returns a copy |
|---|---|---|
| Python | \`list.sort()\` | \`sorted()\` |
| TypeScript | \`sort()\` | \`toSorted()\` |

1. Prefer the copy: nobody else's list changes.
2. For *large* lists, compute an expensive key once.`

type Look = (page: Page, url: string) => Promise<void>
const at =
  (path: string, ready: string): Look =>
  async (page, url) => {
    await page.goto(url + path)
    await page.waitForSelector(ready)
  }

function viewsOf(chatUid: string): Record<string, Look> {
  return {
    welcome: at('/', '.composer'),
    chat: async (page, url) => {
      await at(`/chats/${chatUid}`, '.answer-foot')(page, url)
      await page.waitForSelector('[data-coloured]')
      await page.locator('.scroller').evaluate((box) => box.scrollTo(0, 0))
    },
    'chat-end': async (page, url) => {
      await at(`/chats/${chatUid}`, '.answer-foot')(page, url)
      await page.locator('.reasoning summary').last().click()
    },
    streaming: async (page, url) => {
      await at('/', '.composer textarea')(page, url)
      await page.selectOption('.model-choice select', { label: 'patient' })
      await page.fill('.composer textarea', 'Tell me how streaming works, please')
      await page.click('.send')
      await page.waitForSelector('.growing .block:nth-child(2)')
      await page.waitForTimeout(1500)
    },
    failed: async (page, url) => {
      await at('/', '.composer textarea')(page, url)
      await page.fill('.composer textarea', 'What if you fail?')
      await page.selectOption('.model-choice select', { label: 'unwell' })
      await page.click('.send')
      await page.waitForSelector('.ended.failed')
      await page.evaluate(() => localStorage.removeItem('model'))
    },
    palette: async (page, url) => {
      await at('/', '.composer')(page, url)
      await page.keyboard.press('Control+k')
      await page.waitForSelector('.palette')
    },
    'top-up': async (page, url) => {
      await at('/statement', '.table tbody .amount')(page, url)
      await page.locator('.page-actions .primary').click()
      await page.waitForSelector('dialog')
    },
    menu: async (page, url) => {
      await at(`/chats/${chatUid}`, '.answer-foot')(page, url)
      const menu = page.getByRole('button', { name: 'Menu', exact: true })
      if (await menu.isVisible()) await menu.click()
      await page.locator('.chat-item .menu-button').first().click()
      await page.waitForSelector('[role=menu]')
    },
    statement: at('/statement', '.table tbody .amount'),
    usage: at('/usage', '.plot rect'),
    keys: at('/keys', '.table tbody .spent'),
    'new-key': async (page, url) => {
      await at('/keys', '.table tbody .spent')(page, url)
      await page.getByRole('button', { name: 'New key' }).click()
      await page.locator('dialog [name=name]').fill('A script')
      await page.getByRole('button', { name: 'Make the key' }).click()
      await page.waitForSelector('.secret')
    },
    account: at('/account', '.card'),
    models: async (page, url) => {
      await at('/admin/models', '.card')(page, url)
      await page.locator('.card .button').first().click()
      await page.waitForSelector('.said')
    },
    'new-model': async (page, url) => {
      await at('/admin/models', '.card')(page, url)
      await page.getByRole('button', { name: 'Add a model' }).click()
      await page.waitForSelector('.example')
    },
    people: at('/admin/users', '.table tbody .amount'),
    book: async (page, url) => {
      await at('/admin/users', '.table tbody .amount')(page, url)
      await page.locator('.table .menu-button').nth(1).click()
      await page.getByRole('menuitem', { name: 'Book credits' }).click()
      await page.waitForSelector('dialog')
    },
    bookings: at('/admin/bookings', '.table tbody .amount'),
    audit: at('/admin/audit', '.verdict'),
    nowhere: at('/chats/0199f6e2-7c1d-7a53-9d0e-3f1f6a0c2b11', '.empty'),
  }
}

async function take(browser: Browser, url: string, chatUid: string, size: keyof typeof sizes): Promise<void> {
  const context = await browser.newContext(sizes[size])
  const page = await context.newPage()
  page.on('pageerror', (error) => console.error(size, error))
  const shot = (name: string) =>
    page.screenshot({ path: join(folder, `${name}-${size}.png`), animations: 'disabled' })
  await at('/', '.entry-card')(page, url)
  await shot('entry')
  await page.getByRole('button', { name: 'Create an account' }).click()
  await shot('sign-up')
  await page.request.post(`${url}/api/auth/login`, { data: { mail: 'ada@example.com', password } })
  for (const [name, look] of Object.entries(viewsOf(chatUid))) {
    if (only && !only.split(',').includes(name)) continue
    await look(page, url).catch((error) => console.error(`${name}, ${size}: ${error}`))
    await page.waitForTimeout(250)
    await shot(name)
  }
  await context.close()
}

if (!browserPath) throw new Error('Chromium is missing: apt-get install chromium')
await mkdir(folder, { recursive: true })
const stack = await startStack({
  upstream: true,
  vars: {
    ADMIN_REGISTRATION: 'open',
    SELF_TOP_UP: 'on',
    PRIVATE_UPSTREAMS: 'on',
    SENDS_PER_MINUTE: '0',
    AUTH_PER_MINUTE: '0',
  },
})
const browser = await chromium.launch({
  executablePath: browserPath,
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic'],
})
try {
  const chatUid = await live(stack)
  for (const size of Object.keys(sizes) as (keyof typeof sizes)[])
    await take(browser, stack.url, chatUid, size)
} finally {
  await browser.close()
  await stack.close()
}
