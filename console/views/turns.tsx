import { useSignal } from '@preact/signals'
import { Icon } from '../parts/icon.tsx'
import { conversationOf, runningIn } from '../state/messages.ts'
import { pending } from '../state/sending.ts'
import type { Message } from '../wire/api.ts'
import { Answer } from './answer.tsx'

/** A question and every answer that it got; an instruction stands alone. */
interface Turn {
  question: Message | undefined
  answers: Message[]
}

function turnsOf(messages: Message[]): Turn[] {
  const turns: Turn[] = []
  for (const message of messages) {
    const last = turns.at(-1)
    if (message.role !== 'assistant') turns.push({ question: message, answers: [] })
    else if (last && last.question?.role !== 'system') last.answers.push(message)
    else turns.push({ question: undefined, answers: [message] })
  }
  return turns
}

export function Turns({ chatUid }: { chatUid: string }) {
  const { messages } = conversationOf(chatUid)
  const turns = turnsOf(messages.value)
  const waiting = pending.value.get(chatUid)
  if (turns.length === 0 && !waiting) return <p class="muted list-empty">Nothing has been said here yet.</p>
  return (
    <>
      {turns.map((turn, index) => (
        <TurnView
          key={turn.question?.uid ?? turn.answers[0]?.uid}
          turn={turn}
          chatUid={chatUid}
          isLast={index === turns.length - 1 && !waiting}
        />
      ))}
      {waiting && (
        <article class="turn">
          <Question text={waiting.text} isWaiting />
          <div class="answer">
            <Waiting />
          </div>
        </article>
      )}
    </>
  )
}

function TurnView({
  turn: { question, answers },
  chatUid,
  isLast,
}: {
  turn: Turn
  chatUid: string
  isLast: boolean
}) {
  /** Which answer is looked at, from the newest; 0 follows what is asked anew. */
  const back = useSignal(0)
  const shown = answers[answers.length - 1 - Math.min(back.value, answers.length - 1)]
  const isRunning = runningIn.value.has(chatUid)
  if (question?.role === 'system')
    return (
      <aside class="instruction" aria-label="Instruction">
        <span>Instruction</span>
        <p dir="auto">{question.message}</p>
      </aside>
    )
  return (
    <article class="turn">
      {question && <Question text={question.message} />}
      {shown && (
        <Answer key={shown.uid} message={shown} isLast={isLast} mayRetry={isLast && !isRunning}>
          {answers.length > 1 && (
            <span class="versions">
              <button
                type="button"
                class="quiet"
                aria-label="The answer before"
                disabled={back.value >= answers.length - 1}
                onClick={() => back.value++}
              >
                <Icon name="chevron" />
              </button>
              {answers.indexOf(shown) + 1} of {answers.length}
              <button
                type="button"
                class="quiet"
                aria-label="The answer after"
                disabled={back.value === 0}
                onClick={() => back.value--}
              >
                <Icon name="chevron" />
              </button>
            </span>
          )}
        </Answer>
      )}
    </article>
  )
}

function Question({ text, isWaiting = false }: { text: string; isWaiting?: boolean }) {
  return (
    <div class={isWaiting ? 'question waiting' : 'question'}>
      <h2 class="unseen">You asked</h2>
      <p dir="auto">{text}</p>
    </div>
  )
}

/** The dots of an answer whose first word is still to come. */
export function Waiting() {
  return (
    <p class="waiting-dots" role="img" aria-label="Waiting for the first word">
      <span />
      <span />
      <span />
    </p>
  )
}
