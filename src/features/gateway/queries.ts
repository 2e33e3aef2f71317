import { sql } from 'drizzle-orm'
import type { Database } from '../../ports/postgres.ts'

/** Registered by hand, one by one: more are not expected, and clients know no pages here. */
const MOST = 10_000

/** The models that a key may ask, by name: all of them, or the one of that name. */
export const modelsOf = (db: Database, digest: string, name?: string) =>
  db.execute<{ id: string; created: string }>(sql`
    SELECT m.name AS id, floor(extract(epoch FROM m.created_at))::bigint AS created FROM models m, keys k
    WHERE k.digest = ${digest}::text AND m.deleted_at IS NULL AND m.enabled
      AND (k.model_uids IS NULL OR m.uid = ANY (k.model_uids))
      AND m.name = coalesce(${name ?? null}::text, m.name)
    ORDER BY m.name LIMIT ${MOST}::int`)
