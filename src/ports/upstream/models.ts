import { createBlot, errorOf, faultOf } from './error.ts'
import { exchange, headersFor, readText, stoppedFault } from './exchange.ts'
import type { UpstreamFault } from './port.ts'
import { isRecord } from './usage.ts'
import { createWatch } from './watch.ts'

// The largest routers list some hundred models in half a megabyte.
const LIST_LIMIT_BYTES = 4 * 1024 * 1024
const MOST_MODELS = 5000

export interface ModelsRequest {
  /** The …/models address (see `endpointsOf`). */
  url: string
  authToken?: string
  timeoutMs: number
  signal: AbortSignal
  fetch?: typeof fetch
  redact?: string[]
}

export type ModelsAnswer = { ids: string[] } | { fault: UpstreamFault }

function idsOf(value: unknown): string[] | undefined {
  const list = isRecord(value) ? (value.data ?? value.models) : value
  if (!Array.isArray(list)) return undefined
  const ids = new Set<string>()
  for (const item of list) {
    const id = isRecord(item) ? (item.id ?? item.name ?? item.model) : item
    if (typeof id === 'string' && id !== '' && id.length <= 256) ids.add(id)
    if (ids.size === MOST_MODELS) break
  }
  return [...ids]
}

/** The model ids that an upstream offers, without repeats, in its order. Never throws; faults as in `openUpstream`. */
export async function listModels(request: ModelsRequest): Promise<ModelsAnswer> {
  const watch = createWatch(request.signal, request.timeoutMs)
  const blot = createBlot(request.url, [request.authToken, ...(request.redact ?? [])])
  try {
    const before = watch.stopped()
    if (before !== undefined) return { fault: stoppedFault(before) }
    const headers = headersFor('application/json', request.authToken)
    const got = await exchange(request.fetch ?? fetch, request.url, { method: 'GET', headers }, watch, blot)
    if ('fault' in got) return { fault: got.fault }
    watch.rest()
    const { text, end } = await readText(got.response, LIST_LIMIT_BYTES, watch)
    const stopped = watch.stopped()
    if (stopped !== undefined) return { fault: stoppedFault(stopped) }
    if (end === 'limit') return { fault: { kind: 'too_large', message: 'a list of models over 4 MiB' } }
    let value: unknown
    try {
      value = JSON.parse(text)
    } catch {
      const kind = end === 'whole' ? 'bad_answer' : 'incomplete'
      return { fault: { kind, message: 'the list of models is not valid JSON' } }
    }
    const ids = idsOf(value)
    if (ids !== undefined) return { ids }
    const error = errorOf(value, false)
    if (error !== undefined) return { fault: faultOf('error_in_stream', error, blot) }
    return { fault: { kind: 'bad_answer', message: 'the answer is not a list of models' } }
  } finally {
    watch.close()
    watch.sever()
  }
}
