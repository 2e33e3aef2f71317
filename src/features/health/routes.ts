import { createRoute, z } from '@hono/zod-openapi'
import { sql } from 'drizzle-orm'
import { answer, refusals } from '../../http/contract.ts'
import { guard } from '../../http/guard.ts'
import { createRouter } from '../../http/router.ts'
import { ask } from '../../ports/postgres.ts'

const Alive = z.object({ status: z.literal('ok') }).openapi('Alive')
const Ready = z
  .object({ status: z.enum(['ok', 'degraded']), postgres: z.literal('ok'), redis: z.enum(['ok', 'away']) })
  .openapi('Ready')

const health = createRoute({
  operationId: 'health',
  tags: ['health'],
  summary: 'Is the process alive',
  description: 'Touches nothing but the process itself.',
  method: 'get',
  path: '/health',
  ...guard.anyone,
  responses: { 200: answer('It is.', Alive), ...refusals('method_not_allowed') },
})

const ready = createRoute({
  operationId: 'ready',
  tags: ['health'],
  summary: 'Can it do its work',
  description:
    'Asks Postgres and Redis. Without Postgres nothing works (503); without Redis sending and charging still do, so the answer is 200 `degraded`.',
  method: 'get',
  path: '/ready',
  ...guard.anyone,
  responses: { 200: answer('It can.', Ready), ...refusals('method_not_allowed') },
})

export const healthRoutes = () =>
  createRouter()
    .openapi(health, (c) => c.json({ status: 'ok' as const }, 200))
    .openapi(ready, async (c) => {
      const { db, redis } = c.var.services
      const [pong] = await Promise.all([redis.ping().catch(() => undefined), ask(db.execute(sql`SELECT 1`))])
      const away = pong === undefined
      return c.json(
        {
          status: away ? ('degraded' as const) : ('ok' as const),
          postgres: 'ok' as const,
          redis: away ? ('away' as const) : ('ok' as const),
        },
        200,
      )
    })
