import { signal } from '@preact/signals'

export type Theme = 'system' | 'light' | 'dark'
const chosen = localStorage.getItem('theme')

export const theme = signal<Theme>(chosen === 'light' || chosen === 'dark' ? chosen : 'system')

/** On a phone the list of chats lies over the page. */
export const isListOpen = signal(false)
export const isPaletteOpen = signal(false)
export const isTopUpOpen = signal(false)

export function setTheme(next: Theme): void {
  theme.value = next
  if (next === 'system') {
    localStorage.removeItem('theme')
    delete document.documentElement.dataset.theme
  } else {
    localStorage.setItem('theme', next)
    document.documentElement.dataset.theme = next
  }
}
