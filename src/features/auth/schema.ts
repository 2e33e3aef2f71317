import { z } from '@hono/zod-openapi'
import { GivenPassword, Mail, Name, NewPassword, Phone, Profile, Role } from '../users/schema.ts'
import { ACCESS_TOKEN_S } from './tokens.ts'

export const Registration = z
  .strictObject({
    firstName: Name,
    lastName: Name,
    mail: Mail,
    phone: Phone.optional(),
    role: Role.default('USER').openapi({ description: 'ADMIN only where ADMIN_REGISTRATION allows it.' }),
    password: NewPassword,
  })
  .openapi('Registration', {
    example: { firstName: 'Ada', lastName: 'Lovelace', mail: 'ada@example.com', password: 'correct horse' },
  })
export type Registration = z.output<typeof Registration>

export const Credentials = z
  .strictObject({ mail: Mail.optional(), phone: Phone.optional(), password: GivenPassword })
  .refine(
    ({ mail, phone }) => (mail === undefined) !== (phone === undefined),
    'must hold either mail or phone',
  )
  .openapi('Credentials', { example: { mail: 'ada@example.com', password: 'correct horse' } })
export type Credentials = z.output<typeof Credentials>

/** In a body that may be left out altogether: a browser sends the cookie instead. */
export const RefreshTokenIn = z
  .strictObject({ refreshToken: z.string().min(1).max(4096).optional() })
  .openapi('RefreshTokenIn', { example: { refreshToken: 'eyJhbGciOiJIUzI1NiIs…' } })

export const SignedIn = z
  .object({
    user: Profile,
    accessToken: z.string().openapi({ example: 'eyJhbGciOiJIUzI1NiIs…' }),
    refreshToken: z.string().openapi({ example: 'eyJhbGciOiJIUzI1NiIs…' }),
    expiresIn: z
      .number()
      .int()
      .openapi({ example: ACCESS_TOKEN_S, description: 'Seconds that the access token lives.' }),
  })
  .openapi('SignedIn')
export type SignedIn = z.output<typeof SignedIn>

export const Ticket = z
  .object({ ticket: z.string(), expiresIn: z.number().int() })
  .openapi('Ticket', { example: { ticket: 'b2s0t2Yx3h1mQm0yq1w5f8Qk9u7v4c6d2e1a0z9y8x7', expiresIn: 30 } })
