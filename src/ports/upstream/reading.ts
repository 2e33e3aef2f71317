// How the body of an answer is read: at once what somebody waits for, together what comes thick.

/**
 * Each read wakes the Worker, which costs more than all that is done to a token. So once there is something to show,
 * what comes within this time is read together; nothing is later for it by more than this.
 */
const GATHER_MS = 40
/**
 * The same for what comes faster than anybody reads: so many events at once are followed by a longer rest, until
 * fewer than so many have come in that. From 75 a second on, and down to 50.
 */
const GATHER_THICK_MS = 100
const THICK_EVENTS = 3
const STILL_THICK_EVENTS = 5
/** Bytes that one read brings at most. A read that is full is followed by the next one without a rest. */
const READ_BYTES = 4 * 1024
/** Bytes that end a rest: much at once is not held back. */
const PLENTY_BYTES = 16 * 1024
/** Bytes that may have come and not been read. An upstream that is faster has to wait, as it would without all this. */
const AHEAD_BYTES = 64 * 1024

export interface BodyReader {
  /**
   * The next bytes; undefined at the end. With `gather`, those that have come since the last read and within 40 ms of
   * it, or 100 when it comes thick. @throws when the connection is lost
   */
  read(gather: boolean): Promise<Uint8Array | undefined>
  /** Ends a read that waits; nothing more is read. A silent upstream's connection is closed by the signal of its fetch. */
  cancel(): void
}

/** What workerd has beside the standard: a pipe of its own, and a read that waits for much. */
interface Pipe {
  writable: WritableStream<Uint8Array>
  readable: {
    getReader(how: { mode: 'byob' }): {
      readAtLeast(bytes: number, into: Uint8Array): Promise<{ done: boolean; value?: Uint8Array }>
      cancel(): Promise<void>
    }
  }
}
const NativePipe = (globalThis as { IdentityTransformStream?: new () => Pipe }).IdentityTransformStream

/** Reads as it comes: outside of workerd, where the unit tests run, and what is no stream of small pieces. */
export function plainReader(body: ReadableStream<Uint8Array>): BodyReader {
  const reader = body.getReader()
  return {
    read: async () => (await reader.read()).value,
    cancel: () => void reader.cancel().catch(() => {}),
  }
}

/**
 * Reads what is small together, without a wake for each piece. The runtime buffers nothing that is not asked for, but
 * it does so between two branches of which one is ahead: that one runs into a pipe, all of it outside of JavaScript,
 * and is only heard of when much has come or it is over.
 */
export function gatheringReader(body: ReadableStream<Uint8Array>): BodyReader {
  if (NativePipe === undefined) return plainReader(body)
  // The first one is given the runtime's whole buffer for each piece, the second only the piece: that one may wait.
  const [far, near] = body.tee()
  const pipe = new NativePipe()
  far.pipeTo(pipe.writable).catch(() => {})
  const nearReader = near.getReader({ mode: 'byob' })
  const farReader = pipe.readable.getReader({ mode: 'byob' })

  let come = 0
  let taken = 0
  let isOver = false
  let isCancelled = false
  let restMs = 0
  const pace = pacer()
  let wake: (() => void) | undefined
  let goOn: (() => void) | undefined

  const listen = async () => {
    let buffer = new ArrayBuffer(PLENTY_BYTES)
    for (;;) {
      const { done, value } = await farReader.readAtLeast(PLENTY_BYTES, new Uint8Array(buffer))
      if (done || value === undefined) return
      buffer = value.buffer as ArrayBuffer
      come += value.byteLength
      wake?.()
      if (come - taken > AHEAD_BYTES)
        await new Promise<void>((resolve) => {
          goOn = resolve
        })
    }
  }
  const over = () => {
    isOver = true
    wake?.()
  }
  // How it ended is for the near branch to tell.
  listen().then(over, over)

  const rest = (ms: number) =>
    new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms)
      wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })

  const next = async () => {
    try {
      return (await nearReader.read(new Uint8Array(READ_BYTES))).value
    } catch (error) {
      // The runtime breaks off a read that waits when its body is cancelled.
      if (isCancelled) return undefined
      throw error
    }
  }

  return {
    async read(gather) {
      if (gather && restMs > 0 && !isOver && come - taken < PLENTY_BYTES) await rest(restMs)
      const value = await next()
      if (value === undefined || value.byteLength === 0) return undefined
      restMs = pace(value)
      taken += value.byteLength
      if (come - taken <= AHEAD_BYTES) goOn?.()
      return value
    },
    cancel() {
      isCancelled = true
      over()
      goOn?.()
      nearReader.cancel().catch(() => {})
      farReader.cancel().catch(() => {})
    },
  }
}

/**
 * Tells how long to rest after the bytes of each read, in ms. Whoever has the head of an event waits for the rest of it,
 * and what fills a read has more behind it: 0. Events end at a blank line.
 */
export function pacer(): (bytes: Uint8Array) => number {
  let events = 0
  let restMs = GATHER_MS
  let isWhole = true
  let isLineEmpty = true
  let isAfterCR = false

  const take = (byte: number) => {
    const isOneEnd = byte === LF && isAfterCR
    isAfterCR = byte === CR
    if (isOneEnd) return
    const isLineEnd = byte === LF || byte === CR
    if (isLineEnd && isLineEmpty && !isWhole) events++
    isWhole = isLineEnd && (isLineEmpty || isWhole)
    isLineEmpty = isLineEnd
  }

  return (bytes) => {
    for (const byte of bytes) take(byte)
    if (!isWhole || bytes.length === READ_BYTES) return 0
    restMs = events < (restMs === GATHER_MS ? THICK_EVENTS : STILL_THICK_EVENTS) ? GATHER_MS : GATHER_THICK_MS
    events = 0
    return restMs
  }
}
const [LF, CR] = [10, 13]
