import type { Actor } from '../../core/actor.ts'
import { Failure } from '../../core/failure.ts'
import type { Passwords } from '../../http/context.ts'
import { type PageRequest, page } from '../../http/page.ts'
import { batch, batchAs, type Database, lockAccount, standing, violated } from '../../ports/postgres.ts'
import { lockAdministrators } from './administrators.ts'
import { type ProfileRow, presentProfile } from './profile.ts'
import {
  anonymise,
  changeProfile,
  endOtherSessions,
  endSessionsOf,
  eraseTraces,
  manageUser,
  passwordHashOf,
  profileOf,
  replaceHash,
  stopRunningOf,
  usersBy,
} from './queries.ts'
import type { Profile, ProfileChange, User, UserChange } from './schema.ts'

/** The person's own profile. One round trip. */
export async function read(db: Database, actor: Actor): Promise<Profile> {
  const [{ rows }] = await batchAs(db, actor, [profileOf(db, actor.userUid)])
  return presentProfile(rows[0]!.profile)
}

/**
 * Changes the person's own profile. One round trip.
 * @throws mail_taken, phone_taken
 */
export async function change(db: Database, actor: Actor, fields: ProfileChange): Promise<Profile> {
  const { userUid } = actor
  const [, { rows }] = await namesTaken(
    batchAs(db, actor, [changeProfile(db, userUid, fields), profileOf(db, userUid)]),
  )
  return presentProfile(rows[0]!.profile)
}

/** The constraints decide who was first; this gives their verdict its name. */
export async function namesTaken<Result>(writing: Promise<Result>): Promise<Result> {
  try {
    return await writing
  } catch (error) {
    const constraint = violated(error)
    if (constraint === 'users_mail_key') throw new Failure('mail_taken')
    if (constraint === 'users_phone_key') throw new Failure('phone_taken')
    throw error
  }
}

/**
 * A new password; every session but the actor's ends in the same transaction.
 * @throws bad_credentials when the current one is wrong, or was changed meanwhile
 */
export async function changePassword(
  db: Database,
  passwords: Passwords,
  actor: Actor,
  { currentPassword, newPassword }: { currentPassword: string; newPassword: string },
): Promise<void> {
  const { userUid, sessionUid } = actor
  const [{ rows }] = await batchAs(db, actor, [passwordHashOf(db, userUid)])
  const old = rows[0]?.hash ?? null
  if (!(await passwords.fits(currentPassword, old)) || old === null)
    throw new Failure('bad_credentials', 'The current password is another.')
  const fresh = await passwords.hash(newPassword)
  const [replaced] = await batchAs(db, actor, [
    replaceHash(db, userUid, old, fresh),
    endOtherSessions(db, userUid, sessionUid, fresh),
  ])
  if (!replaced.rows[0]) throw new Failure('bad_credentials', 'The password was changed meanwhile.')
}

/**
 * Closes the person's account for good: one transaction over all that is the person's, so that nothing of it can
 * stay behind. Locks in the order of the house: administrators, account, the rest.
 * @returns the answers that were asked to stop
 * @throws last_administrator
 */
export async function close(db: Database, actor: Actor): Promise<string[]> {
  const { userUid } = actor
  const [, , , anonymised, , stopping] = await batch(db, [
    lockAdministrators(db),
    lockAccount(db, userUid),
    // Behind the locks: of two closings the second finds its session ended.
    standing(db, actor),
    anonymise(db, userUid),
    endSessionsOf(db, userUid),
    stopRunningOf(db, userUid),
    ...eraseTraces(db, userUid),
  ])
  if (!anonymised.rows[0]) throw new Failure('last_administrator')
  return messagesIn(stopping.rows)
}

/** Answers that were asked to stop. */
const messagesIn = (rows: { messageUid: string | null }[]): string[] =>
  rows.map(({ messageUid }) => messageUid).filter((uid) => uid !== null)

/** Everybody, newest first, for an administrator. */
export async function list(
  db: Database,
  administrator: Actor,
  { search, ...request }: PageRequest & { search?: string | undefined },
): Promise<{ data: User[]; nextCursor: string | null }> {
  const [{ rows }] = await batchAs(db, administrator, [usersBy(db, search, request)], {
    administrator: true,
  })
  const { data, nextCursor } = page(rows, request.limit, ({ profile, at }) => ({ at, uid: profile.uid }))
  return { data: data.map((row) => presentUser(row.profile)), nextCursor }
}

/**
 * An administrator changes somebody's role or blocks and unblocks. Blocking ends the sessions and asks running
 * answers to stop; behind the account's lock, so that a send which was let in before is stopped too.
 * @throws user_not_found, last_administrator
 */
export async function manage(
  db: Database,
  administrator: Actor,
  userUid: string,
  fields: UserChange,
): Promise<{ user: User; stopping: string[] }> {
  const [, , { rows }, , stopping] = await batchAs(
    db,
    administrator,
    [
      lockAdministrators(db),
      lockAccount(db, userUid),
      manageUser(db, userUid, fields),
      endSessionsOf(db, userUid),
      stopRunningOf(db, userUid),
    ],
    { administrator: true },
  )
  const { found, profile } = rows[0]!
  if (!found) throw new Failure('user_not_found')
  if (!profile) throw new Failure('last_administrator')
  return { user: presentUser(profile), stopping: messagesIn(stopping.rows) }
}

const presentUser = (row: ProfileRow): User => ({ ...presentProfile(row), status: row.status })
