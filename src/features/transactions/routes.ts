import { createRoute, type z } from '@hono/zod-openapi'
import { createMiddleware } from 'hono/factory'
import { Failure } from '../../core/failure.ts'
import type { App } from '../../http/context.ts'
import { type Ctx, defer } from '../../http/context.ts'
import {
  ADMINISTRATOR,
  answer,
  BODY,
  body,
  IDEMPOTENT,
  IdempotencyHeader,
  refusals,
  SIGNED_IN,
} from '../../http/contract.ts'
import { answerOrFile, csvFile, MOST_ROWS, wantsCsv } from '../../http/csv.ts'
import { guard } from '../../http/guard.ts'
import { onceOf } from '../../http/idempotency.ts'
import { USUAL_ROWS } from '../../http/page.ts'
import { createRouter } from '../../http/router.ts'
import { publish } from '../feeds/bus.ts'
import { auditFor } from './audit.ts'
import { countersFor } from './counters.ts'
import {
  AllQuery,
  Audit,
  Booked,
  Counters,
  Entry,
  OnePath,
  OwnQuery,
  TopUp,
  Transaction,
  TransactionPage,
} from './schema.ts'
import { bookFor, type Counter, listAll, listOwn, read, topUp } from './service.ts'

const tags = ['transactions']

/** Stands before the body is looked at: what is closed is closed for every body. */
const requireSelfTopUp = createMiddleware<App>(async (c, next) => {
  if (!c.var.services.env.SELF_TOP_UP)
    throw new Failure('self_top_up_closed', 'An administrator books credits here.')
  await next()
})

const makeOwn = createRoute({
  operationId: 'makeOwnTransaction',
  tags,
  summary: 'Buy credits',
  description:
    'Credits the own account. Only where the service runs with `SELF_TOP_UP=on`; elsewhere an administrator books.',
  method: 'post',
  path: '/my/make',
  ...guard.person,
  middleware: [...guard.person.middleware, requireSelfTopUp],
  request: { headers: IdempotencyHeader, body: body(TopUp) },
  responses: {
    201: answer('Booked.', Booked),
    ...refusals(...SIGNED_IN, 'self_top_up_closed', ...BODY, ...IDEMPOTENT, 'balance_too_large'),
  },
})

const make = createRoute({
  operationId: 'makeTransaction',
  tags,
  summary: "Book on anybody's account",
  description:
    'Credits or debits an account by the type of the transaction. What open holds take cannot be debited: `available` never becomes negative.',
  method: 'post',
  path: '/make',
  ...guard.administrator,
  request: { headers: IdempotencyHeader, body: body(Entry) },
  responses: {
    201: answer('Booked.', Booked),
    ...refusals(
      ...ADMINISTRATOR,
      ...BODY,
      ...IDEMPOTENT,
      'user_not_found',
      'balance_would_be_negative',
      'balance_too_large',
    ),
  },
})

const my = createRoute({
  operationId: 'listOwnTransactions',
  tags,
  summary: 'Own transactions',
  description: [
    'Newest first, filtered by type and time: `from` is part of the range, `to` is not. Their amounts sum up to the',
    'balance, always.',
    '',
    'With `Accept: text/csv` they come as a file, up to 10,000 rows unless `limit` asks for fewer.',
  ].join('\n'),
  method: 'get',
  path: '/my',
  ...guard.person,
  request: { query: OwnQuery },
  responses: {
    200: answerOrFile(
      'A page.',
      TransactionPage,
      'uid,userUid,amount,type,description,balanceAfter,generationUid,createdAt\r\n019abf6e-7c1d-7a53-9d0e-3f1f6a0c2b11,019abf6e-7c1d-7a53-9d0e-3f1f6a0c2b12,10.5,PURCHASE,Top-up by card,10.5,,2026-11-22T09:30:00.000Z\r\n',
      { Link: 'Where the rest is, `rel="next"`, of a file that does not hold all that was asked for.' },
    ),
    ...refusals(...SIGNED_IN, 'invalid_request'),
  },
})

const all = createRoute({
  operationId: 'listAllTransactions',
  tags,
  summary: "Everybody's transactions",
  description: 'Newest first, filtered by person, type and time: `from` is part of the range, `to` is not.',
  method: 'get',
  path: '/all',
  ...guard.administrator,
  request: { query: AllQuery },
  responses: { 200: answer('A page.', TransactionPage), ...refusals(...ADMINISTRATOR, 'invalid_request') },
})

const info = createRoute({
  operationId: 'readTransaction',
  tags,
  summary: 'One transaction',
  description: "One's own; an administrator sees everybody's. Another person's does not exist.",
  method: 'get',
  path: '/info/{transactionUid}',
  ...guard.person,
  request: { params: OnePath },
  responses: {
    200: answer('It.', Transaction),
    ...refusals(...SIGNED_IN, 'invalid_request', 'transaction_not_found'),
  },
})

const reconcile = createRoute({
  operationId: 'auditTransactions',
  tags,
  summary: 'Do the books agree',
  description:
    'Holds balances against transactions, holds against running answers, keys against what they paid for, charges against answers, messages and chats, and looks for what nobody finished and for what is gone while others stand on it. Reads only, one snapshot: a healthy service shows no difference however busy it is.',
  method: 'get',
  path: '/audit',
  ...guard.administrator,
  responses: { 200: answer('What was found.', Audit), ...refusals(...ADMINISTRATOR) },
})

const count = createRoute({
  operationId: 'countMoney',
  tags,
  summary: 'What an alarm looks at',
  description:
    'Open holds, what nobody finished, and, of the last hour, failures, estimated usage and shortfalls. The sweep writes the same into the log as `money`.',
  method: 'get',
  path: '/counters',
  ...guard.administrator,
  responses: { 200: answer('The counters.', Counters), ...refusals(...ADMINISTRATOR) },
})

export const transactionRoutes = () =>
  createRouter()
    .openapi(makeOwn, async (c) => {
      return c.json(await topUp(counterOf(c), c.var.actor, c.req.valid('json'), await onceOf(c)), 201)
    })
    .openapi(make, async (c) => {
      return c.json(await bookFor(counterOf(c), c.var.actor, c.req.valid('json'), await onceOf(c)), 201)
    })
    .openapi(my, async (c) => {
      const { db } = c.var.services
      const { limit, cursor, ...filter } = c.req.valid('query')
      const isFile = wantsCsv(c)
      const request = { limit: limit ?? (isFile ? MOST_ROWS : USUAL_ROWS), cursor }
      const page = await listOwn(db, c.var.actor, request, filter)
      return isFile ? statement(c, page) : c.json(page, 200)
    })
    .openapi(all, async (c) => {
      const { db } = c.var.services
      const { limit, cursor, ...filter } = c.req.valid('query')
      return c.json(await listAll(db, c.var.actor, filter, { limit, cursor }), 200)
    })
    .openapi(reconcile, async (c) => {
      const { db } = c.var.services
      return c.json(await auditFor(db, c.var.actor), 200)
    })
    .openapi(count, async (c) => {
      const { db } = c.var.services
      return c.json(await countersFor(db, c.var.actor), 200)
    })
    .openapi(info, async (c) => {
      const { db } = c.var.services
      return c.json(await read(db, c.var.actor, c.req.valid('param').transactionUid), 200)
    })

const statement = (c: Ctx, { data, nextCursor }: z.output<typeof TransactionPage>): Response =>
  csvFile(c, {
    name: 'transactions.csv',
    columns: Transaction.keyof().options,
    rows: data,
    nextCursor,
  })

const counterOf = (c: Ctx): Counter => {
  const { db, redis } = c.var.services
  return {
    db,
    announce: (userUid, event, outboxUid) => defer(c, publish(redis, userUid, [event], { outboxUid })),
  }
}
