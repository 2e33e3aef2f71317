import { useSignal } from '@preact/signals'
import { useEffect, useRef } from 'preact/hooks'
import { Confirm } from '../parts/dialog.tsx'
import { Icon } from '../parts/icon.tsx'
import { Menu } from '../parts/menu.tsx'
import { complain, say } from '../parts/notices.tsx'
import { deleteChat, renameChat } from '../state/chats.ts'
import { go } from '../state/route.ts'
import type { Chat } from '../wire/api.ts'

export function ChatItem({
  chat,
  to,
  isOpen,
  isRunning,
}: {
  chat: Chat
  to: string
  isOpen: boolean
  isRunning: boolean
}) {
  const isRenaming = useSignal(false)
  const isDeleting = useSignal(false)
  const title = chat.title ?? 'New chat'
  return (
    <li class={isOpen ? 'chat-item open' : 'chat-item'}>
      {isRenaming.value ? (
        <Rename
          chat={chat}
          onDone={() => {
            isRenaming.value = false
          }}
        />
      ) : (
        <>
          <a href={to} aria-current={isOpen ? 'page' : undefined} title={title}>
            <span class="chat-title">{title}</span>
            {isRunning && <span class="pulse" role="img" aria-label="an answer is being written" />}
          </a>
          <Menu
            label={`What to do with “${title}”`}
            items={[
              {
                name: 'Rename',
                icon: 'edit',
                act: () => {
                  isRenaming.value = true
                },
              },
              {
                name: 'Delete',
                icon: 'trash',
                isBad: true,
                act: () => {
                  isDeleting.value = true
                },
              },
            ]}
          />
        </>
      )}
      {isDeleting.value && (
        <Confirm
          title="Delete this chat?"
          action="Delete"
          onClose={() => {
            isDeleting.value = false
          }}
          onConfirm={() => {
            if (isOpen) go('/')
            deleteChat(chat.uid).then(() => say('The chat is deleted.'), complain)
          }}
        >
          <p>“{title}” and its messages go for good. What its answers cost stays in your statement.</p>
        </Confirm>
      )}
    </li>
  )
}

function Rename({ chat, onDone }: { chat: Chat; onDone: () => void }) {
  const input = useRef<HTMLInputElement>(null)
  useEffect(() => input.current?.select(), [])
  const save = () => {
    const title = input.current?.value.trim() ?? ''
    onDone()
    if (title !== '' && title !== chat.title) renameChat(chat.uid, title).catch(complain)
  }
  return (
    <form
      class="rename"
      onSubmit={(event) => {
        event.preventDefault()
        save()
      }}
    >
      <input
        ref={input}
        aria-label="Title of the chat"
        defaultValue={chat.title ?? ''}
        maxLength={200}
        onBlur={save}
        onKeyDown={(event) => {
          if (event.key !== 'Escape') return
          event.stopPropagation()
          onDone()
        }}
      />
      <button type="submit" class="quiet" aria-label="Save">
        <Icon name="check" />
      </button>
    </form>
  )
}
