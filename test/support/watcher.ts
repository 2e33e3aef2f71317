import { setTimeout as sleep } from 'node:timers/promises'
import { EventSourceParserStream } from 'eventsource-parser/stream'

export interface Seen {
  chatUid: string
  text: string
  reasoning: string
  status: string
}

/**
 * A client of a feed that may lose its connection at any moment and holds the service to its promise: events in
 * order, none twice, no delta that does not fit what is there.
 */
export class Watcher {
  readonly messages = new Map<string, Seen>()
  readonly ended = new Set<string>()
  lastEventId: string | undefined
  snapshots = 0
  events = 0
  fault: string | undefined
  chatsSeen = new Set<string>()
  #abort = new AbortController()
  #running: Promise<void> = Promise.resolve()
  readonly #url: string
  readonly #headers: Record<string, string>

  constructor(url: string, headers: Record<string, string>) {
    this.#url = url
    this.#headers = headers
  }

  /** Opens the feed, with an id or without, and reads `slowMs` apart. */
  open(lastEventId: string | undefined, slowMs = 0): void {
    this.#abort = new AbortController()
    const { signal } = this.#abort
    this.#running = this.#read(lastEventId, slowMs, signal).catch((error: Error) => {
      if (!signal.aborted) this.fault ??= String(error)
    })
  }

  /** What it holds now, to come back to: a device that slept. */
  checkpoint(): () => void {
    const kept = {
      id: this.lastEventId,
      messages: structuredClone(this.messages),
      ended: new Set(this.ended),
    }
    return () => {
      this.lastEventId = kept.id
      this.messages.clear()
      for (const [uid, seen] of kept.messages) this.messages.set(uid, { ...seen })
      this.ended.clear()
      for (const uid of kept.ended) this.ended.add(uid)
    }
  }

  async drop(): Promise<void> {
    this.#abort.abort()
    await this.#running
  }

  async #read(lastEventId: string | undefined, slowMs: number, signal: AbortSignal): Promise<void> {
    let from = lastEventId
    while (!signal.aborted) {
      // A connection that breaks, or a service that is away for the moment, is no answer: it asks again.
      const response = await fetch(this.#url, {
        headers: { ...this.#headers, ...(from === undefined ? {} : { 'last-event-id': from }) },
        signal,
      }).catch(() => undefined)
      if (response?.status === 200) await this.#drain(response, slowMs, signal)
      else if (response && response.status !== 503)
        throw new Error(`a feed answered ${response.status}: ${await response.text()}`)
      else await response?.body?.cancel()
      // Back as EventSource would come, only sooner.
      from = this.lastEventId
      await sleep(50)
    }
  }

  async #drain(response: Response, slowMs: number, signal: AbortSignal): Promise<void> {
    const events = response
      .body!.pipeThrough(new TextDecoderStream())
      .pipeThrough(new EventSourceParserStream())
      .getReader()
    for (;;) {
      const { done, value } = await events.read().catch(() => ({ done: true as const, value: undefined }))
      if (done || signal.aborted) return
      this.#take(value.event ?? '', value.id, JSON.parse(value.data))
      if (slowMs > 0) await sleep(slowMs)
    }
  }

  #take(event: string, id: string | undefined, data: any): void {
    this.events++
    if (id === undefined) this.#fail(`${event} has no id`)
    const [epoch, n] = id!.split('~')[0]!.split('-')
    if (event === 'snapshot') this.snapshots++
    else {
      const [lastEpoch, lastN] = (this.lastEventId ?? '').split('~')[0]!.split('-')
      if (epoch !== lastEpoch) this.#fail(`${event} ${id} follows ${this.lastEventId} without a snapshot`)
      if (Number(n) <= Number(lastN)) this.#fail(`${event} ${id} comes after ${this.lastEventId}`)
    }
    this.lastEventId = id
    for (const { chatUid } of [data, data.message ?? {}]) if (chatUid) this.chatsSeen.add(chatUid)
    switch (event) {
      case 'snapshot':
        this.messages.clear()
        for (const row of [...(data.messages ?? []), ...(data.running ?? [])])
          this.messages.set(row.uid, {
            chatUid: row.chatUid,
            text: row.message,
            reasoning: row.reasoning ?? '',
            status: row.status,
          })
        return
      case 'new_message':
        if (this.messages.has(data.message.uid)) this.#fail(`${data.message.uid} is new twice`)
        this.messages.set(data.message.uid, {
          chatUid: data.message.chatUid,
          text: data.message.message,
          reasoning: '',
          status: data.message.status,
        })
        return
      case 'message_start':
        if (!this.messages.has(data.messageUid))
          this.messages.set(data.messageUid, {
            chatUid: data.chatUid,
            text: '',
            reasoning: '',
            status: 'STREAMING',
          })
        return
      case 'message_delta':
      case 'reasoning_delta': {
        const seen = this.messages.get(data.messageUid)
        const kind = event === 'message_delta' ? 'text' : 'reasoning'
        if (!seen) {
          this.#fail(`a delta of ${data.messageUid}, which never started`)
          return
        }
        if (seen.status !== 'STREAMING') this.#fail(`a delta of ${data.messageUid} after its end`)
        if (data.offset !== seen[kind].length)
          this.#fail(`a delta at ${data.offset} where ${seen[kind].length} units are (${kind}, ${id})`)
        if (!data.text.isWellFormed()) this.#fail('a delta splits a surrogate pair')
        seen[kind] += data.text
        return
      }
      case 'message_end':
      case 'message_error': {
        const { uid, chatUid, message, status, reasoning } = data.message
        const seen = this.messages.get(uid)
        if (this.ended.has(uid) && seen?.status !== 'STREAMING') this.#fail(`${uid} ends twice`)
        // What a dead worker had told since it last saved is not stored, and not paid for: the end says what is.
        const short = status !== 'COMPLETED' && seen?.text.startsWith(message)
        if (seen && message !== undefined && !message.startsWith(seen.text) && !short)
          this.#fail(`${uid} ends with another text`)
        this.ended.add(uid)
        this.messages.set(uid, {
          chatUid,
          text: message ?? seen?.text ?? '',
          reasoning: reasoning ?? '',
          status,
        })
        return
      }
      case 'chat_deleted':
        for (const [uid, { chatUid }] of this.messages)
          if (chatUid === data.chatUid) this.messages.delete(uid)
    }
  }

  #fail(fault: string): void {
    this.fault ??= fault
  }
}
