/** The console as files: what they weigh, what they are served with, and where they are found. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { expect, test } from 'vitest'
import { consoleFiles } from '../../dev/console.ts'
import { root } from '../../dev/root.ts'
import { world } from '../support/world.ts'

const BUDGET_BYTES = 150 * 1024

test('the whole console is below 150 KB when it is sent', async () => {
  const files = await consoleFiles()
  const weights = files.map(({ path, contents }) => `${path}: ${gzipSync(contents).byteLength}`)
  const sum = weights.reduce((bytes, line) => bytes + Number(line.split(': ')[1]), 0)
  expect(sum, weights.join('\n')).toBeLessThan(BUDGET_BYTES)
  expect(sum).toBeGreaterThan(10_000)
})

test('every place of the console is its page, with a policy that lets no inline script or style run', async () => {
  const { call } = await world()
  const rules = readFileSync(join(root, 'public/_redirects'), 'utf8').matchAll(/^(\/\S+) \/ 200$/gm)
  const places = [
    '/',
    ...Array.from(rules, ([, path = '']) => path.replace('*', '0199f6e2-7c1d-7a53-9d0e-3f1f6a0c2b11')),
  ]
  expect(places.length).toBeGreaterThan(9)
  for (const place of places) {
    const { status, headers, body } = await call<string>('GET', place)
    expect([place, status, headers.get('content-type')]).toEqual([place, 200, 'text/html; charset=utf-8'])
    const policy = headers.get('content-security-policy') ?? ''
    expect(policy).toMatch(/^default-src 'none'; script-src 'self'; style-src 'self';/)
    expect(policy).toMatch(/base-uri 'none'; form-action 'self'; frame-ancestors 'none'/)
    expect(policy).not.toMatch(/unsafe|https?:|\*/)
    expect(headers.get('x-content-type-options')).toBe('nosniff')
    expect(headers.get('referrer-policy')).toBe('no-referrer')
    expect(body).not.toMatch(/<script(?![^>]* src=)|<style|\sstyle=|\son\w+=/)
    for (const [, url = ''] of body.matchAll(/(?:src|href)="([^"]+)"/g)) {
      const asset = await call('GET', url)
      expect([url, asset.status]).toEqual([url, 200])
      if (url.startsWith('/console/')) expect(asset.headers.get('cache-control')).toContain('immutable')
    }
  }
})

test('what is not there is a 404, also where an asset or a page could be', async () => {
  const { call } = await world()
  for (const path of [
    '/console/main-00000000.js',
    '/nonsense',
    '/admin',
    '/admin/nonsense',
    '/swagger-ui/x.js',
  ])
    expect([path, (await call('GET', path)).status]).toEqual([path, 404])
})

test('the console knows the service by its API alone, and keeps no token', () => {
  const sources = ['main.tsx', 'wire/api.ts', 'wire/feed.ts', 'wire/stream.ts', 'state/session.ts'].map(
    (path) => readFileSync(join(root, 'console', path), 'utf8'),
  )
  expect(sources.join('\n')).not.toMatch(/accessToken|refreshToken|document\.cookie|innerHTML|\beval\b/)
})
