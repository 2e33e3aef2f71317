import argon2Module from '@phi-ag/argon2/argon2.wasm'
import { createApp } from './app.ts'
import { newId } from './core/id.ts'
import { readEnv } from './env.ts'
import { createPasswords } from './features/auth/passwords.ts'
import { createIdentity } from './features/auth/service.ts'
import type { Services } from './http/context.ts'
import { createLog } from './http/log.ts'
import { connectPostgres } from './ports/postgres.ts'
import { connectRedis } from './ports/redis.ts'
import { sweepOnSchedule } from './sweep.ts'

type Open = { app: ReturnType<typeof createApp>; services: Services }
let opened: Open | undefined

/** Once an isolate: the configuration is checked, the clients and the routes are made. */
function open(bindings: Record<string, unknown>): Open {
  const env = readEnv(bindings)
  const db = connectPostgres(env.DATABASE_URL, env.NEON_HTTP_ENDPOINT)
  const redis = connectRedis(env.UPSTASH_REDIS_REST_URL, env.UPSTASH_REDIS_REST_TOKEN)
  const services = {
    env,
    db,
    redis,
    identity: createIdentity(env, db, redis),
    passwords: createPasswords(argon2Module, env.PASSWORD_COST),
  }
  return { app: createApp(services), services }
}

export default {
  fetch(
    request: Request,
    bindings: Record<string, unknown>,
    execution: ExecutionContext,
  ): Response | Promise<Response> {
    opened ??= open(bindings)
    return opened.app.fetch(request, bindings, execution)
  },
  async scheduled(event: { scheduledTime: number }, bindings: Record<string, unknown>): Promise<void> {
    opened ??= open(bindings)
    await sweepOnSchedule(opened.services, createLog({ sweep: newId() }), new Date(event.scheduledTime))
  },
}
