import { useSignal } from '@preact/signals'
import { useEffect, useRef } from 'preact/hooks'
import { count, credits } from '../parts/words.ts'
import { conversationOf, runningIn } from '../state/messages.ts'

/**
 * Tells a screen reader that an answer has begun and how it ended. Not its words as they come: who wants them reads
 * the conversation.
 */
export function Announcer({ chatUid }: { chatUid: string }) {
  const word = useSignal('')
  const before = useRef<string>(undefined)
  const now = runningIn.value.get(chatUid)
  useEffect(() => {
    const ended = before.current
    before.current = now
    if (now) word.value = 'The answer is being written.'
    else if (ended) {
      const message = conversationOf(chatUid)
        .messages.peek()
        .find(({ uid }) => uid === ended)
      const how = { COMPLETED: 'complete', STOPPED: 'stopped', FAILED: 'broken off', STREAMING: 'over' }
      word.value = message
        ? `The answer is ${how[message.status]}: ${count(message.tokenUsed)} tokens, ${credits(message.creditSpent)} credits.`
        : ''
    }
  }, [now])
  return (
    <p class="unseen" role="status">
      {word.value}
    </p>
  )
}
