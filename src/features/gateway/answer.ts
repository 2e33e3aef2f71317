import { Failure } from '../../core/failure.ts'
import type { UpstreamChunk } from '../../ports/upstream/port.ts'
import { envelopeOf } from './envelope.ts'
import type { Call, Ended } from './service.ts'
import { usageFor } from './usage.ts'
import { createWhole } from './whole.ts'
import { createStreamWire, type Naming } from './wire.ts'

// One call's answer in either form, from the first chunk to the booked end.

const namingOf = ({ generationUid, model }: Call): Naming => ({
  id: `chatcmpl-${generationUid}`,
  model,
  created: Math.floor(Date.now() / 1000),
})

/** As the events of a stream, each given to `say`. */
export function createStream(call: Call, wantsUsage: boolean, say: (text: string) => void) {
  const wire = createStreamWire(namingOf(call))
  let hasBegun = false
  const broken = (failure: Failure) => say(JSON.stringify(envelopeOf(failure)))

  return {
    take(chunks: UpstreamChunk[]): void {
      hasBegun ||= chunks.some(({ produced }) => produced)
      wire.take(chunks).forEach(say)
    },
    /** A token came: what happens from now on is told in the stream. */
    hasBegun: () => hasBegun,
    /** After the charge is booked. */
    end({ generation, failure }: Ended): void {
      wire.end(wantsUsage && !failure ? usageFor(generation, wire.usage()) : undefined).forEach(say)
      if (failure) broken(failure)
      else say('[DONE]')
    },
    fail: (error: unknown): void => broken(error instanceof Failure ? error : new Failure('internal_error')),
  }
}

/** As one completion. */
export function createAnswer(call: Call) {
  const whole = createWhole(namingOf(call))
  let hasBegun = false

  return {
    take(chunks: UpstreamChunk[]): void {
      hasBegun ||= chunks.some(({ produced }) => produced)
      whole.take(chunks)
    },
    hasBegun: () => hasBegun,
    /**
     * What came is paid for, so it is delivered, even if it broke off: then with `error` as finish reason, and why.
     * @throws Failure when not one token came
     */
    end({ generation, failure }: Ended): Record<string, unknown> {
      if (failure && !hasBegun) throw failure
      const broken = failure && { finish_reason: 'error', ...envelopeOf(failure) }
      return whole.completion(usageFor(generation, whole.usage()), broken)
    },
  }
}
