// What an upstream said, as our clients are told it: everything that it said, under our id and the model's name here.
import type { UpstreamChunk } from '../../ports/upstream/port.ts'
import { isRecord, readUsage } from '../../ports/upstream/usage.ts'
import { chunkWriter } from './text.ts'

/** What stands on every chunk and answer of one generation. */
export interface Naming {
  /** `chatcmpl-<generationUid>` */
  id: string
  /** The registered name. */
  model: string
  /** Seconds since the epoch, for upstreams that say none. */
  created: number
}

type Json = Record<string, unknown>

/**
 * One answer, object by object. Only what clients cannot do without is filled in: `object`, `created`, the index of a
 * choice or of a tool call, the role with which a choice begins, a `delta` where there is none (for a message, all of
 * it).
 */
export function createReading({ id, model, created: now }: Naming) {
  let isFresh = true
  let created = now
  let usage: Json | undefined
  let last: Json | undefined
  const calls = new Map<number, ReturnType<typeof createCallCounter>>()

  /** Our id and name on it; what it has of its own stays. "" and 0 are how some say nothing. */
  function named(raw: Json, object: string): Json {
    if (typeof raw.created === 'number' && raw.created > 0) created = raw.created
    return {
      ...raw,
      id,
      object: typeof raw.object === 'string' && raw.object !== '' ? raw.object : object,
      created,
      model,
    }
  }

  function choiceOut(choice: Json, position: number): Json {
    const index = typeof choice.index === 'number' ? choice.index : position
    const { delta, others } = deltaOf(choice, isFresh)
    const isFirst = !calls.has(index)
    const counter = calls.get(index) ?? createCallCounter()
    calls.set(index, counter)
    return {
      ...others,
      index,
      delta: {
        ...delta,
        ...(isFirst && !delta.role ? { role: 'assistant' } : {}),
        ...(Array.isArray(delta.tool_calls) ? { tool_calls: delta.tool_calls.map(counter) } : {}),
      },
    }
  }

  return {
    /** Undefined for what only reports the usage: that is told at the end, see `usage`. */
    chunk({ raw, produced }: UpstreamChunk): Json | undefined {
      if (!isRecord(raw)) return undefined
      const reported = reportedIn(raw)
      usage = reported ?? usage
      const choices = Array.isArray(raw.choices) ? raw.choices.filter(isRecord) : []
      if (reported && choices.length === 0) {
        last = raw
        return undefined
      }
      const isMessage =
        isFresh && choices.some((choice) => !isRecord(choice.delta) && isRecord(choice.message))
      const out = named(raw, 'chat.completion.chunk')
      if (isMessage) out.object = 'chat.completion.chunk'
      out.choices = choices.map(choiceOut)
      if (produced) isFresh = false
      return out
    },
    /** A whole completion, if that is what it is: its choices hold messages. */
    whole({ raw }: UpstreamChunk): Json | undefined {
      if (!isRecord(raw) || !Array.isArray(raw.choices)) return undefined
      const choices = raw.choices.filter(isRecord)
      if (
        choices.length === 0 ||
        choices.some((choice) => !isRecord(choice.message) || isRecord(choice.delta))
      )
        return undefined
      usage = reportedIn(raw) ?? usage
      const out = named(raw, 'chat.completion')
      out.choices = choices.map((choice, position) => ({
        ...choice,
        index: typeof choice.index === 'number' ? choice.index : position,
      }))
      return out
    },
    /** What the upstream reported last, with every member that it has. */
    usage: () => usage,
    /** A chunk of our own, after those of the upstream. */
    more: (members: Json): Json => ({ ...named({}, 'chat.completion.chunk'), ...members }),
    /** The chunk that a stream ends with for who asked for the usage. */
    usageChunk: (billed: Json): Json => ({
      ...named(last ?? {}, 'chat.completion.chunk'),
      choices: [],
      usage: billed,
    }),
  }
}

/** The same as the texts of a stream's events. */
export function createStreamWire(naming: Naming) {
  const reading = createReading(naming)
  const writer = chunkWriter()
  return {
    /** The chunks of one network read. */
    take: (chunks: UpstreamChunk[]): string[] =>
      chunks
        .map(reading.chunk)
        .filter((chunk) => chunk !== undefined)
        .map(writer.write),
    usage: reading.usage,
    /** What was held back and, if `billed` is given, the usage; `[DONE]` is another's word. */
    end(billed: Json | undefined): string[] {
      const rest = writer.rest().map((choice) => reading.more({ choices: [choice] }))
      return [...rest, ...(billed ? [reading.usageChunk(billed)] : [])].map((chunk) => JSON.stringify(chunk))
    },
  }
}

/** Where an upstream may report its usage: the same places, in the same order, as it is charged by. */
function reportedIn(raw: Json): Json | undefined {
  const first: unknown = Array.isArray(raw.choices) ? raw.choices[0] : undefined
  const places = [
    raw.usage,
    isRecord(first) ? first.usage : undefined,
    isRecord(raw.x_groq) ? raw.x_groq.usage : undefined,
  ]
  return places.find((place): place is Json => isRecord(place) && readUsage(place) !== undefined)
}

/** The same choice as in ports/upstream/chunk.ts: what is charged is what is delivered. */
function deltaOf(choice: Json, isFresh: boolean): { delta: Json; others: Json } {
  const { delta, message, ...others } = choice
  if (isRecord(delta)) return { delta, others: choice }
  if (isFresh && isRecord(message)) return { delta: { role: 'assistant', ...message }, others }
  return { delta: typeof choice.text === 'string' ? { content: choice.text } : {}, others: choice }
}

/**
 * Gives the calls of one choice their index where the upstream does not: a new id, or a name, begins the next call;
 * anything else goes on with the one before.
 */
function createCallCounter() {
  const byId = new Map<string, number>()
  let next = 0
  let current = 0
  return (call: unknown): unknown => {
    if (!isRecord(call)) return call
    const id = typeof call.id === 'string' && call.id !== '' ? call.id : undefined
    const isNamed =
      isRecord(call.function) && typeof call.function.name === 'string' && call.function.name !== ''
    if (typeof call.index === 'number') current = call.index
    else if (id !== undefined && byId.has(id)) current = byId.get(id)!
    else if (id !== undefined || isNamed) current = next
    next = Math.max(next, current + 1)
    if (id !== undefined) byId.set(id, current)
    return typeof call.index === 'number' ? call : { ...call, index: current }
  }
}
