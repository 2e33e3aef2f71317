import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, test } from 'vitest'
import { world } from '../support/world.ts'
import { isLeftOut, withPage } from './page.ts'

/** In the page: follows a feed and keeps the text of every answer, as anybody's script would. */
const FOLLOW = `window.follow = (url, init) => {
  const state = window.state = { texts: {}, status: {}, snapshots: 0, opened: 0 }
  const source = window.source = new EventSource(url, init)
  source.onopen = () => state.opened++
  const on = (name, take) => source.addEventListener(name, ({ data }) => take(JSON.parse(data)))
  on('snapshot', ({ messages = [], running = [] }) => {
    state.snapshots++
    for (const { uid, message, status } of [...messages, ...running]) { state.texts[uid] = message; state.status[uid] = status }
  })
  on('message_start', ({ messageUid }) => { state.texts[messageUid] ??= ''; state.status[messageUid] = 'STREAMING' })
  on('message_delta', ({ messageUid, offset, text }) => {
    if (state.texts[messageUid].length !== offset) state.fault = 'a delta at ' + offset + ' of ' + state.texts[messageUid].length
    state.texts[messageUid] += text
  })
  on('message_end', ({ message }) => { state.status[message.uid] = message.status })
}`

test.skipIf(isLeftOut)(
  'EventSource by cookie: a reload in the middle of an answer loses nothing',
  async () => {
    const at = await world()
    const person = await at.richPerson(50)
    const { modelUid } = await at.model({ type: 'demo-instant', token_cost: 1000 })
    const { chatUid } = (await person.post<{ chatUid: string }>('/api/chat/create', {})).body
    await withPage(`${at.url}/docs`, async (page, seen) => {
      await page.evaluate(
        async ({ mail, password }) => {
          const headers = { 'Content-Type': 'application/json' }
          const answer = await fetch('/api/auth/login', {
            method: 'POST',
            headers,
            body: JSON.stringify({ mail, password }),
          })
          if (!answer.ok) throw new Error(String(answer.status))
        },
        { mail: person.mail, password: person.password },
      )
      const open = async () => {
        await page.evaluate(FOLLOW)
        await page.evaluate((url) => (window as any).follow(url), `/api/chat/sse/${chatUid}`)
      }
      const state = () => page.evaluate(() => (window as any).state)
      await open()
      const sent = person.post<any>('/api/chat/message', {
        role: 'user',
        message: '[[tokens=100]] [[delay=40]] read on',
        chatUid,
        modelUid,
      })
      await expect
        .poll(async () => Object.values((await state()).texts).join('').length, { timeout: 30_000 })
        .toBeGreaterThan(40)
      await page.reload()
      await open()
      const { uid, message } = (await sent).body.assistantMessage
      await expect.poll(async () => (await state()).status[uid], { timeout: 30_000 }).toBe('COMPLETED')
      const { texts, fault } = await state()
      expect(fault).toBeUndefined()
      expect(texts[uid]).toBe(message)
      expect(seen.errors).toEqual([])
    })
  },
)

test.skipIf(isLeftOut)(
  'EventSource by ticket from another origin comes back by itself, with nothing lost',
  async () => {
    const server = createServer((_request, response) =>
      response.writeHead(200, { 'content-type': 'text/html' }).end('<title>elsewhere</title>'),
    )
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
    const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    const at = await world({ CORS_ORIGINS: origin })
    const person = await at.richPerson(50)
    const { modelUid } = await at.model({ type: 'demo-instant', token_cost: 1000 })
    const { chatUid } = (await person.post<{ chatUid: string }>('/api/chat/create', {})).body
    const { ticket } = (await person.post<{ ticket: string }>('/api/auth/ticket')).body
    const ask = (message: string) =>
      person.post<any>('/api/chat/message', { role: 'user', message, chatUid, modelUid })
    try {
      await withPage(origin, async (page) => {
        await page.evaluate(FOLLOW)
        await page.evaluate(
          (url) => (window as any).follow(url),
          `${at.url}/api/chat/sse/${chatUid}?ticket=${ticket}`,
        )
        const state = () => page.evaluate(() => (window as any).state)
        const first = (await ask('[[say:before the crash]]')).body.assistantMessage
        await expect
          .poll(async () => (await state()).status[first.uid], { timeout: 30_000 })
          .toBe('COMPLETED')
        await at.worker.crash()
        const second = (await ask('[[say:after the crash]]')).body.assistantMessage
        await expect
          .poll(async () => (await state()).status[second.uid], { timeout: 30_000 })
          .toBe('COMPLETED')
        const { texts, opened, snapshots, fault } = await state()
        expect(opened).toBeGreaterThanOrEqual(2)
        expect({ snapshots, fault }).toEqual({ snapshots: 1, fault: undefined })
        expect(texts).toMatchObject({ [first.uid]: first.message, [second.uid]: second.message })
      })
    } finally {
      server.close()
      server.closeAllConnections()
    }
  },
)
