import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { holdLease } from '../../../src/features/inference/lease.ts'
import type { Database } from '../../../src/ports/postgres.ts'

type Answer = 'running' | 'stop' | 'lost' | 'fails' | 'hangs'

describe('a lease', () => {
  let answers: (ms: number) => Answer
  let asked: number[]
  let startedAt: number
  let reasons: [string, number][]
  const passed = () => Date.now() - startedAt

  /** A database that answers renewals as a test wants, and nothing else. */
  const db = {
    execute: async () => {
      asked.push(passed())
      const answer = answers(passed())
      if (answer === 'hangs') await new Promise(() => {})
      if (answer === 'fails') throw new Error('away')
      return { rows: answer === 'lost' ? [] : [{ stop: answer === 'stop' }] }
    },
  } as unknown as Database
  const produced = () => ({ any: true, text: 'so far', reasoning: '', extra: '' })
  const hold = () => {
    startedAt = Date.now()
    return holdLease(db, 'any', produced, (why) => reasons.push([why, passed()]))
  }

  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'Date'] })
    asked = []
    reasons = []
  })
  afterEach(() => {
    vi.useRealTimers()
  })

  it('is renewed every 20 s until it is released', async () => {
    answers = () => 'running'
    const lease = hold()
    await vi.advanceTimersByTimeAsync(130_000)
    lease.release()
    await vi.advanceTimersByTimeAsync(100_000)
    expect(asked).toEqual([20_000, 40_000, 60_000, 80_000, 100_000, 120_000])
    expect(reasons).toEqual([])
  })

  it('is given up 45 s after the last renewal, whether renewals fail or hang, and is not touched again', async () => {
    for (const away of ['fails', 'hangs'] as const)
      for (const [until, end] of [
        [0, 45_000],
        [30_000, 65_000],
      ] as const) {
        reasons = []
        answers = (ms) => (ms <= until ? 'running' : away)
        hold()
        await vi.advanceTimersByTimeAsync(44_999 + end - 45_000)
        expect(reasons).toEqual([])
        await vi.advanceTimersByTimeAsync(1)
        expect(reasons).toEqual([['lease_lost', end]])
        asked = []
        await vi.advanceTimersByTimeAsync(100_000)
        expect(asked).toEqual([])
      }
  })

  it('lives through renewals that fail once', async () => {
    answers = (ms) => (ms % 40_000 === 0 ? 'running' : 'fails')
    const lease = hold()
    await vi.advanceTimersByTimeAsync(600_000)
    expect(reasons).toEqual([])
    lease.release()
  })

  it('is lost at once when another has settled, and tells of a stop once', async () => {
    answers = (ms) => (ms < 60_000 ? 'stop' : 'lost')
    hold()
    await vi.advanceTimersByTimeAsync(200_000)
    expect(reasons).toEqual([
      ['stopped', 20_000],
      ['lease_lost', 60_000],
    ])
    expect(asked).toHaveLength(3)
  })

  it('is not renewed by a worker that was frozen until after its end', async () => {
    answers = () => 'running'
    hold()
    vi.setSystemTime(startedAt + 70_000)
    await vi.advanceTimersByTimeAsync(20_000)
    expect(reasons.map(([why]) => why)).toEqual(['lease_lost'])
    expect(asked).toEqual([])
  })

  it('says nothing after its release, also when a renewal was under way', async () => {
    let answer: () => void = () => {}
    const slow = {
      execute: () => new Promise((resolve) => (answer = () => resolve({ rows: [] }))),
    } as unknown as Database
    startedAt = Date.now()
    const lease = holdLease(slow, 'any', produced, (why) => reasons.push([why, passed()]))
    await vi.advanceTimersByTimeAsync(20_000)
    lease.release()
    answer()
    await vi.advanceTimersByTimeAsync(100_000)
    expect(reasons).toEqual([])
  })
})
