import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import Argon2 from '@phi-ag/argon2'
import { describe, expect, test, vi } from 'vitest'
import { root } from '../../../dev/root.ts'
import { createGate, createPasswords } from '../../../src/features/auth/passwords.ts'
import { atOnce, tally } from '../../support/races.ts'

const wasm = readFileSync(join(root, 'node_modules/@phi-ag/argon2/dist/argon2.wasm'))
const passwords = createPasswords(new WebAssembly.Module(wasm), 64)

describe('a hash', () => {
  test('is argon2id with our parameters and its own salt', async () => {
    const [one, two] = [await passwords.hash('correct horse'), await passwords.hash('correct horse')]
    expect(one).toMatch(/^\$argon2id\$v=19\$m=64,t=2,p=1\$[\w+/]{22}\$[\w+/]{43}$/)
    expect(one).not.toBe(two)
    expect(await passwords.fits('correct horse', one)).toBe(true)
    expect(await passwords.fits('correct horsf', one)).toBe(false)
    expect(await passwords.fits('', one)).toBe(false)
  })

  // The library cuts a text to as many bytes as it has UTF-16 units.
  test.each([
    ['пароль-один', 'пароль-два!'],
    ['密码密码密码密码一', '密码密码密码密码二'],
    ['🔑🔑🔑🔑🔑🔑🔑🔑', '🔑🔑🔑🔑🔑🔑🔑🔒'],
    [`${'я'.repeat(127)}a`, `${'я'.repeat(127)}b`],
    ['before\u0000after', 'before\u0000other'],
  ])('sees the whole of %s', async (right, wrong) => {
    const hash = await passwords.hash(right)
    expect(await passwords.fits(right, hash)).toBe(true)
    expect(await passwords.fits(wrong, hash)).toBe(false)
    expect(await passwords.fits(right.slice(0, -2), hash)).toBe(false)
  })

  test('is the same for the same characters written otherwise', async () => {
    const hash = await passwords.hash('Zo\u00eb and the caf\u00e9')
    expect(await passwords.fits('Zoe\u0308 and the cafe\u0301', hash)).toBe(true)
  })

  test('fits on after the cost was raised, and is told to be old', async () => {
    const stronger = createPasswords(new WebAssembly.Module(wasm), 128)
    const old = await passwords.hash('correct horse')
    expect(await stronger.fits('correct horse', old)).toBe(true)
    expect([stronger.isStale(old), passwords.isStale(old)]).toEqual([true, false])
  })

  test('of nobody costs the same run and never fits', async () => {
    // A mismatch is known only when a run is over: what cannot be read is another error.
    const runs = vi.spyOn(Argon2.prototype, 'tryVerify')
    const somebody = await passwords.hash('battery staple')
    expect(await passwords.fits('correct horse', somebody)).toBe(false)
    expect(await passwords.fits('correct horse', null)).toBe(false)
    expect(await passwords.fits('', null)).toBe(false)
    const [real, ...ofNobody] = runs.mock.results.map(({ value }) => value)
    const costs = runs.mock.calls.map(([encoded]) => String(encoded).split('$').slice(0, 4))
    runs.mockRestore()
    expect(real).toMatchObject({ success: false })
    expect(ofNobody).toEqual([real, real])
    expect(costs[1]).toEqual(costs[0])
  })
})

describe('the gate', () => {
  test('lets one through at a time, in order, and other work in between', async () => {
    const gate = createGate()
    const order: string[] = []
    const ticks = setInterval(() => order.push('other'), 0)
    await atOnce(8, (n) =>
      gate(() => {
        order.push(String(n))
        for (const end = performance.now() + 10; performance.now() < end; );
      }),
    )
    clearInterval(ticks)
    expect(order.filter((entry) => entry !== 'other')).toEqual(['0', '1', '2', '3', '4', '5', '6', '7'])
    for (let at = 1; at < order.length; at++) expect(order.slice(at - 1, at + 1)).toContain('other')
  })

  test('refuses when the line is long, and takes people again afterwards', async () => {
    const gate = createGate()
    const outcomes = await atOnce(80, () => gate(() => 'in').catch((error: { code: string }) => error.code))
    expect(tally(outcomes)).toEqual({ in: 50, unavailable: 30 })
    expect(await gate(() => 'in')).toBe('in')
  })

  test('goes on after work that throws', async () => {
    const gate = createGate()
    await expect(
      gate(() => {
        throw new Error('no')
      }),
    ).rejects.toThrow('no')
    expect(await gate(() => 'in')).toBe('in')
  })
})
