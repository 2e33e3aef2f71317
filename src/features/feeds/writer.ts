import { newId } from '../../core/id.ts'
import { pause } from '../../core/pause.ts'
import type { Log } from '../../http/log.ts'
import type { Redis } from '../../ports/redis.ts'
import { type Flush, flush, liveField } from './bus.ts'
import { type DeltaData, type FeedEvent, isDelta } from './events.ts'

// How often an answer is flushed: quick at its first words, calm later, and hardly while nobody watches. Every flush
// also learns of a stop, so even a silent answer flushes before 2 s are over.
const EAGER_MS = 100
const EAGER_FOR_MS = 200
const CALM_MS = 250
const UNWATCHED_MS = 1_800
/** UTF-16 units of text in one call: far below what the wire takes at once. */
const CALL_LIMIT = 128 * 1024
/** Tries of the last flush. What none of them brings out, the outbox does. */
const LAST_TRIES = 3

/** The feed's ear in the kitchen: takes what an answer produces and never holds it back. */
export interface FeedWriter {
  delta(kind: 'text' | 'reasoning', offset: number, text: string): void
  /** Flushes what is left, then the last events. Resolves when they are out or given up; never rejects. */
  end(events: FeedEvent[], outboxUid: string | undefined): Promise<void>
  /**
   * Says no more of the text and leaves the end to whoever books it; `isOver`: somebody has. Never rejects.
   */
  abandon(isOver: boolean): Promise<void>
}

interface Piece {
  kind: 'text' | 'reasoning'
  offset: number
  text: string
}

/**
 * Writes one answer into its owner's log, one command a flush.
 * @param first what goes before the first delta: the question, the start
 * @param soFar the whole text, for a log that was lost
 * @param onStop somebody asked this answer to stop
 */
export function createFeedWriter(
  parts: { redis: Redis; log: Log },
  answer: { userUid: string; messageUid: string; chatUid: string },
  first: FeedEvent[],
  soFar: () => { text: string; reasoning: string },
  onStop: () => void,
): FeedWriter {
  const { redis, log } = parts
  const writer = newId()
  let firstWordsAt: number | undefined
  let pieces: Piece[] = []
  let events = first
  const started = first.filter(({ event }) => event === 'message_start')
  // A piece of no text at all says that the message runs, before its first token.
  const running: [string, string][] = [[liveField(answer.messageUid, 'text', 0), '']]
  let live = [...running]
  let unsent: Flush | undefined
  /** How it ended, until that is out. */
  let last: Pick<Flush, 'events' | 'outboxUid'> | undefined
  let call = 0
  let epoch = ''
  let watched = true
  let away = false
  let ended = false
  let sending: Promise<boolean> = Promise.resolve(true)
  let timer: ReturnType<typeof setTimeout> | undefined

  const wait = () => {
    if (away || !watched || pieces.length + events.length === 0) return UNWATCHED_MS
    return Date.now() - (firstWordsAt ?? Date.now()) < EAGER_FOR_MS ? EAGER_MS : CALM_MS
  }
  let dueAt = Date.now() + EAGER_MS
  const schedule = () => {
    if (timer !== undefined) clearTimeout(timer)
    timer = ended ? undefined : setTimeout(tick, Math.max(0, dueAt - Date.now()))
  }
  const tick = async () => {
    await send(false)
    dueAt = Date.now() + wait()
    schedule()
  }

  /** One call's worth of what waits; the end with the last of the text. */
  const take = (): Flush => {
    const taken: Flush = { call: ++call, events, live, forget: undefined }
    events = []
    live = []
    let size = 0
    while (pieces.length > 0 && size < CALL_LIMIT) {
      const piece = pieces.shift()!
      const rest = cut(piece, CALL_LIMIT - size)
      if (rest) pieces.unshift(rest)
      size += piece.text.length
      taken.events.push(deltaOf(answer, piece))
      taken.live.push([liveField(answer.messageUid, piece.kind, piece.offset), piece.text])
    }
    if (!last || pieces.length > 0) return taken
    taken.events.push(...last.events)
    return { ...taken, forget: answer.messageUid, outboxUid: last.outboxUid }
  }

  /**
   * The log is another one, and its readers may know nothing of this answer: it begins again, with the whole text.
   * An end needs nothing before it.
   */
  const beginAgain = (lost: Flush) => {
    if (lost.forget !== undefined) {
      unsent = { ...lost, call: ++call, events: lost.events.filter((event) => !isDelta(event)), live: [] }
      return
    }
    const { text, reasoning } = soFar()
    const others = [...lost.events.filter((event) => !isDelta(event)), ...events]
    events = others.some(({ event }) => event === 'message_start') ? others : [...started, ...others]
    live = [...running]
    pieces = [
      { kind: 'reasoning' as const, offset: 0, text: reasoning },
      { kind: 'text' as const, offset: 0, text },
    ].filter((piece) => piece.text !== '')
    unsent = undefined
  }

  /**
   * Sends what waits, in order; what did not get through goes first the next time. With `all` also what came while it
   * was sent: else that waits for the next tick, so that a far Redis costs no more commands than a near one.
   * @returns true when it is out
   */
  const send = (all: boolean): Promise<boolean> => {
    sending = sending.then(async () => {
      let rest = all
      try {
        do {
          unsent ??= take()
          const flushed = await flush(redis, writer, answer.userUid, answer.messageUid, epoch, unsent)
          if (flushed.stopAsked) onStop()
          if (flushed.result === 'resync') {
            epoch = ''
            beginAgain(unsent)
            rest = true
            continue
          }
          if (flushed.result === 'over') {
            // Its end was told by somebody else, or its chat is gone: there is nobody to tell more of its text.
            pieces = []
            events = []
            live = []
            unsent = undefined
            onStop()
            continue
          }
          epoch = flushed.epoch
          watched = flushed.listened
          if (unsent.forget !== undefined) last = undefined
          unsent = undefined
        } while (unsent !== undefined || (rest && pieces.length + events.length > 0) || last !== undefined)
        if (away) log.info('feed_back')
        away = false
        return true
      } catch (error) {
        if (!away) log.error('feed_away', { error: (error as Error).name })
        away = true
        return false
      }
    })
    return sending
  }
  schedule()

  /** True once everything that waits is out. */
  const drain = async (): Promise<boolean> => {
    for (let tries = 1; ; tries++) {
      if (await send(true)) return true
      if (tries === LAST_TRIES) return false
      await pause(1_000)
    }
  }
  const close = async (end: typeof last): Promise<void> => {
    ended = true
    last = end
    schedule()
    await drain()
  }

  return {
    delta(kind, offset, text) {
      firstWordsAt ??= Date.now()
      const last = pieces.at(-1)
      if (last?.kind === kind && last.text.length < CALL_LIMIT) last.text += text
      else pieces.push({ kind, offset, text })
      const due = Date.now() + wait()
      if (due < dueAt) {
        dueAt = due
        schedule()
      }
    },
    end: (lastEvents, outboxUid) => close({ events: lastEvents, outboxUid }),
    async abandon(isOver) {
      // Its end may be out already: text after it would only confuse.
      pieces = []
      await close(isOver ? { events: [] } : undefined)
    },
  }
}

const deltaOf = (
  { messageUid, chatUid }: { messageUid: string; chatUid: string },
  { kind, offset, text }: Piece,
): FeedEvent => ({
  event: kind === 'text' ? 'message_delta' : 'reasoning_delta',
  data: { messageUid, chatUid, offset, text } satisfies DeltaData,
})

/** Cuts a piece down to `limit` units, but never through a surrogate pair; answers the rest. */
function cut(piece: Piece, limit: number): Piece | undefined {
  if (piece.text.length <= limit) return undefined
  const last = piece.text.charCodeAt(limit - 1)
  const at = last >= 0xd800 && last <= 0xdbff ? limit + 1 : limit
  const rest = piece.text.slice(at)
  if (rest === '') return undefined
  piece.text = piece.text.slice(0, at)
  return { kind: piece.kind, offset: piece.offset + at, text: rest }
}
