import type { DeltaData, FeedEvent } from './events.ts'
import { isDelta } from './events.ts'

/**
 * What a snapshot shows, as far as events that are still to come may tell it again. Postgres is read after the
 * position, so a snapshot foresees things whose events are not published yet.
 */
export interface Shown {
  /** Chats and messages of the last minutes. */
  chats: string[]
  messages: string[]
  /** Answers that are shown ended: their start and their text are not told any more. */
  ended: string[]
  /** Answers that are being written, with how much of each is shown. */
  running: Map<string, Lengths>
  /** The account's `seq`, if money is shown. */
  seq: number | undefined
}

export interface Lengths {
  text: number
  reasoning: number
  /** False: the log does not know it yet, so what comes first must be looked at also after a reconnection. */
  live: boolean
}

/** Entries that an id carries at most: what is newest matters. */
const ENTRIES = 24

const short = (uid: string): string => uid.slice(-12)

/**
 * Sorts events into those to tell and those that the reader has. What it must remember for that travels in the ids
 * that it gives out, so that a reader who comes back brings it along: the service keeps nothing about readers.
 */
export function createKnown(marks = '') {
  let foreseen = new Set(marks === '' ? [] : marks.split('.'))
  let lengths = lengthsIn(foreseen)
  let suffix = marks === '' ? '' : `~${marks}`

  const changed = () => {
    suffix = foreseen.size === 0 ? '' : `~${Array.from(foreseen).join('.')}`
  }
  const drop = (mark: string): boolean => {
    if (!foreseen.delete(mark)) return false
    changed()
    return true
  }
  const dropLengths = (uid: string) => {
    for (const mark of foreseen) if (mark.startsWith(`l${short(uid)}_`)) drop(mark)
  }

  /** True when a later `seq` is shown already. */
  const isPaid = (seq: number): boolean => {
    const mark = Array.from(foreseen).find((entry) => entry.startsWith('s'))
    if (mark === undefined) return false
    if (seq <= Number(mark.slice(1))) return true
    drop(mark)
    return false
  }

  const freshDelta = (event: FeedEvent): FeedEvent | undefined | 'hole' => {
    const data = event.data as unknown as DeltaData
    if (foreseen.has(`e${short(data.messageUid)}`)) return undefined
    const seen = lengths.get(short(data.messageUid))
    if (!seen) return event
    const kind = event.event === 'message_delta' ? 'text' : 'reasoning'
    const have = seen[kind]
    if (data.offset > have) return 'hole'
    if (data.offset + data.text.length <= have) return undefined
    seen[kind] = data.offset + data.text.length
    dropLengths(data.messageUid)
    if (data.offset === have) return event
    return { event: event.event, data: { ...data, offset: have, text: data.text.slice(have - data.offset) } }
  }

  return {
    /** What an id says beside its position. */
    suffix: (): string => suffix,
    /** A snapshot was told: it is all that counts now. */
    reset({ chats, messages, ended, running, seq }: Shown) {
      const marks = [
        ...(seq === undefined ? [] : [`s${seq}`]),
        ...Array.from(running)
          .filter(([, { live }]) => !live)
          .map(([uid, { text, reasoning }]) => `l${short(uid)}_${text}_${reasoning}`),
        ...ended.map((uid) => `e${short(uid)}`),
        ...messages.map((uid) => `m${short(uid)}`),
        ...chats.map((uid) => `c${short(uid)}`),
      ]
      foreseen = new Set(marks.slice(0, ENTRIES))
      lengths = new Map(Array.from(running, ([uid, seen]) => [short(uid), { ...seen }]))
      changed()
    },
    /** The event as it is still to be told, undefined when it is known, 'hole' when something before it is missing. */
    fresh(event: FeedEvent): FeedEvent | undefined | 'hole' {
      if (isDelta(event)) return freshDelta(event)
      const { chat, message, messageUid, seq } = event.data as {
        chat?: { uid: string }
        message?: { uid: string }
        messageUid?: string
        seq?: number
      }
      switch (event.event) {
        case 'new_transaction':
        case 'balance':
          return isPaid(seq ?? 0) ? undefined : event
        case 'new_chat':
          return drop(`c${short(chat?.uid ?? '')}`) ? undefined : event
        case 'new_message':
          return drop(`m${short(message?.uid ?? '')}`) ? undefined : event
        case 'message_start':
          return foreseen.has(`e${short(messageUid ?? '')}`) ? undefined : event
        case 'message_end':
        case 'message_error': {
          const uid = message?.uid ?? messageUid ?? ''
          lengths.delete(short(uid))
          dropLengths(uid)
          return drop(`e${short(uid)}`) ? undefined : event
        }
        default:
          return event
      }
    },
  }
}

function lengthsIn(marks: Set<string>): Map<string, { text: number; reasoning: number }> {
  const lengths = new Map<string, { text: number; reasoning: number }>()
  for (const mark of marks) {
    const match = /^l([0-9a-f]{12})_(\d+)_(\d+)$/.exec(mark)
    if (match) lengths.set(match[1]!, { text: Number(match[2]), reasoning: Number(match[3]) })
  }
  return lengths
}
