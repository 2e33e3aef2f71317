export type LinkCheck = { ok: true; url: URL } | { ok: false; reason: string }

const LONGEST_LINK = 2048

/**
 * Whether the service may call an `api_link`; asked when it is saved and again when it is called. Pure: a name is
 * judged as it is written, so what DNS makes of a public name is not seen (a stated limit).
 * The URL parser has already turned every notation of an address (decimal, octal, hex, short, percent-encoded,
 * full-width) into one. `privateAllowed` is PRIVATE_UPSTREAMS: own networks, by plain http too.
 * @returns the parsed URL, or a reason that reads after the words "api_link"
 */
export function checkLink(link: string, { privateAllowed }: { privateAllowed: boolean }): LinkCheck {
  const refuse = (reason: string): LinkCheck => ({ ok: false, reason })
  // The parser would drop white space and turn backslashes round: what is stored must be what is called.
  if (link.length > LONGEST_LINK || /[\u0000-\u0020\u007f-\u00a0\\]/.test(link) || !URL.canParse(link))
    return refuse(`must be a URL of at most ${LONGEST_LINK} characters`)
  const url = new URL(link)
  if (url.protocol !== 'https:' && url.protocol !== 'http:') return refuse('must begin with https://')
  if (url.username || url.password) return refuse('must not hold credentials; use auth_token')
  if (link.includes('#')) return refuse('must not have a fragment')
  const reach = reachOf(url.hostname)
  if (reach === 'never') return refuse('must lead to a public name or address')
  if (reach === 'private' && !privateAllowed)
    return refuse('must lead to a public name or address (PRIVATE_UPSTREAMS is off)')
  if (reach === 'public' && url.protocol !== 'https:') return refuse('must begin with https://')
  return { ok: true, url }
}

type Reach = 'public' | 'private' | 'never'

function reachOf(hostname: string): Reach {
  if (hostname.startsWith('[')) return reachOfAddress(bitsOfV6(hostname.slice(1, -1)), v6)
  if (/^\d+\.\d+\.\d+\.\d+$/.test(hostname)) return reachOfAddress(bitsOfV4(hostname), v4)
  return reachOfName(hostname)
}

const LABEL = /^[a-z\d_]([a-z\d_-]{0,61}[a-z\d_])?$/

/** Names that answer inside a cloud only, with the credentials of the machine. */
const METADATA_NAMES = new Set([
  'metadata',
  'instance-data',
  'metadata.google.internal',
  'metadata.goog',
  'instance-data.ec2.internal',
  'metadata.azure.internal',
  'metadata.tencentyun.com',
  'metadata.platformequinix.com',
  'metadata.packet.net',
])

/** Names below these never stand in public DNS (RFC 6761, 6762, 8375, ICANN's .internal, and old customs). */
const PRIVATE_ZONES =
  /(^|\.)(localhost|local|internal|home\.arpa|localdomain|lan|home|corp|intranet|private)$/

/** A final dot is one more spelling of the same name, which no one needs here. */
function reachOfName(name: string): Reach {
  const labels = name.split('.')
  if (name.length > 253 || !labels.every((label) => LABEL.test(label))) return 'never'
  if (METADATA_NAMES.has(name) || name.endsWith('.metadata.google.internal')) return 'never'
  return labels.length === 1 || PRIVATE_ZONES.test(name) ? 'private' : 'public'
}

/** An address as a text of bits, so that lying in a range is starting with its prefix. */
const bitsOf = (numbers: number[], width: number): string =>
  numbers.map((number) => number.toString(2).padStart(width, '0')).join('')

const bitsOfV4 = (address: string): string => bitsOf(address.split('.').map(Number), 8)

/** Of IPv6 as the URL parser writes it: hexadecimal groups, at most one `::`, no dotted tail. */
function bitsOfV6(address: string): string {
  const [head = '', tail = ''] = address.split('::')
  const groups = (text: string) =>
    text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16))
  const [front, back] = [groups(head), groups(tail)]
  return bitsOf([...front, ...Array<number>(8 - front.length - back.length).fill(0), ...back], 16)
}

interface Ranges {
  /** In no mode: link-local, metadata, and what is not one machine's address. */
  never: string[]
  private: string[]
  /** Where global addresses lie at all. */
  global: string[]
}

const ranges = (bits: (address: string) => string, of: Ranges): Ranges => {
  const prefix = (cidr: string): string => {
    const [address = '', length = ''] = cidr.split('/')
    return bits(address).slice(0, Number(length))
  }
  return { never: of.never.map(prefix), private: of.private.map(prefix), global: of.global.map(prefix) }
}

function reachOfAddress(bits: string, { never, private: own, global }: Ranges): Reach {
  const within = (prefix: string) => bits.startsWith(prefix)
  if (never.some(within)) return 'never'
  if (own.some(within)) return 'private'
  return global.some(within) ? 'public' : 'never'
}

// IANA's special-purpose registries, less what they call globally reachable and ordinary.
const v4 = ranges(bitsOfV4, {
  never: [
    '0.0.0.0/8',
    '169.254.0.0/16', // link-local; metadata of most clouds
    '100.100.100.200/32', // metadata of Alibaba
    '168.63.129.16/32', // Azure's host, from a public range
    '192.0.0.0/24', // protocol assignments; .192 is metadata of Oracle
    '192.0.2.0/24', // documentation, with the next two
    '198.51.100.0/24',
    '203.0.113.0/24',
    '192.31.196.0/24', // AS112, with 192.175.48.0/24
    '192.175.48.0/24',
    '192.52.193.0/24', // multicast tunnels (AMT)
    '192.88.99.0/24', // old 6to4 relays
    '198.18.0.0/15', // benchmarks
    '224.0.0.0/3', // multicast, reserved, broadcast
  ],
  private: ['127.0.0.0/8', '10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10'],
  global: ['0.0.0.0/0'],
})

// Whatever embeds an IPv4 address (mapped, compatible, NAT64, 6to4, Teredo) is outside `global` or in `never`.
const v6 = ranges(bitsOfV6, {
  never: [
    'fd00:ec2::/32', // metadata, time and DNS of AWS
    'fd20:ce::/32', // metadata of Google
    'fd00:42::42/128', // metadata of Scaleway
    '2001::/23', // protocol assignments: Teredo, benchmarks, ORCHID
    '2001:db8::/32', // documentation, with 3fff::/20
    '3fff::/20',
    '2002::/16', // 6to4
    '2620:4f:8000::/48', // AS112
    '3ffe::/16', // returned by the 6bone
  ],
  private: ['::1/128', 'fc00::/7'],
  global: ['2000::/3'],
})
