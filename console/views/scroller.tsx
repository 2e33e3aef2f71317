import { useSignal } from '@preact/signals'
import type { ComponentChildren } from 'preact'
import { useLayoutEffect, useRef } from 'preact/hooks'
import { Icon } from '../parts/icon.tsx'
import { complain } from '../parts/notices.tsx'
import { conversationOf, loadOlder } from '../state/messages.ts'
import { pending } from '../state/sending.ts'

/** Nearer to the end than this, the reader follows the answer; further up, they read and are left alone. */
const NEAR_PX = 48

/**
 * The scrolling part of a chat. It stays at the end while the reader is there, and where they are otherwise: what
 * grows does so below them, and what is loaded above them moves nothing.
 */
export function Scroller({
  chatUid,
  isLoading,
  children,
}: {
  chatUid: string
  isLoading: boolean
  children: ComponentChildren
}) {
  const box = useRef<HTMLDivElement>(null)
  const content = useRef<HTMLDivElement>(null)
  const follows = useRef(true)
  const isAway = useSignal(false)
  const isLoadingOlder = useSignal(false)
  const { older } = conversationOf(chatUid)
  const isSending = pending.value.has(chatUid)

  const toEnd = () => {
    const { current } = box
    if (current) current.scrollTop = current.scrollHeight
  }
  useLayoutEffect(() => {
    if (!isSending) return
    follows.current = true
    toEnd()
  }, [isSending])
  useLayoutEffect(() => {
    // Runs after layout and before the paint: nobody sees the text below the edge first.
    const watcher = new ResizeObserver(() => follows.current && toEnd())
    if (content.current) watcher.observe(content.current)
    if (box.current) watcher.observe(box.current)
    return () => watcher.disconnect()
  }, [])
  const onScroll = () => {
    const { scrollTop, scrollHeight, clientHeight } = box.current!
    follows.current = scrollHeight - scrollTop - clientHeight < NEAR_PX
    isAway.value = !follows.current
  }
  const loadEarlier = async () => {
    const { current } = box
    if (!current || isLoadingOlder.value) return
    isLoadingOlder.value = true
    const fromEnd = current.scrollHeight - current.scrollTop
    await loadOlder(chatUid).catch(complain)
    isLoadingOlder.value = false
    requestAnimationFrame(() => {
      current.scrollTop = current.scrollHeight - fromEnd
    })
  }
  return (
    <div class="scroller-frame">
      <section
        class="scroller"
        ref={box}
        onScroll={onScroll}
        aria-label="Conversation"
        tabIndex={0}
        aria-busy={isLoading}
      >
        <div class="column" ref={content}>
          {older.value && (
            <p class="earlier">
              <button type="button" class="button small" onClick={() => void loadEarlier()}>
                {isLoadingOlder.value && <span class="spinner" aria-hidden="true" />}
                Earlier messages
              </button>
            </p>
          )}
          {isLoading ? <Ghosts /> : children}
        </div>
      </section>
      {isAway.value && (
        <button
          type="button"
          class="to-end"
          aria-label="To the newest words"
          onClick={() => {
            follows.current = true
            toEnd()
          }}
        >
          <Icon name="arrowDown" />
        </button>
      )}
    </div>
  )
}

function Ghosts() {
  return (
    <div class="ghost-turns" aria-hidden="true">
      <span class="ghost short" />
      <span class="ghost" />
      <span class="ghost" />
      <span class="ghost half" />
    </div>
  )
}
