import { newId } from '../../core/id.ts'
import { pause } from '../../core/pause.ts'
import type { Redis, Subscription } from '../../ports/redis.ts'
import {
  answerOver,
  feedCall,
  feedChannel,
  feedHead,
  feedLive,
  feedLog,
  published,
  serviceState,
  stopAsked,
} from '../../ports/redis-keys.ts'
import type { FeedEvent } from './events.ts'
import { FLUSH, OVER_TTL_S, READ } from './script.ts'

/** A place in a person's log: event `n` of that epoch, and all before it, are known. */
export interface Place {
  epoch: string
  n: number
}

/**
 * An id as feeds send it, `<epoch>-<n>`, with `~` and what its reader has foreseen (known.ts) behind it: back to what
 * it stands for. Undefined for anything else.
 */
export function placeOf(id: string | undefined): (Place & { marks: string }) | undefined {
  const match = /^([0-9a-f]{32})-(\d{1,15})(?:~([0-9a-z_.]{1,2000}))?$/.exec(id ?? '')
  return match ? { epoch: match[1]!, n: Number(match[2]), marks: match[3] ?? '' } : undefined
}

export const idOf = ({ epoch, n }: Place, suffix = ''): string => `${epoch}-${n}${suffix}`

/** The text so far of the answers that run at a place, by message. */
export type Live = Map<string, { text: string; reasoning: string }>

export type Reading = { place: Place; events: FeedEvent[] } | { place: Place; live: Live }

/** Events that were published together; `first` is the number of the first. */
export interface Published {
  epoch: string
  first: number
  events: FeedEvent[]
}

/** Told to readers in place of events: see whether whoever you serve may still be served. */
export const RECHECK = 'recheck'

export interface Flush {
  /** Counts this writer's calls; the same number again changes nothing. */
  call: number
  events: FeedEvent[]
  /** New pieces of running text: `[field, text]`, the field from `liveField`. */
  live: [string, string][]
  /** A message that is no longer running. */
  forget?: string | undefined
  /** The outbox row that this publishes. */
  outboxUid?: string | undefined
}

export interface Flushed {
  epoch: string
  listened: boolean
  stopAsked: boolean
  /**
   * 'resync': nothing was done, the log is another one than the writer knew.
   * 'over': nothing was done, nothing more is to be told of this answer but its end.
   */
  result: 'ok' | 'repeat' | 'resync' | 'over'
}

export const liveField = (messageUid: string, kind: 'text' | 'reasoning', offset: number): string =>
  `${messageUid}:${kind === 'text' ? 't' : 'r'}:${offset}`

/** A random name for a log that begins: an id from before a lost Redis must not fit the log after it. */
const newEpoch = (): string => newId().replaceAll('-', '')

/** One writer's call: one command. @throws Error when Redis cannot be asked */
export async function flush(
  redis: Redis,
  writer: string,
  userUid: string,
  messageUid: string,
  knownEpoch: string,
  { call, events, live, forget, outboxUid }: Flush,
): Promise<Flushed> {
  const keys = [
    feedHead(userUid),
    feedLog(userUid),
    feedLive(userUid),
    feedCall(writer),
    stopAsked(messageUid),
    outboxUid === undefined ? feedCall(writer) : published(outboxUid),
    serviceState(),
    answerOver(messageUid),
  ]
  const answer = await redis.eval<string[], string[]>(FLUSH, keys, [
    newEpoch(),
    knownEpoch,
    String(call),
    feedChannel(userUid),
    outboxUid === undefined ? '0' : '1',
    forget === undefined ? '' : `${forget}:`,
    String(Date.now()),
    String(live.length),
    ...live.flat(),
    ...events.map((event) => JSON.stringify(event)),
  ])
  const [epoch = '', , listeners, stop, result] = answer
  return {
    epoch,
    listened: listeners !== '0',
    stopAsked: stop === '1',
    result: result === 'resync' || result === 'repeat' || result === 'over' ? result : 'ok',
  }
}

/** Waits before each further try of a publication. */
const PUBLISH_WAITS_MS = [300, 1_500]

/**
 * Publishes events that belong to no running answer. One command, tried again for a moment: a try that took effect
 * although its answer was lost counts once. @throws Error when Redis cannot be asked
 */
export async function publish(
  redis: Redis,
  userUid: string,
  events: FeedEvent[],
  more: { outboxUid?: string; forget?: string } = {},
): Promise<void> {
  const writer = more.outboxUid ?? newId()
  for (const wait of [...PUBLISH_WAITS_MS, undefined]) {
    try {
      await flush(redis, writer, userUid, more.forget ?? writer, '', { call: 1, events, live: [], ...more })
      return
    } catch (error) {
      if (wait === undefined) throw error
      await pause(wait)
    }
  }
}

/** What came after the place, or the position and what is live at it. One command. */
export async function read(redis: Redis, userUid: string, from: Place | undefined): Promise<Reading> {
  const keys = [feedHead(userUid), feedLog(userUid), feedLive(userUid)]
  const args = [newEpoch(), from?.epoch ?? '', String(from?.n ?? 0)]
  const [epoch = '', n = '0', what, ...rest] = await redis.eval<string[], string[]>(READ, keys, args)
  const place = { epoch, n: Number(n) }
  if (what === 'events') return { place, events: rest.map((text) => JSON.parse(text) as FeedEvent) }
  return { place, live: liveOf(rest) }
}

/** Pieces by field → whole texts. A piece that overlaps what is there (a log that was made anew) adds only its rest. */
function liveOf(pairs: string[]): Live {
  const pieces: { uid: string; kind: 'text' | 'reasoning'; offset: number; text: string }[] = []
  for (let i = 0; i + 1 < pairs.length; i += 2) {
    const [uid = '', kind, offset] = pairs[i]!.split(':')
    pieces.push({
      uid,
      kind: kind === 't' ? 'text' : 'reasoning',
      offset: Number(offset),
      text: pairs[i + 1]!,
    })
  }
  pieces.sort((a, b) => a.offset - b.offset)
  const live: Live = new Map()
  for (const { uid, kind, offset, text } of pieces) {
    const entry = live.get(uid) ?? { text: '', reasoning: '' }
    live.set(uid, entry)
    if (offset <= entry[kind].length) entry[kind] += text.slice(entry[kind].length - offset)
  }
  return live
}

export const listen = (redis: Redis, userUid: string, signal: AbortSignal): Promise<Subscription> =>
  redis.listen(feedChannel(userUid), signal)

/** A payload of the channel; undefined for a recheck. */
export function publishedIn(payload: string): Published | undefined {
  if (payload === RECHECK) return undefined
  const first = payload.indexOf(' ')
  const second = payload.indexOf(' ', first + 1)
  return {
    epoch: payload.slice(0, first),
    first: Number(payload.slice(first + 1, second)),
    events: JSON.parse(payload.slice(second + 1)) as FeedEvent[],
  }
}

/**
 * Drops a person's log, because of what stands in it. Who reads it gets a fresh snapshot, and an answer that runs
 * begins again there.
 */
export const forget = async (redis: Redis, userUid: string): Promise<void> => {
  await redis.del(feedHead(userUid), feedLog(userUid), feedLive(userUid))
}

/** Makes a person's open feeds ask whether they may go on. */
export const recheck = async (redis: Redis, userUid: string): Promise<void> => {
  await redis.publish(feedChannel(userUid), RECHECK)
}

export const askToStop = async (redis: Redis, messageUid: string): Promise<void> => {
  await redis.set(stopAsked(messageUid), '1', { ex: OVER_TTL_S })
}
