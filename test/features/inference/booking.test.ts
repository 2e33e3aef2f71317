import { afterEach, describe, expect, it, vi } from 'vitest'
import { book } from '../../../src/features/inference/booking.ts'
import type { Outcome } from '../../../src/features/inference/settle.ts'
import type { Database } from '../../../src/ports/postgres.ts'
import { world } from '../../support/world.ts'

const isSettle = (statements: string[]) =>
  statements.some((text) => text.includes('settled_at = clock_timestamp()'))

describe('booking an answer', () => {
  afterEach(() => {
    vi.useRealTimers()
  })

  it('is tried with growing pauses while the lease holds, and not once after that', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'] })
    const start = Date.now()
    const tries: number[] = []
    const away = {
      execute: () => ({}),
      batch: async () => {
        tries.push(Date.now() - start)
        throw new Error('away')
      },
    } as unknown as Database
    const outcome = { generationUid: 'any', userUid: 'any' } as Outcome
    const log = { info() {}, error() {} }
    const nothing = () => ({ writes: undefined!, result: undefined! })
    for (const [holdsForMs, least] of [
      [45_000, 8],
      [5_000, 4],
      [0, 1],
    ] as const) {
      tries.length = 0
      const before = Date.now() - start
      const booked = book({ db: away, log }, outcome, nothing, Date.now() + holdsForMs).catch(
        (error) => error,
      )
      await vi.advanceTimersByTimeAsync(100_000)
      expect(await booked).toMatchObject({ code: 'settlement_pending', details: { retryAfterSeconds: 60 } })
      const at = tries.map((ms) => ms - before)
      expect(at.length).toBeGreaterThanOrEqual(least)
      // The first one is due whatever the time is: the answer has just ended under its lease.
      expect(at[0]).toBe(0)
      for (const ms of at.slice(1)) expect(ms).toBeLessThan(holdsForMs)
      const pauses = at.slice(1).map((ms, i) => ms - at[i]!)
      expect(pauses).toEqual(pauses.toSorted((a, b) => a - b))
    }
  })

  it('comes about once the database is back, and the caller has waited for it', async () => {
    const at = await world({ CLIENT_GONE_S: '16' })
    const person = await at.richPerson(10)
    const { modelUid } = await at.model({ type: 'demo-instant', token_cost: 1000 })
    const { chatUid } = (await person.post<{ chatUid: string }>('/api/chat/create', {})).body
    let refused = 0
    at.neon.fault = ({ statements }) => (isSettle(statements) && refused++ < 5 ? 'before' : undefined)
    const json = { role: 'user', message: '[[say:late]] Hm?', chatUid, modelUid }
    const reply = await person.post<any>('/api/chat/message', json)
    at.neon.reset()
    expect(refused).toBe(6)
    expect(reply).toMatchObject({
      status: 200,
      body: { assistantMessage: { message: 'late', status: 'COMPLETED' } },
    })
    const { balance, available } = (await person.get<any>('/api/user/profile')).body
    expect(balance).toBe(reply.body.newBalance)
    expect(available).toBe(balance)
  })
})
