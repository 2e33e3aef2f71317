// What the kitchen sees of an upstream: pieces come in, one end comes back, nothing is thrown.

/**
 * Tokens as the upstream counted them (integers, 0 to 10^9). Rule 2 of the money rules.
 * A field that was neither reported nor follows from the other two is 0 and named in `missing`,
 * so that the caller can put its own estimate there.
 */
export interface UpstreamUsage {
  promptTokens: number
  completionTokens: number
  totalTokens: number
  /** Part of `promptTokens`, never more than it. */
  cachedTokens?: number
  /** As reported: some upstreams count them inside `completionTokens`, some only in `totalTokens`. */
  reasoningTokens?: number
  missing?: Array<'prompt' | 'completion'>
}

/** One upstream object. Text is as sent: it may hold U+0000 and end in the middle of a surrogate pair. */
export interface UpstreamChunk {
  /** New text of choice 0. */
  text: string
  /** New reasoning of choice 0. */
  reasoning: string
  /** This chunk carries a tool call or a function call. */
  toolCalls: boolean
  /** This chunk carries output of a choice other than 0. */
  otherChoices: boolean
  /** Further output, for the estimate only: words of other choices, tool names and arguments. */
  extra: string
  /** A token exists: any of the above, or output of a kind that has no text (audio, image). */
  produced: boolean
  usage?: UpstreamUsage
  /** Raw finish reason of choice 0; "" and null are none. */
  finishReason?: string
  /** The parsed upstream object, for the OpenAI door. */
  raw?: unknown
}

export type UpstreamFaultKind =
  | 'connect_timeout'
  | 'first_token_timeout'
  | 'silence_timeout'
  | 'total_timeout'
  | 'unreachable'
  /** Refused with a status outside 2xx (a redirect too), other than 429. */
  | 'status'
  /** Status 429, or an error inside a 200 that says so. */
  | 'rate_limited'
  /** Neither an event stream nor a completion. */
  | 'bad_answer'
  /** An error object inside an answer of status 200, streamed or not. */
  | 'error_in_stream'
  /** The connection ended with neither a finish reason nor [DONE]. */
  | 'incomplete'
  | 'too_large'
  /** By whoever would have called: the address or the secret is not fit for it. */
  | 'not_called'
  | 'aborted'

export interface UpstreamFault {
  kind: UpstreamFaultKind
  /** HTTP status, or the status that an error inside a 200 names. */
  status?: number
  retryAfterSeconds?: number
  /** For administrators and logs: secrets and the host are blotted out, at most 500 characters. */
  message: string
  upstreamCode?: string
  param?: string
}

/** What the upstream taught us, to be remembered with the model. Only reported when it was accepted. */
export interface Learned {
  limitParam?: 'max_completion_tokens'
  streamOptions?: false
}

export interface UpstreamEnd {
  /** Raw finish reason of choice 0, null if none came. */
  finishReason: string | null
  fault?: UpstreamFault
  /** [DONE] or a finish reason was seen, or a whole JSON answer was read. */
  done: boolean
  /** The last one that was reported, on good and bad ends alike. */
  usage?: UpstreamUsage
  learned?: Learned
  /** Milliseconds from the call to the first chunk that was `produced`. */
  firstTokenMs?: number
  /** How often it was asked again (see retry.ts); absent when once was enough. */
  retries?: number
}

export interface UpstreamTimes {
  connectMs: number
  firstTokenMs: number
  silenceMs: number
  totalMs: number
}

export interface UpstreamRequest {
  /** The full …/chat/completions address (see `endpointsOf`). */
  url: string
  authToken?: string
  /** model, messages, temperature and whatever passes through; limits and stream_options are set here. */
  body: Record<string, unknown>
  stream: boolean
  maxTokens: number
  /** Name of the limit in the body: `max_tokens`, `max_completion_tokens`, … */
  limitParam: string
  /** Ask for usage at the end of a stream. */
  streamOptions: boolean
  times: UpstreamTimes
  /** How often it may be asked again before it has answered, all within `firstTokenMs`; none when absent. */
  retries?: number
  signal: AbortSignal
  fetch?: typeof fetch
  /** Can the host be connected to at all? See reach.ts. */
  reach?: Reach
  /** Further secrets that must never stand in a message. */
  redact?: string[]
}

/** 'silent' if a plain connection neither opens nor fails within `ms`; 'unknown' where it cannot be told. */
export type Reach = (url: string, ms: number) => Promise<'open' | 'silent' | 'unknown'>

/** Yields the chunks of one network read together; returns the end. */
export type UpstreamAnswer = AsyncGenerator<UpstreamChunk[], UpstreamEnd, undefined>
