/** Two real connections that meet at a lock: one holds it and changes something, the service's requests wait at it. */
import { setTimeout as sleep } from 'node:timers/promises'
import { Client } from 'pg'
import { expect } from 'vitest'
import { Watcher } from '../support/watcher.ts'
import { type Person, world } from '../support/world.ts'

/** At 50 ms a token an answer of so many lasts a minute, which is longer than any test. */
const LONG_TOKENS = 1_200
/** Long enough for any machine: whoever does not come by then does not wait at that lock. */
const PATIENCE_MS = 20_000

export const told = ({ status, body }: { status: number; body: any }): string => String(body?.code ?? status)

/** @param url of the database that the service is on */
export async function openMeeting(url: string) {
  const at = await world()
  const [first, watch] = [new Client({ connectionString: url }), new Client({ connectionString: url })]
  await Promise.all([first.connect(), watch.connect()])

  const rows = async (query: string, ...values: unknown[]): Promise<any[]> =>
    (await watch.query(query, values)).rows

  /** The service's connections that wait for a lock. */
  const waiting = async (): Promise<number[]> =>
    (
      await rows(`SELECT pid FROM pg_stat_activity
        WHERE datname = current_database() AND application_name = 'neon-bridge' AND wait_event_type = 'Lock'`)
    ).map(({ pid }) => pid)

  async function until(isSo: () => Promise<boolean>, what: () => Promise<string>): Promise<void> {
    for (const end = Date.now() + PATIENCE_MS; !(await isSo()); ) {
      if (Date.now() > end) throw new Error(await what())
      await sleep(10)
    }
  }

  /**
   * Takes a lock, lets the rivals come, each once the one before it waits, does `meanwhile` on the connection that
   * holds the lock, commits, and gives what came of the rivals.
   */
  async function meetAt<Result>(
    lock: string,
    rivals: (() => Promise<Result>)[],
    meanwhile: (string | (() => Promise<unknown>))[] = [],
  ): Promise<Result[]> {
    await first.query('BEGIN')
    await first.query(lock)
    const running: Promise<Result>[] = []
    try {
      for (const rival of rivals) {
        const came = rival()
        came.catch(() => undefined)
        running.push(came)
        await until(
          async () => (await waiting()).length >= running.length,
          async () => `${(await waiting()).length} of ${running.length} stand at the lock`,
        )
      }
      for (const each of meanwhile) await (typeof each === 'string' ? first.query(each) : each())
    } finally {
      await first.query('COMMIT')
    }
    return Promise.all(running)
  }

  const chatOf = async (person: Person) => (await person.post<any>('/api/chat/create')).body.chatUid as string
  const send = (
    person: Person,
    chatUid: string,
    modelUid: string,
    message = 'hi',
    headers = {},
    maxTokens = 64,
  ) => person.post<any>('/api/chat/message', { role: 'user', message, chatUid, modelUid, maxTokens }, headers)

  return {
    ...{ at, first, rows, waiting, until, meetAt, chatOf, send },
    /** The same at the lock on a person's account. */
    meet: <Result>(
      userUid: string,
      rivals: (() => Promise<Result>)[],
      meanwhile: (string | (() => Promise<unknown>))[] = [],
    ) => meetAt(`SELECT FROM accounts WHERE user_uid = '${userUid}' FOR UPDATE`, rivals, meanwhile),
    /** An answer that has its first words and goes on until it is told to end, which `end` does, or has its tokens. */
    async running(person: Person, tokens = LONG_TOKENS) {
      const { modelUid } = await at.model({ type: 'demo' })
      const chatUid = await chatOf(person)
      const watcher = new Watcher(`${at.url}/api/chat/sse/${chatUid}`, {
        authorization: `Bearer ${person.token}`,
      })
      watcher.open(undefined)
      const answer = send(person, chatUid, modelUid, `[[tokens=${tokens},delay=50]]`, {}, tokens)
      answer.catch(() => undefined)
      const first = () => [...watcher.messages].find(([, { text, status }]) => text && status === 'STREAMING')
      await until(
        async () => first() !== undefined,
        async () => 'it does not run',
      )
      const [messageUid] = first()!
      await watcher.drop()
      const [{ uid }] = await rows('SELECT uid FROM generations WHERE message_uid = $1', messageUid)
      const end = async () => {
        const stop = await person.post<any>('/api/chat/stop', { messageUid })
        expect(stop.status).toBe(202)
        return answer
      }
      return { chatUid, messageUid, uid: uid as string, answer, end }
    },
    /** Its lease is over, with that text saved. */
    expire: (generation: string, text = 'as far as this') =>
      rows(
        `UPDATE generations SET lease_until = clock_timestamp() - interval '1 s', text_so_far = $2 WHERE uid = $1`,
        generation,
        text,
      ),
    async generation(uid: string) {
      const [row] = await rows(
        `SELECT g.*, (SELECT count(*)::int FROM transactions t WHERE t.generation_uid = g.uid) AS charges
        FROM generations g WHERE uid = $1`,
        uid,
      )
      return row
    },
    async accountOf(uid: string) {
      const [row] = await rows(
        `SELECT balance::float8, held::float8,
          (SELECT coalesce(sum(amount), 0)::float8 FROM transactions WHERE user_uid = $1) AS sum,
          (SELECT coalesce(sum(hold), 0)::float8 FROM generations WHERE user_uid = $1 AND status = 'RUNNING') AS holds,
          (SELECT count(*)::int FROM generations WHERE user_uid = $1) AS generations
        FROM accounts WHERE user_uid = $1`,
        uid,
      )
      expect([row.sum, row.holds]).toEqual([row.balance, row.held])
      return row as { balance: number; held: number; generations: number }
    },
    close: () => Promise.all([first.end(), watch.end()]),
  }
}

export type Meeting = Awaited<ReturnType<typeof openMeeting>>
