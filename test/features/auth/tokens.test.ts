import { UnsecuredJWT } from 'jose'
import { describe, expect, test } from 'vitest'
import { newId } from '../../../src/core/id.ts'
import { createTokens, type SessionState } from '../../../src/features/auth/tokens.ts'
import { claimsOf } from './records.ts'

const secrets = { JWT_ACCESS_SECRET: ['a'.repeat(48)], JWT_REFRESH_SECRET: ['r'.repeat(48)] }
const tokens = createTokens(secrets)
const actor = { userUid: newId(), sessionUid: newId(), role: 'USER' as const }
const now = Math.floor(Date.now() / 1000)
const state: SessionState = { ...actor, generation: 3, rotatedAt: now, expiresAt: now + 3600 }

const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')

describe('tokens', () => {
  test('say who acts, for 15 minutes', async () => {
    const token = await tokens.signAccess(actor)
    expect(await tokens.readAccess(token)).toEqual(actor)
    const { iat, exp, ...claims } = claimsOf(token)
    expect(claims).toEqual({
      sub: actor.userUid,
      sid: actor.sessionUid,
      role: 'USER',
      iss: 'bothub-edge',
      aud: 'bothub-edge/api',
    })
    expect(Number(exp) - Number(iat)).toBe(900)
  })

  test('the same state of a session gives the same refresh token, another state another', async () => {
    const token = await tokens.signRefresh(state)
    expect(await createTokens(secrets).signRefresh({ ...state })).toBe(token)
    expect(await tokens.signRefresh({ ...state, generation: 4 })).not.toBe(token)
    expect(await tokens.readRefresh(token)).toEqual({
      userUid: actor.userUid,
      sessionUid: actor.sessionUid,
      generation: 3,
    })
  })

  test('one kind is not the other, even under one secret', async () => {
    const same = createTokens({ JWT_ACCESS_SECRET: ['s'.repeat(48)], JWT_REFRESH_SECRET: ['s'.repeat(48)] })
    for (const made of [tokens, same]) {
      expect(await made.readRefresh(await made.signAccess(actor))).toBeUndefined()
      expect(await made.readAccess(await made.signRefresh(state))).toBeUndefined()
    }
  })

  test('forged ones are nothing', async () => {
    const token = await tokens.signAccess(actor)
    const [head, body, signature] = token.split('.') as [string, string, string]
    const claims = claimsOf(token)
    const stranger = createTokens({ ...secrets, JWT_ACCESS_SECRET: ['b'.repeat(48)] })
    const forged = {
      'alg none': new UnsecuredJWT(claims).encode(),
      'alg none with our typ': `${encode({ alg: 'none', typ: 'at+jwt' })}.${body}.`,
      'no signature': `${head}.${body}.`,
      'another algorithm in the head': `${encode({ alg: 'HS512', typ: 'at+jwt' })}.${body}.${signature}`,
      'another typ in the head': `${encode({ alg: 'HS256', typ: 'JWT' })}.${body}.${signature}`,
      'another role': `${head}.${encode({ ...claims, role: 'ADMIN' })}.${signature}`,
      'another key': await stranger.signAccess(actor),
      'cut short': token.slice(0, -2),
      'very long': `${token}${'A'.repeat(5000)}`,
      empty: '',
      dots: '..',
    }
    for (const [name, text] of Object.entries(forged))
      expect([name, await tokens.readAccess(text), await tokens.sessionOf(text)]).toEqual([
        name,
        undefined,
        undefined,
      ])
  })

  test('rightly signed ones with another audience, issuer, typ, role, id or no expiry are nothing', async () => {
    const { SignJWT } = await import('jose')
    const key = new TextEncoder().encode(secrets.JWT_ACCESS_SECRET[0])
    const good = claimsOf(await tokens.signAccess(actor))
    const sign = (changes: Record<string, unknown>, typ = 'at+jwt', alg = 'HS256') =>
      new SignJWT(JSON.parse(JSON.stringify({ ...good, ...changes })))
        .setProtectedHeader({ alg, typ })
        .sign(key)
    expect(await tokens.readAccess(await sign({}))).toEqual(actor)
    for (const changes of [
      { aud: 'bothub-edge/refresh' },
      { aud: undefined },
      { iss: 'someone' },
      { role: 'OWNER' },
      { role: undefined },
      { sub: 'me' },
      { sid: undefined },
      { exp: undefined },
      { exp: now - 1 },
    ])
      expect([changes, await tokens.readAccess(await sign(changes))]).toEqual([changes, undefined])
    expect(await tokens.readAccess(await sign({}, 'JWT'))).toBeUndefined()
    expect(await tokens.readAccess(await sign({}, 'at+jwt', 'HS512'))).toBeUndefined()
  })

  test('an expired one still names its session, for signing out', async () => {
    const token = await tokens.signRefresh({ ...state, expiresAt: now - 60 })
    expect(await tokens.readRefresh(token)).toBeUndefined()
    expect(await tokens.sessionOf(token)).toEqual({ userUid: actor.userUid, sessionUid: actor.sessionUid })
  })

  test('a secret is replaced in two steps, and nobody is signed out', async () => {
    const fresh = 'n'.repeat(48)
    const both = createTokens({
      JWT_ACCESS_SECRET: [fresh, ...secrets.JWT_ACCESS_SECRET],
      JWT_REFRESH_SECRET: [fresh, ...secrets.JWT_REFRESH_SECRET],
    })
    const after = createTokens({ JWT_ACCESS_SECRET: [fresh], JWT_REFRESH_SECRET: [fresh] })
    expect(await both.readAccess(await tokens.signAccess(actor))).toEqual(actor)
    expect(await both.readRefresh(await tokens.signRefresh(state))).toMatchObject({ generation: 3 })
    expect(await after.readAccess(await both.signAccess(actor))).toEqual(actor)
    expect(await after.readRefresh(await both.signRefresh(state))).toMatchObject({ generation: 3 })
    expect(await after.readAccess(await tokens.signAccess(actor))).toBeUndefined()
  })
})
