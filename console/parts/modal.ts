import { useLayoutEffect, useRef } from 'preact/hooks'

/**
 * Shows a dialog element modally while it is rendered, and gives the focus back to what had it before, or, when that
 * has gone meanwhile, to the page.
 */
export function useModal() {
  const dialog = useRef<HTMLDialogElement>(null)
  useLayoutEffect(() => {
    const before = document.activeElement
    const { current } = dialog
    current?.showModal()
    return () => {
      current?.close()
      requestAnimationFrame(() => {
        if (document.activeElement !== document.body) return
        const main = document.getElementById('main')
        const isThere = before instanceof HTMLElement && before !== document.body && before.isConnected
        const next = isThere ? before : (main?.querySelector('textarea') ?? main)
        next?.focus()
      })
    }
  }, [])
  return dialog
}
