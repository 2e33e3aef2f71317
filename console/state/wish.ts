/**
 * The Idempotency-Key of what somebody enters: the same entry sent again is the same wish, until it was granted.
 */
export function createWish() {
  let made = { entry: '', key: '' }
  return {
    keyOf(entry: string): string {
      if (made.entry !== entry) made = { entry, key: crypto.randomUUID() }
      return made.key
    },
    granted(): void {
      made = { entry: '', key: '' }
    },
  }
}
