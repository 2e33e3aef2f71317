import { z } from '@hono/zod-openapi'
import { wellFormed } from '../../core/text.ts'
import { Credits, Instant, Line, Text, Uid } from '../../http/contract.ts'
import { PageQuery, pageOf } from '../../http/page.ts'

export const Name = Line(1, 100).openapi({ example: 'Ada' })

/** Kept in lower case, so that one address is one account. 254 is what an SMTP path leaves (RFC 5321). */
export const Mail = z
  .string()
  .transform((text) => wellFormed(text).trim())
  .pipe(z.email().max(254))
  .transform((mail) => mail.toLowerCase())
  .openapi({ type: 'string', format: 'email', maxLength: 254, example: 'ada@example.com' })

/**
 * A number with its country code, as people write it → `+` and 7 to 15 digits (E.164). Spaces, dots, dashes,
 * slashes and brackets fall away, `00` in front is `+`, and a `+` that was left out is added.
 */
export const Phone = z
  .string()
  .max(40)
  .transform((text) => text.replace(/[\s().\-/\u2010-\u2015]/g, '').replace(/^(\+|00)?/, '+'))
  .pipe(
    z.string().regex(/^\+[1-9]\d{6,14}$/, 'must be a phone number with its country code, as +31 20 123 4567'),
  )
  .openapi({ type: 'string', maxLength: 40, example: '+31201234567' })

/** 8 to 128 code points: an emoji is one character. */
export const NewPassword = Text(8, 128).openapi({ format: 'password', example: 'correct horse' })

/** A password to be compared: its rules may have been others when it was chosen. */
export const GivenPassword = Text(1, 1024).openapi({ format: 'password', example: 'correct horse' })

export const Role = z.enum(['USER', 'ADMIN'])

export const Profile = z
  .object({
    uid: Uid,
    firstName: z.string().openapi({ example: 'Ada' }),
    lastName: z.string().openapi({ example: 'Lovelace' }),
    mail: z.string().nullable().openapi({ example: 'ada@example.com' }),
    phone: z.string().nullable().openapi({ example: '+31201234567' }),
    role: Role.openapi({ example: 'USER' }),
    balance: Credits.openapi({ description: 'The sum of all transactions, in credits.' }),
    available: Credits.openapi({ description: 'The balance less what running answers hold, in credits.' }),
    createdAt: Instant,
  })
  .openapi('Profile')
export type Profile = z.output<typeof Profile>

export const User = Profile.extend({
  status: z.enum(['ACTIVE', 'BLOCKED', 'DELETED']).openapi({ example: 'ACTIVE' }),
}).openapi('User')
export type User = z.output<typeof User>

export const UserPage = pageOf(User).openapi('UserPage')

export const UserQuery = PageQuery.extend({
  search: Line(0, 100)
    .optional()
    .openapi({ description: 'A part of the name or of the mail address, in any case.' }),
})

const somethingIn = (fields: object): boolean => Object.values(fields).some((field) => field !== undefined)

export const ProfileChange = z
  .strictObject({
    firstName: Name.optional(),
    lastName: Name.optional(),
    mail: Mail.optional(),
    phone: Phone.nullable()
      .optional()
      .openapi({ type: ['string', 'null'], maxLength: 40 }),
  })
  .refine(somethingIn, 'must hold at least one field')
  .openapi('ProfileChange', { minProperties: 1, example: { firstName: 'Ada', phone: null } })
export type ProfileChange = z.output<typeof ProfileChange>

export const PasswordChange = z
  .strictObject({ currentPassword: GivenPassword, newPassword: NewPassword })
  .openapi('PasswordChange', {
    example: { currentPassword: 'correct horse', newPassword: 'battery staple' },
  })

export const UserChange = z
  .strictObject({ role: Role.optional(), status: z.enum(['ACTIVE', 'BLOCKED']).optional() })
  .refine(somethingIn, 'must hold at least one field')
  .openapi('UserChange', { minProperties: 1, example: { status: 'BLOCKED' } })
export type UserChange = z.output<typeof UserChange>
