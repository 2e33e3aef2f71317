import { useEffect, useLayoutEffect, useRef } from 'preact/hooks'
import { Icon } from '../parts/icon.tsx'
import { complain } from '../parts/notices.tsx'
import { priceOf } from '../parts/price.ts'
import { credits } from '../parts/words.ts'
import { isTopUpOpen } from '../state/appearance.ts'
import { drafts, setDraft } from '../state/drafts.ts'
import { runningIn } from '../state/messages.ts'
import { choose, chosen, models, usable } from '../state/models.ts'
import { money } from '../state/money.ts'
import { dismiss, NEW, pending, refused, send, stop, stopping } from '../state/sending.ts'
import { isAdministrator } from '../state/session.ts'

/** On a screen that is touched, Enter makes a new line: there is no Shift to hold. */
const isTouched = matchMedia('(pointer: coarse)').matches

/** Where questions are written. While an answer comes, its button stops it. */
export function Composer({ chatUid }: { chatUid: string | undefined }) {
  const place = chatUid ?? NEW
  const field = useRef<HTMLTextAreaElement>(null)
  const text = drafts.value.get(place) ?? ''
  const running = chatUid ? runningIn.value.get(chatUid) : undefined
  const isWaiting = pending.value.has(place)
  const model = chosen.value
  const maySend = text.trim() !== '' && model !== undefined && !running && !isWaiting

  useEffect(() => {
    if (!isTouched) field.current?.focus()
  }, [place])
  useLayoutEffect(() => {
    const { current } = field
    if (!current) return
    current.style.height = 'auto'
    current.style.height = `${current.scrollHeight}px`
  }, [text])

  const submit = () => {
    if (!maySend || !model) return
    void send(chatUid, text.trim(), model.uid).catch(complain)
    field.current?.focus()
  }
  return (
    <div class="composer-frame">
      <Refused place={place} />
      <Hint />
      <form
        class="composer"
        onSubmit={(event) => {
          event.preventDefault()
          submit()
        }}
      >
        <textarea
          ref={field}
          rows={1}
          name="message"
          aria-label="Your message"
          placeholder="Ask anything"
          value={text}
          onInput={(event) => setDraft(place, event.currentTarget.value)}
          onKeyDown={(event) => {
            if (event.key !== 'Enter' || event.shiftKey || event.isComposing || isTouched) return
            event.preventDefault()
            submit()
          }}
        />
        <div class="composer-foot">
          <ModelChoice />
          {running ? (
            <button
              type="button"
              class="send stop"
              aria-label="Stop the answer"
              title="Stop (Esc)"
              disabled={stopping.value.has(running)}
              onClick={() => void stop(running).catch(complain)}
            >
              <Icon name="stop" />
            </button>
          ) : (
            <button type="submit" class="send" aria-label="Send" title="Send (Enter)" disabled={!maySend}>
              {isWaiting ? <span class="spinner" aria-hidden="true" /> : <Icon name="arrowUp" />}
            </button>
          )}
        </div>
      </form>
      <p class="composer-note">
        {isTouched ? '' : running ? 'Esc stops the answer.' : 'Enter sends, Shift + Enter makes a new line.'}
        {model && <span> {priceOf(model)}</span>}
      </p>
    </div>
  )
}

function ModelChoice() {
  if (usable.value.length === 0) return <span />
  return (
    <span class="model-choice">
      <select
        aria-label="Model"
        value={chosen.value?.uid}
        onChange={(event) => choose(event.currentTarget.value)}
      >
        {usable.value.map(({ uid, name }) => (
          <option key={uid} value={uid}>
            {name}
          </option>
        ))}
      </select>
    </span>
  )
}

/** What stands in the way of a first question. */
function Hint() {
  if (models.value?.length === 0 || (models.value && usable.value.length === 0))
    return (
      <p class="callout">
        <Icon name="cube" />
        <span>
          There is no model to ask yet.{' '}
          {isAdministrator.value ? (
            <a href="/admin/models">Register one</a>
          ) : (
            'An administrator has to register one.'
          )}
        </span>
      </p>
    )
  if (money.value.available > 0 || refused.value.size > 0) return null
  return (
    <p class="callout">
      <Icon name="wallet" />
      <span>You have no credits to spend at the moment. Answers are paid for by what is written.</span>
      <TopUpButton />
    </p>
  )
}

function Refused({ place }: { place: string }) {
  const refusal = refused.value.get(place)?.refusal
  const needed = Number(refusal?.extra.needed)
  const available = Number(refusal?.extra.available)
  return (
    <div role="alert">
      {refusal && (
        <p class="callout bad">
          <Icon name="alert" />
          <span>
            {refusal.code === 'insufficient_credits'
              ? `A short answer needs ${credits(needed)} credits; ${credits(available)} are available.`
              : refusal.code === 'unreachable'
                ? 'The service did not answer. Your message is kept: send it again, it will be asked once only.'
                : refusal.message}
          </span>
          {refusal.code === 'insufficient_credits' && <TopUpButton />}
          <button type="button" class="quiet" aria-label="Dismiss" onClick={() => dismiss(place)}>
            <Icon name="close" />
          </button>
        </p>
      )}
    </div>
  )
}

function TopUpButton() {
  return (
    <button
      type="button"
      class="button small primary"
      onClick={() => {
        isTopUpOpen.value = true
      }}
    >
      Top up
    </button>
  )
}
