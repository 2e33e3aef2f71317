import { useSignal } from '@preact/signals'
import type { ComponentChildren } from 'preact'
import { Icon } from '../parts/icon.tsx'
import { complain } from '../parts/notices.tsx'
import { Prose } from '../parts/prose.tsx'
import { count, credits, exactly } from '../parts/words.ts'
import { isTopUpOpen } from '../state/appearance.ts'
import { endings, textOf } from '../state/messages.ts'
import { chosen, nameOf } from '../state/models.ts'
import { retry } from '../state/sending.ts'
import type { Message } from '../wire/api.ts'
import { Waiting } from './turns.tsx'

/** An answer, whole or growing, with what it cost and what can be done with it. */
export function Answer({
  message,
  isLast,
  mayRetry,
  children,
}: {
  message: Message
  isLast: boolean
  mayRetry: boolean
  children?: ComponentChildren
}) {
  const isRunning = message.status === 'STREAMING'
  const running = isRunning ? textOf(message.uid)?.value : undefined
  const text = running?.text ?? message.message
  const reasoning = running?.reasoning ?? message.reasoning ?? ''
  return (
    <div class={isLast ? 'answer last' : 'answer'}>
      <h2 class="unseen">{nameOf(message.modelUid)} answered</h2>
      {reasoning !== '' && <Reasoning text={reasoning} isGrowing={isRunning && text === ''} />}
      {text === '' && isRunning && reasoning === '' && <Waiting />}
      {text !== '' && <Prose text={text} isGrowing={isRunning} />}
      <HowItEnded message={message} />
      {!isRunning && (
        <footer class="answer-foot">
          {children}
          <Paid message={message} />
          <span class="answer-actions">
            {text !== '' && <Copy text={text} />}
            {mayRetry && (
              <button
                type="button"
                class="quiet"
                aria-label="Answer again"
                title="Answer again"
                onClick={() => void retry(message.chatUid, message.uid, chosen.value?.uid).catch(complain)}
              >
                <Icon name="retry" />
              </button>
            )}
          </span>
        </footer>
      )}
    </div>
  )
}

function Reasoning({ text, isGrowing }: { text: string; isGrowing: boolean }) {
  return (
    <details class="reasoning">
      <summary>
        <Icon name="chevron" /> {isGrowing ? 'Thinking…' : 'How it got there'}
      </summary>
      <Prose text={text} isGrowing={isGrowing} />
    </details>
  )
}

function Paid({ message }: { message: Message }) {
  const usage = endings.value.get(message.uid)?.usage
  const parts = usage && `${count(usage.promptTokens)} read, ${count(usage.completionTokens)} written`
  return (
    <span class="paid">
      <span>{nameOf(message.modelUid)}</span>
      {message.creditSpent === 0 && message.tokenUsed === 0 ? (
        message.status !== 'FAILED' && <span>no charge</span>
      ) : (
        <>
          <span title={parts ?? undefined}>{count(message.tokenUsed)} tokens</span>
          <span title={`${exactly(message.creditSpent)} credits`}>
            {credits(message.creditSpent)} credits{usage?.source === 'estimated' ? ' (estimated)' : ''}
          </span>
        </>
      )}
    </span>
  )
}

/** Said of whatever did not end by itself, and of what was cut. */
const words: Record<string, string> = {
  stopped: 'Stopped. You paid for what was written.',
  client_gone: 'The line to the page that asked was lost, so the answer ended here.',
  upstream_incomplete: 'The model broke off in the middle.',
  upstream_timeout: 'The model fell silent.',
  upstream_error: 'The model failed in the middle.',
  worker_lost: 'The gateway lost this answer before anything was saved.',
  length: 'Cut off at the longest answer that was allowed.',
  content_filter: "The model's own filter ended the answer.",
}

function HowItEnded({ message: { uid, status, finishReason = '', creditSpent } }: { message: Message }) {
  const ending = endings.value.get(uid)
  if (status === 'STREAMING') return null
  if (status === 'COMPLETED') return words[finishReason] ? <p class="ended">{words[finishReason]}</p> : null
  if (status === 'STOPPED') return <p class="ended">{words[finishReason] ?? words.stopped}</p>
  const why = ending?.detail ?? words[finishReason] ?? 'The model failed.'
  return (
    <p class="ended failed">
      <Icon name="alert" />
      <span>
        {why} {creditSpent === 0 && 'Nothing was charged.'}
        {ending?.code === 'insufficient_credits' && (
          <button
            type="button"
            class="link"
            onClick={() => {
              isTopUpOpen.value = true
            }}
          >
            Top up
          </button>
        )}
      </span>
    </p>
  )
}

function Copy({ text }: { text: string }) {
  const isDone = useSignal(false)
  return (
    <button
      type="button"
      class="quiet"
      aria-label={isDone.value ? 'Copied' : 'Copy the answer'}
      title="Copy"
      onClick={async () => {
        await navigator.clipboard.writeText(text)
        isDone.value = true
        setTimeout(() => {
          isDone.value = false
        }, 1_500)
      }}
    >
      <Icon name={isDone.value ? 'check' : 'copy'} />
    </button>
  )
}
