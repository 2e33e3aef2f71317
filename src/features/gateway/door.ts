import { sql } from 'drizzle-orm'
import type { DoorHold, DoorSettle } from '../inference/door.ts'

const nothing = sql`nothing AS (SELECT)`
const none = sql`NULL::uuid`

/**
 * What a program adds to the hold: the model by its name. It writes no rows of its own and keeps no text. Whether the
 * prompt fits the model is for the upstream to say: the estimate is too rough to refuse what may well fit.
 */
export const gatewayHold = (model: string, promptTokens: number): DoorHold => ({
  name: 'gateway',
  place: sql`asked AS (SELECT uid FROM models WHERE name = ${model}::text AND deleted_at IS NULL)`,
  modelUid: sql`(SELECT uid FROM asked)`,
  ctes: sql`prompt AS (SELECT ${promptTokens}::int AS tokens, true AS fits)`,
  missing: sql`false`,
  missingCode: 'message_not_found',
  busyWith: none,
  writes: nothing,
  result: sql`NULL::json`,
  chatUid: none,
  userMessageUid: none,
  messageUid: none,
})

export const gatewaySettle: DoorSettle = () => ({ writes: nothing, result: sql`NULL::jsonb` })
