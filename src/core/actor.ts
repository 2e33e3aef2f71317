export type Role = 'USER' | 'ADMIN'

/** Who acts: proved by an access token. `role` is the token's word; administrators' routes ask the database. */
export interface Actor {
  userUid: string
  sessionUid: string
  role: Role
}
