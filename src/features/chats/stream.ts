import { Failure } from '../../core/failure.ts'
import type { Outlet } from '../../http/sse.ts'
import type { Delta } from '../inference/recorder.ts'
import type { Answered } from './present.ts'
import type { Sending } from './sending.ts'
import { answerEnded, answerStarted, told } from './tell.ts'

// The sender's own stream: the events of one answer, waiting for nobody.

export function tellStart(outlet: Outlet, { messageUid, chatUid, modelUid, userMessageUid }: Sending): void {
  const { event, data } = answerStarted({ messageUid, chatUid, modelUid })
  outlet.event(event, { ...data, userMessageUid })
}

export function tellDelta(
  outlet: Outlet,
  { messageUid, chatUid }: Sending,
  { kind, offset, text }: Delta,
): void {
  outlet.event(kind === 'text' ? 'message_delta' : 'reasoning_delta', { messageUid, chatUid, offset, text })
}

export function tellEnd(outlet: Outlet, { messageUid, chatUid }: Sending, end: Answered | Error): void {
  if (end instanceof Error) {
    const failure = end instanceof Failure ? end : new Failure('internal_error')
    outlet.event('message_error', { messageUid, chatUid, ...told(failure) })
    return
  }
  const { event, data } = answerEnded(end)
  outlet.event(event, data)
}
