/** A person, models whose upstreams do as they are told, and what the database says of both. */
import { sql } from 'drizzle-orm'
import { connectPostgres } from '../../../src/ports/postgres.ts'
import { startTurns, type Turn, type Turns } from '../../support/turns.ts'
import { type Person, world } from '../../support/world.ts'

export interface Reply {
  status: number
  headers: Headers
  body: any
}

interface Rest {
  failures: number
  /** How long it still rests; null when it does not. */
  seconds: number | null
}

export async function makeRoom() {
  const at = await world()
  const db = connectPostgres('postgres://local:local@localhost/local', at.neon.url)
  const person = await at.richPerson(1_000)
  const upstreams: Turns[] = []

  async function modelOf(...turns: Turn[]) {
    const upstream = await startTurns(...turns)
    upstreams.push(upstream)
    const { modelUid } = await at.model({ api_link: upstream.link })
    return { upstream, modelUid }
  }
  const chatOf = async (by = person) =>
    (await by.post<{ chatUid: string }>('/api/chat/create', {})).body.chatUid
  const sendTo = (modelUid: string, chatUid: string, by: Person = person): Promise<Reply> =>
    by.post('/api/chat/message', { role: 'user', message: 'Are you there?', chatUid, modelUid })

  return {
    ...{ at, db, person, modelOf, chatOf, sendTo },
    ask: async (modelUid: string) => sendTo(modelUid, await chatOf()),
    messagesOf: async (chatUid: string): Promise<any[]> =>
      (await person.get<{ data: unknown[] }>(`/api/chat/${chatUid}/messages`)).body.data,
    account: async () => (await person.get<any>('/api/user/profile')).body,
    generations: async (modelUid: string): Promise<any[]> =>
      (
        await db.execute<any>(sql`SELECT g.status, g.failure_code, g.failure_detail, g.cost::int, g.hold::int,
          (SELECT count(*)::int FROM transactions t WHERE t.generation_uid = g.uid) AS charges
          FROM generations g WHERE model_uid = ${modelUid}::uuid ORDER BY created_at`)
      ).rows,
    restOf: async (modelUid: string): Promise<Rest> =>
      (
        await db.execute<any>(sql`SELECT consecutive_failures AS failures,
          extract(epoch FROM cooldown_until - now())::float8 AS seconds
          FROM models WHERE uid = ${modelUid}::uuid`)
      ).rows[0],
    /** As if its rest were over. */
    endRest: (modelUid: string) =>
      db.execute(sql`UPDATE models SET cooldown_until = clock_timestamp() - interval '1 millisecond'
        WHERE uid = ${modelUid}::uuid AND cooldown_until IS NOT NULL`),
    close: () => {
      for (const upstream of upstreams) upstream.close()
    },
  }
}

export type Room = Awaited<ReturnType<typeof makeRoom>>
