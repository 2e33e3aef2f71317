/**
 * Requests made from openapi.json: valid, with one thing wrong, and hostile; every answer is held strictly against it.
 * FUZZ_REQUESTS says how many (CI: 20,000), FUZZ_SEED which. The same seed makes the same requests.
 */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Cast, gather, PLANTED } from './fuzz/cast.ts'
import { operations } from './fuzz/document.ts'
import { type Draft, draft, type Kind } from './fuzz/drafts.ts'
import { hostile } from './fuzz/hostile.ts'
import { near, twistsOf } from './fuzz/near.ts'
import { type Played, play } from './fuzz/play.ts'
import { drawer, nth } from './fuzz/values.ts'
import { closeWire } from './fuzz/wire.ts'
import { stack } from './support/stack.ts'
import { type World, world } from './support/world.ts'

const REQUESTS = Number(process.env.FUZZ_REQUESTS ?? 1_000)
const SEED = Number(process.env.FUZZ_SEED ?? 20_261_122)
/** So many at once; what their answers brought is known to the next ones. */
const AT_ONCE = 24
const MOST_FINDINGS = 20
const KINDS: Kind[] = ['valid', 'near', 'hostile']

let at: World
let cast: Cast | undefined
beforeAll(async () => {
  at = await world({ CONNECT_MS: '2000' })
  cast = await gather(at)
})
afterAll(async () => {
  await cast?.leave()
  closeWire()
})

// In an order of their own for each seed, so that a short run is not always the same one.
const twists = operations.map((operation, place) => {
  const draw = drawer(SEED + place)
  const list = twistsOf(operation).map((twist) => ({ twist, place: nth(draw) }))
  return list.sort((a, b) => a.place - b.place).map(({ twist }) => twist)
})

/** The request of this number: operations in turn, and of each the kinds in turn. */
function nextDraft(number: number): Draft {
  const place = number % operations.length
  const round = Math.floor(number / operations.length)
  const operation = operations[place]!
  const draw = drawer(SEED + number)
  const kind = KINDS[round % KINDS.length]!
  if (kind === 'valid') return draft(draw, operation)
  if (kind === 'hostile') return hostile(draw, operation)
  const list = twists[place]!
  return near(draw, operation, list[Math.floor(round / KINDS.length) % list.length]!)
}

function finding({ draft: { kind, twist, operation }, sent, fault }: Played, number: number): string {
  const body = sent.body ? new TextDecoder().decode(sent.body).slice(0, 600) : ''
  const headers = sent.headers.map(([name, value]) => `${name}: ${value.slice(0, 120)}`)
  const first = `#${number} ${operation.id}, ${kind} ${twist}\n${sent.method} ${sent.path.slice(0, 300)}`
  return [first, ...headers, body, `→ ${fault}`].join('\n')
}

/** How often each operation was asked in each way, and how often it granted what fits the document. */
function tally(played: Pick<Played, 'draft' | 'status'>[]) {
  return operations.map(({ id }, place) => {
    const own = played.filter(({ draft: { operation } }) => operation.id === id)
    const of = (kind: Kind) => own.filter(({ draft: each }) => each.kind === kind)
    return {
      id,
      valid: of('valid').length,
      granted: of('valid').filter(({ status }) => status >= 200 && status < 300).length,
      near: of('near').length,
      ways: new Set(of('near').map(({ draft: { twist } }) => twist)).size,
      allWays: twists[place]!.length,
      hostile: of('hostile').length,
    }
  })
}

/** What the audit of the money finds, each by its kind and subject. */
async function differences(by: Cast): Promise<string[]> {
  const { body } = await at.call<{ differences: { kind: string; subject: string }[] }>(
    'GET',
    '/api/transaction/audit',
    { token: by.administrator.token },
  )
  return body.differences.map(({ kind, subject }) => `${kind} ${subject}`)
}

const title = `${REQUESTS} generated requests (FUZZ_SEED=${SEED}) are answered as openapi.json says`
test(title, { timeout: 60_000 + REQUESTS * 60 }, async () => {
  const players = cast!
  const before = await differences(players)
  const findings: string[] = []
  const played: Pick<Played, 'draft' | 'status'>[] = []
  for (let first = 0; first < REQUESTS && findings.length < MOST_FINDINGS; first += AT_ONCE) {
    const count = Math.min(AT_ONCE, REQUESTS - first)
    const drafts = Array.from({ length: count }, (_, index) => nextDraft(first + index))
    const answered = await play(at, players, drafts)
    for (const [index, each] of answered.entries()) {
      played.push({ draft: each.draft, status: each.status })
      if (each.fault) findings.push(finding(each, first + index))
    }
  }
  const rows = tally(played)
  console.log(
    [
      `FUZZ_SEED=${SEED}: ${played.length} requests, ${findings.length} findings`,
      ...rows.map(
        ({ id, granted, valid, near: one, ways, allWays, hostile: many }) =>
          `${id.padEnd(22)} valid ${valid}, ${granted} granted; one thing wrong ${one}, in ${ways} of ${allWays} ways; hostile ${many}`,
      ),
    ].join('\n'),
  )
  expect(findings.join('\n\n')).toBe('')
  expect(rows.filter(({ granted, near: one, hostile: many }) => granted * one * many === 0)).toEqual([])

  // What no worker has told the feeds is the sweep's, and nothing is left for the audit.
  await at.worker.scheduled()
  expect((await differences(players)).filter((each) => !before.includes(each))).toEqual([])
  const { secrets } = await stack()
  const output = at.worker.logs().join('\n')
  for (const secret of [PLANTED, ...players.people.map(({ token }) => token), ...Object.values(secrets)])
    expect(output.includes(secret)).toBe(false)
})
