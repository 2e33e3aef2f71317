import { bigint, timestamp, uuid } from 'drizzle-orm/pg-core'

/** A UUIDv7 made by the application: Postgres before 18 has no `uuidv7()`. */
export const uid = (name: string) => uuid(name)

/** Micro-credits (or seats, or anything counted): at most 10^15, so a JavaScript number holds it exactly. */
export const count = (name: string) => bigint(name, { mode: 'number' })

export const instant = (name: string) => timestamp(name, { withTimezone: true, mode: 'date' })
