import type { UpstreamChunk } from '../../ports/upstream/port.ts'
import { isRecord } from '../../ports/upstream/usage.ts'
import { mended } from './text.ts'
import { createReading, type Naming } from './wire.ts'

type Json = Record<string, unknown>

/** Words that come piece by piece; any other string is said anew. */
const SPOKEN = new Set(['content', 'reasoning', 'reasoning_content', 'refusal'])

/**
 * One answer as one completion: as the upstream gave it, or put together from its stream, if it answered with one
 * although it was not asked to.
 */
export function createWhole(naming: Naming) {
  const reading = createReading(naming)
  let given: Json | undefined
  let head: Json = { ...naming }
  const choices = new Map<unknown, Json>()

  return {
    take(chunks: UpstreamChunk[]): void {
      for (const chunk of chunks) {
        given ??= choices.size === 0 ? reading.whole(chunk) : undefined
        if (given) continue
        const { choices: said, usage: _, ...rest } = reading.chunk(chunk) ?? {}
        head = { ...head, ...rest }
        for (const choice of Array.isArray(said) ? said : [])
          choices.set(choice.index, withChoice(choices.get(choice.index), choice))
      }
    },
    usage: reading.usage,
    /** @param broken what ended it too early: it then stands on every choice that has no finish reason */
    completion(usage: Json, broken: Json | undefined): Json {
      const { usage: _, ...rest } = given ?? {
        ...head,
        object: 'chat.completion',
        choices: [...choices.values()].sort((a, b) => Number(a.index) - Number(b.index)).map(finished),
      }
      const said = rest.choices as Json[]
      const marked = broken
        ? said.map((choice) => (choice.finish_reason ? choice : { ...choice, ...broken }))
        : said
      return mended({ ...rest, choices: marked, usage }) as Json
    },
  }
}

function withChoice(before: Json | undefined, { delta, logprobs, ...choice }: Json): Json {
  const { message = { role: 'assistant', content: null }, ...known } = before ?? {}
  return {
    ...known,
    ...choice,
    finish_reason: choice.finish_reason || known.finish_reason || null,
    logprobs: withLogprobs(known.logprobs, logprobs),
    message: withDelta(message as Json, delta as Json),
  }
}

function withDelta(message: Json, delta: Json): Json {
  const out = { ...message }
  for (const [name, said] of Object.entries(delta)) {
    const known = out[name]
    if (said === null || said === undefined) out[name] = known ?? null
    else if (name === 'tool_calls' && Array.isArray(said)) out[name] = said.reduce(withCall, known ?? [])
    else if (name === 'function_call' && isRecord(said)) out[name] = withFunction(known, said)
    else if (Array.isArray(said)) out[name] = [...partsOf(known), ...said]
    else if (typeof said === 'string' && SPOKEN.has(name))
      out[name] = Array.isArray(known) ? [...known, ...partsOf(said)] : (known ?? '') + said
    else out[name] = isRecord(said) && isRecord(known) ? { ...known, ...said } : said
  }
  return out
}

/** Typed parts and plain strings may follow each other in one answer. */
function partsOf(known: unknown): unknown[] {
  if (Array.isArray(known)) return known
  return typeof known === 'string' && known !== '' ? [{ type: 'text', text: known }] : []
}

function withCall(calls: Json[], call: unknown): Json[] {
  if (!isRecord(call)) return calls
  const at = calls.findIndex(({ index }) => index === call.index)
  const known = calls[at] ?? {}
  const given = Object.entries(call).filter(([, value]) => value !== null && value !== '')
  const next = {
    type: 'function',
    ...known,
    ...Object.fromEntries(given),
    function: withFunction(known.function, isRecord(call.function) ? call.function : {}),
  }
  return at < 0 ? [...calls, next] : calls.with(at, next)
}

function withFunction(known: unknown, said: Json): Json {
  const before = isRecord(known) ? known : {}
  return {
    ...before,
    ...said,
    name: said.name || before.name || '',
    arguments: `${before.arguments ?? ''}${said.arguments ?? ''}`,
  }
}

function withLogprobs(known: unknown, said: unknown): unknown {
  if (!isRecord(said)) return known ?? null
  if (!isRecord(known)) return said
  const lists = Object.entries(said).map(([name, list]) => [
    name,
    Array.isArray(list) && Array.isArray(known[name]) ? [...(known[name] as unknown[]), ...list] : list,
  ])
  return { ...known, ...Object.fromEntries(lists) }
}

/** The place of a call in a stream means nothing in a whole answer. */
function finished(choice: Json): Json {
  const { tool_calls: calls, ...message } = choice.message as Json
  if (!Array.isArray(calls)) return choice
  return { ...choice, message: { ...message, tool_calls: calls.map(({ index: _, ...call }) => call) } }
}
