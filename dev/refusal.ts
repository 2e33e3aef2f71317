/** What a server or a driver said, for people. Its own words may hold what was sent. */
import type { Vars } from './checks.ts'

/** A text of somebody else with every secret of the configuration blotted out. */
export function blot(text: string, vars: Vars): string {
  const secrets = Object.entries(vars).flatMap(([key, value = '']) => {
    if (/SECRET|TOKEN/.test(key)) return [value, ...value.split(',').map((each) => each.trim())]
    if (!/_URL$|_ENDPOINT$/.test(key)) return []
    // As it stands in the address, and as it is. What is no address may hold one all the same.
    const password = URL.canParse(value) ? new URL(value).password : ''
    const [, rest = ''] = /:\/\/[^:@]*:(.*)@/s.exec(value) ?? []
    return [password, unescape(password), rest]
  })
  return secrets
    .filter((secret) => secret.length > 3)
    .toSorted((one, other) => other.length - one.length)
    .reduce((clean, secret) => clean.replaceAll(secret, '…'), text)
}

/** An error of a driver in our words. `address` is the one that was asked. */
export function refusal(error: unknown, address: string, vars: Vars): string {
  const { hostname } = new URL(address)
  const words: string[] = []
  for (let at = error; at instanceof Error; at = at.cause ?? (at as { sourceError?: unknown }).sourceError)
    words.push(at.message, String((at as { code?: string }).code ?? ''))
  const text = words.join(' ')
  if (/password authentication failed|28P01/.test(text))
    return `${hostname} refuses the password. Copy the whole connection string again`
  if (/WRONGPASS|Unauthorized|invalid or missing auth token|\b401\b/i.test(text))
    return `${hostname} refuses the token. Copy it again`
  if (/ENOTFOUND|EAI_AGAIN/.test(text)) return `there is no host ${hostname}. Look for a slip in its name`
  if (/ECONNREFUSED|fetch failed|ECONNRESET|terminated|abort|timeout|other side closed/i.test(text))
    return `${hostname} cannot be reached. Does it run, and may this machine go there?`
  // Blotted before it is cut: half a secret would not be found.
  return `${hostname} refuses: ${blot(text, vars).trim().split('\n')[0]?.slice(0, 200)}`
}
