import { computed, signal } from '@preact/signals'
import type { Money } from '../wire/events.ts'

/** The account as the newest word about it says. */
export const money = signal<Money>({ balance: 0, available: 0, seq: -1 })
/** What running answers hold. */
export const held = computed(() =>
  Math.max(0, Math.round((money.value.balance - money.value.available) * 1e6) / 1e6),
)
/** Grows with every booking: views that list bookings look again. */
export const bookings = signal(0)

/** Words about the account may overtake each other: `seq` tells which is the newest. */
export function takeMoney({ balance, available, seq }: Money): void {
  if (seq >= money.value.seq) money.value = { balance, available, seq }
}

/** A balance without its place in the order: the feed's word will follow, this one is only sooner. */
export function takeBalance(balance: number): void {
  const { available, ...rest } = money.value
  const more = balance - rest.balance
  if (more > 0) money.value = { ...rest, balance, available: Math.round((available + more) * 1e6) / 1e6 }
}
