// Strings as JSON can carry them, both ways: U+0000 and lone surrogates become U+FFFD.
import { Failure } from '../../core/failure.ts'
import { wellFormed } from '../../core/text.ts'
import { isRecord } from '../../ports/upstream/usage.ts'

/** Nobody nests a conversation deeper; what does would only exhaust the stack of whoever walks it. */
const DEEPEST = 100

/** A request as it may be counted, sent and fingerprinted. @throws invalid_parameter when it is nested too deep */
export const sendable = <Body extends Record<string, unknown>>(body: Body): Body =>
  mended(body, DEEPEST) as Body

/** The same value with every string and name in it well-formed. */
export function mended(value: unknown, deepest: number = Number.POSITIVE_INFINITY): unknown {
  if (typeof value === 'string') return wellFormed(value)
  if (typeof value !== 'object' || value === null) return value
  if (deepest < 1) throw new Failure('invalid_parameter', 'The body is nested too deep.')
  if (Array.isArray(value)) return value.map((item) => mended(item, deepest - 1))
  return Object.fromEntries(
    Object.entries(value).map(([name, member]) => [wellFormed(name), mended(member, deepest - 1)]),
  )
}

/** How JSON.stringify writes what is not well-formed. */
const ILL_FORMED = /\\u(?:0000|d[89a-f])/

type Json = Record<string, unknown>

/**
 * Chunks of one stream → JSON. An upstream may cut a character in two, and each half alone is none: the first half
 * waits for the chunk that brings the second. Chunks in which nothing is amiss are not walked through.
 */
export function chunkWriter() {
  /** First halves, by choice and place. */
  const halves = new Map<string, { half: string; index: unknown; rest: (text: string) => Json }>()

  const join = (text: string, key: string, index: unknown, rest: (text: string) => Json): string => {
    const whole = (halves.get(key)?.half ?? '') + text
    halves.delete(key)
    const isCut = /[\ud800-\udbff]$/.test(whole)
    if (isCut) halves.set(key, { half: whole.slice(-1), index, rest })
    return wellFormed(isCut ? whole.slice(0, -1) : whole)
  }

  const joinCall = (call: unknown, index: unknown): unknown => {
    if (!isRecord(call) || !isRecord(call.function) || typeof call.function.arguments !== 'string')
      return mended(call)
    const place = call.index
    const rest = (text: string) => ({ tool_calls: [{ index: place, function: { arguments: text } }] })
    const words = join(call.function.arguments, `${index} call ${place}`, index, rest)
    return { ...(mended(call) as Json), function: { ...(mended(call.function) as Json), arguments: words } }
  }

  const joinDelta = (delta: Json, index: unknown): Json =>
    Object.fromEntries(
      Object.entries(delta).map(([name, member]) => {
        if (typeof member === 'string')
          return [name, join(member, `${index} ${name}`, index, (text) => ({ [name]: text }))]
        if (name === 'tool_calls' && Array.isArray(member))
          return [name, member.map((call) => joinCall(call, index))]
        return [name, mended(member)]
      }),
    )

  const joinChoice = (choice: unknown): unknown => {
    if (!isRecord(choice) || !isRecord(choice.delta)) return mended(choice)
    const { delta, ...others } = choice
    return { ...(mended(others) as Json), delta: joinDelta(delta, choice.index) }
  }

  return {
    write(chunk: Json): string {
      const text = JSON.stringify(chunk)
      if (halves.size === 0 && !ILL_FORMED.test(text)) return text
      const { choices, ...others } = chunk
      const joined = Array.isArray(choices) ? choices.map(joinChoice) : choices
      return JSON.stringify({ ...(mended(others) as Json), choices: joined })
    },
    /** Choices that say what never got its second half. */
    rest: (): Json[] =>
      [...halves.values()].map(({ half, index, rest }) => ({
        index,
        delta: rest(wellFormed(half)),
        finish_reason: null,
      })),
  }
}
