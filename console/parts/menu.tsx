import { useSignal } from '@preact/signals'
import { useEffect, useRef } from 'preact/hooks'
import { Icon, type IconName } from './icon.tsx'

export interface MenuItem {
  name: string
  icon: IconName
  isBad?: boolean
  act: () => void
}

/** A button that opens a short list of things to do. Arrows move, Esc closes, anything outside closes. */
export function Menu({ label, items }: { label: string; items: MenuItem[] }) {
  const isOpen = useSignal(false)
  const holder = useRef<HTMLDivElement>(null)
  const list = useRef<HTMLDivElement>(null)
  const close = (isBack = true) => {
    isOpen.value = false
    if (isBack) holder.current?.querySelector('button')?.focus()
  }
  useEffect(() => {
    if (!isOpen.value) return
    list.current?.querySelector('button')?.focus()
    const onDown = (event: PointerEvent) => {
      if (!holder.current?.contains(event.target as Node)) close(false)
    }
    addEventListener('pointerdown', onDown)
    return () => removeEventListener('pointerdown', onDown)
  }, [isOpen.value])
  const onKeyDown = (event: KeyboardEvent) => {
    if (!isOpen.value) return
    if (event.key === 'Escape') {
      event.stopPropagation()
      close()
    }
    if (event.key === 'Tab') close(false)
    if (event.key !== 'ArrowDown' && event.key !== 'ArrowUp') return
    event.preventDefault()
    const buttons = [...(list.current?.querySelectorAll('button') ?? [])]
    const at = buttons.indexOf(document.activeElement as HTMLButtonElement)
    buttons.at((at + (event.key === 'ArrowDown' ? 1 : -1)) % buttons.length)?.focus()
  }
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: the keys belong to the menu inside
    <div class="menu" ref={holder} onKeyDown={onKeyDown}>
      <button
        type="button"
        class="quiet menu-button"
        aria-label={label}
        aria-haspopup="menu"
        aria-expanded={isOpen.value}
        onClick={() => {
          isOpen.value = !isOpen.value
        }}
      >
        <Icon name="more" />
      </button>
      {isOpen.value && (
        <div class="menu-list" role="menu" aria-label={label} ref={list}>
          {items.map(({ name, icon, isBad, act }) => (
            <button
              key={name}
              type="button"
              role="menuitem"
              tabIndex={-1}
              class={isBad ? 'bad' : undefined}
              onClick={() => {
                close()
                act()
              }}
            >
              <Icon name={icon} /> {name}
            </button>
          ))}
        </div>
      )}
    </div>
  )
}
