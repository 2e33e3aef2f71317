/** What can be seen of an address without asking anybody: each says why it cannot be used, and never shows it. */

/** Of Postgres, to read after its key; undefined when it is fine. */
export function faultOfDatabase(text: string): string | undefined {
  // Neon's driver reads it as one of http, which takes less than the scheme of Postgres does.
  const asHttp = text.replace(/^postgres(ql)?:/, 'http:')
  if (asHttp !== text && URL.canParse(text) && URL.canParse(asHttp)) {
    const { username, hostname, pathname } = new URL(asHttp)
    if (username && hostname && pathname !== '/') return
  }
  return 'is not an address, as postgres://USER:PASSWORD@HOST/DATABASE is one. Percent-encode what stands in the password'
}

/** Of a service over HTTP, the same. */
export function faultOfHttp(text: string): string | undefined {
  if (!/^https?:\/\//i.test(text) || !URL.canParse(text)) return 'is not an address. One begins with https://'
  const { username, password } = new URL(text)
  return username || password ? 'holds a name or a password, which a request cannot have' : undefined
}
