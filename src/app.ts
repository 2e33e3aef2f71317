import type { OpenAPIHono } from '@hono/zod-openapi'
import { authRoutes } from './features/auth/routes.ts'
import { chatRoutes } from './features/chats/routes.ts'
import { assertChat } from './features/chats/service.ts'
import { chatSnapshot, chatsSnapshot } from './features/chats/snapshots.ts'
import { docsRoutes } from './features/docs/routes.ts'
import { feedRoutes } from './features/feeds/routes.ts'
import { gatewayRoutes } from './features/gateway/routes.ts'
import { healthRoutes } from './features/health/routes.ts'
import { keyRoutes } from './features/keys/routes.ts'
import { modelRoutes } from './features/models/routes.ts'
import { transactionRoutes } from './features/transactions/routes.ts'
import { balanceSnapshot } from './features/transactions/snapshot.ts'
import { usageRoutes } from './features/usage/routes.ts'
import { userRoutes } from './features/users/routes.ts'
import type { App, Services } from './http/context.ts'
import {
  keepPrivate,
  observe,
  readOn,
  refuseLargeBodies,
  refuseManyValues,
  secure,
} from './http/middleware.ts'
import { onError, onNotFound } from './http/problem.ts'
import { createRouter } from './http/router.ts'

/** The floor plan: what every request passes, in order, and which room answers under which path. */
export function createApp(services: Services): OpenAPIHono<App> {
  const app = createRouter()
  app.onError(onError)
  app.notFound(onNotFound)

  app.use(observe(services))
  app.use(secure(services.env))
  app.use('/api/*', keepPrivate, readOn, refuseLargeBodies(1024 * 1024), refuseManyValues)

  app.route('/', healthRoutes())
  app.route('/', docsRoutes())
  // Before the chats: /api/chat/sse is no chat.
  app.route(
    '/',
    feedRoutes({ chat: chatSnapshot, chats: chatsSnapshot, balance: balanceSnapshot, assertChat }),
  )
  app.route('/api/auth', authRoutes())
  app.route('/api/user', userRoutes())
  app.route('/api/model', modelRoutes())
  app.route('/api/transaction', transactionRoutes())
  app.route('/api/chat', chatRoutes())
  app.route('/api/usage', usageRoutes())
  app.route('/api/key', keyRoutes())
  app.route('/v1', gatewayRoutes())
  return app
}
