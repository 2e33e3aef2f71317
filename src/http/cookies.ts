import { deleteCookie, setCookie } from 'hono/cookie'
import type { Ctx } from './context.ts'
import { ACCESS_COOKIE, cookieOptions, REFRESH_COOKIE, setAccessCookie } from './guard.ts'

/** Both tokens of a session as cookies. The refresh token's path is `/` too: it renews the other on the way. */
export function setSessionCookies(
  c: Ctx,
  { accessToken, refreshToken, sessionS }: { accessToken: string; refreshToken: string; sessionS: number },
): void {
  setAccessCookie(c, accessToken)
  setCookie(c, REFRESH_COOKIE, refreshToken, { ...cookieOptions(c, '/'), maxAge: sessionS })
}

export function clearSessionCookies(c: Ctx): void {
  for (const name of [ACCESS_COOKIE, REFRESH_COOKIE]) deleteCookie(c, name, cookieOptions(c, '/'))
}
