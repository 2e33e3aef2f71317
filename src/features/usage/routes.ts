import { createRoute } from '@hono/zod-openapi'
import { refusals, SIGNED_IN } from '../../http/contract.ts'
import { answerOrFile, csvFile, wantsCsv } from '../../http/csv.ts'
import { guard } from '../../http/guard.ts'
import { createRouter } from '../../http/router.ts'
import { columnsOf, Usage, UsageQuery } from './schema.ts'
import { report } from './service.ts'

const read = createRoute({
  operationId: 'readUsage',
  tags: ['usage'],
  summary: 'What was used',
  description: [
    'Requests, failures, tokens and credits of a range: by `day`, by `model`, by `key`, or by day and one of the other',
    'two. Your own; an administrator may ask for one person (`userUid`) or for everybody (`scope=all`).',
    '',
    'Counted are answers that have ended, on the day in UTC on which they were asked: one that still runs is not there',
    'yet, and what was refused before a model was called is no request. `from` is part of the range, `to` is not; both',
    'default to the last 30 days, today included, and are at most 366 days apart.',
    '',
    'By day there is a row for every day of the range, oldest first, also for those without a request. All others have',
    'a row for what was used alone, the dearest first, within each day where there are days.',
    '',
    'With `Accept: text/csv` the rows come as a file, without the total.',
  ].join('\n'),
  method: 'get',
  path: '/',
  ...guard.person,
  request: { query: UsageQuery },
  responses: {
    200: answerOrFile(
      'The figures.',
      Usage,
      'day,requests,failures,promptTokens,completionTokens,totalTokens,cachedTokens,reasoningTokens,credits\r\n2026-11-22,42,1,12800,5120,17920,0,640,17.92\r\n',
      { 'X-Truncated': '`true` on a file that leaves out rows, as `truncated` in JSON.' },
    ),
    ...refusals(...SIGNED_IN, 'forbidden', 'invalid_request'),
  },
})

export const usageRoutes = () =>
  createRouter().openapi(read, async (c) => {
    const usage = await report(c.var.services.db, c.var.actor, c.req.valid('query'))
    if (!wantsCsv(c)) return c.json(usage, 200)
    const days = [usage.from, usage.to].map((at) => at.slice(0, 10)).join('-')
    return csvFile(c, {
      name: `usage-by-${usage.by.replace(',', '-')}-${days}.csv`,
      columns: columnsOf(usage.by),
      rows: usage.data,
      truncated: usage.truncated,
    })
  })
