/** A service with a past behind a bridge that explains what it is asked: by which ways the database went. */
import { Client } from 'pg'
import { migrate } from '../../dev/migrate.ts'
import { startNeonBridge } from '../../dev/neon.ts'
import {
  createScratchDatabase,
  type Engine,
  postgresEngine,
  type Statement,
} from '../../dev/postgres-engine.ts'
import { connectPostgres, type Database } from '../../src/ports/postgres.ts'
import { fill } from './history.ts'

const ANY = 'postgres://local:local@localhost/local'

interface Node {
  'Node Type': string
  'Relation Name'?: string
  'Shared Hit Blocks': number
  'Shared Read Blocks': number
  Plans?: Node[]
}

/** What a walk of the service asked of the database. */
export interface Cost {
  /** Tables that a plan reads from end to end. */
  scanned: string[]
  /** Pages, of tables and indexes, that its statements and the functions they call touched. */
  buffers: number
}

const scannedIn = ({ Plans = [], ...node }: Node): string[] => [
  ...(node['Node Type'] === 'Seq Scan' ? [node['Relation Name'] ?? ''] : []),
  ...Plans.flatMap(scannedIn),
]

/** Explains statements as one transaction that is taken back. */
async function explain(client: Client, statements: Statement[]): Promise<Cost> {
  const cost: Cost = { scanned: [], buffers: 0 }
  await client.query('BEGIN')
  try {
    for (const { text, params } of statements) {
      const { rows } = await client.query(`EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) ${text}`, params)
      const plan: Node = rows[0]['QUERY PLAN'][0].Plan
      cost.scanned.push(...scannedIn(plan))
      cost.buffers += plan['Shared Hit Blocks'] + plan['Shared Read Blocks']
    }
  } finally {
    await client.query('ROLLBACK')
  }
  return cost
}

export interface Explained {
  client: Client
  /** What all that `walk` asks costs. */
  costOf(walk: (db: Database) => Promise<unknown>): Promise<Cost>
  close(): Promise<void>
}

/** @param isFew a table of a few pages is read whole and joined by a hash, which is cheap there and says nothing of more */
export async function explained(adminUrl: string, people: number, isFew: boolean): Promise<Explained> {
  const scratch = await createScratchDatabase(adminUrl)
  const engine = postgresEngine({ connectionString: scratch.url })
  const client = new Client({ connectionString: scratch.url })
  await client.connect()
  let cost: Cost | undefined
  const explaining: Engine = {
    async run(request) {
      if (cost) {
        // Twice: the first time reads what the session did not know of the catalog yet.
        await explain(client, request.statements)
        const { scanned, buffers } = await explain(client, request.statements)
        cost.scanned.push(...scanned)
        cost.buffers += buffers
      }
      return engine.run(request)
    },
    close: engine.close,
  }
  const bridge = await startNeonBridge({ engine: explaining })
  await migrate({ connectionString: ANY, endpoint: bridge.url })
  await fill(client, people)
  if (isFew)
    for (const way of ['seqscan', 'hashjoin', 'mergejoin']) await client.query(`SET enable_${way} = off`)
  return {
    client,
    async costOf(walk) {
      const counted: Cost = { scanned: [], buffers: 0 }
      cost = counted
      await walk(connectPostgres(ANY, bridge.url))
      cost = undefined
      return counted
    },
    async close() {
      await bridge.close()
      await client.end()
      await engine.close()
      await scratch.drop()
    },
  }
}
