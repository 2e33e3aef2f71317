import fc from 'fast-check'
import ipaddr from 'ipaddr.js'
import { describe, expect, test } from 'vitest'
import { checkLink } from '../../../src/features/models/link.ts'

const strictly = (link: string) => checkLink(link, { privateAllowed: false }).ok
const privately = (link: string) => checkLink(link, { privateAllowed: true }).ok

describe('checkLink', () => {
  test.each([
    'https://api.openai.com/v1',
    'https://api.openai.com/v1/chat/completions',
    'https://openrouter.ai/api/v1/',
    'https://res.openai.azure.com/openai/deployments/x?api-version=2024-10-21',
    'https://api.example.com:8443/v1',
    'https://8.8.8.8/v1',
    'https://134744072/v1',
    'https://[2606:4700:4700::1111]/v1',
    'HTTPS://API.OPENAI.COM/v1',
    'https://xn--mnchen-3ya.de/v1',
    'https://my_service.example.com',
    'https://internal.example.com',
    'https://local.example.com',
  ])('allows %s in both modes', (link) => {
    expect(strictly(link)).toBe(true)
    expect(privately(link)).toBe(true)
  })

  test.each([
    'http://localhost:11434/v1',
    'https://localhost/v1',
    'http://app.localhost/v1',
    'http://127.0.0.1:8000/v1',
    'http://127.1:8000',
    'http://2130706433/',
    'http://0x7f000001/',
    'http://0177.0.0.1/',
    'http://%31%32%37.0.0.1/',
    'http://127。0。0。1/',
    'http://127.0.0.1./',
    'http://10.1.2.3/v1',
    'http://172.16.0.1/v1',
    'http://172.31.255.255/v1',
    'http://192.168.1.10:1234/v1',
    'http://100.64.1.1/v1',
    'http://[::1]:8000/v1',
    'http://[fd12:3456::1]/v1',
    'http://ollama:11434/v1',
    'http://my_service:8080/v1',
    'https://llm/v1',
    'http://host.docker.internal:1234/v1',
    'http://nas.local/v1',
    'http://box.home.arpa/v1',
    'http://router.lan/v1',
  ])('allows %s with PRIVATE_UPSTREAMS only', (link) => {
    expect(strictly(link)).toBe(false)
    expect(privately(link)).toBe(true)
  })

  test.each([
    // not what it should be
    '',
    'api.openai.com/v1',
    '/v1',
    'ftp://api.openai.com',
    'file:///etc/passwd',
    'data:text/plain,hello',
    'javascript:alert(1)',
    'ws://localhost',
    'https://user:pass@api.openai.com/v1',
    'https://user@api.openai.com/v1',
    'https://:pass@api.openai.com/v1',
    'https://api.openai.com/v1#part',
    'https://api.openai.com/v1#',
    'https://api.openai.com\\@10.0.0.1/v1',
    ' https://api.openai.com/v1',
    'https://api.open\nai.com/v1',
    'https://api.openai.com/v1\t',
    `https://api.openai.com/${'x'.repeat(2048)}`,
    // names
    'https://api.openai.com./v1',
    'https://localhost./v1',
    'https://a..b.com/',
    'https://-a.com/',
    `https://${'a'.repeat(64)}.com/`,
    'https://a,b.com/',
    'http://metadata/computeMetadata/v1/',
    'http://metadata.google.internal/',
    'http://METADATA.google.internal/',
    'http://metadata.google.internal./',
    'http://instance-data/latest',
    'http://metadata.goog/',
    'https://metadata.tencentyun.com/',
    // IPv4
    'http://0.0.0.0:8000/',
    'http://0/',
    'http://169.254.169.254/latest/meta-data/',
    'http://2852039166/',
    'http://0xa9fea9fe/',
    'http://0xa9.0xfe.0xa9.0xfe/',
    'http://0251.0376.0251.0376/',
    'http://169.254.43518/',
    'http://169.254.170.2/',
    'http://100.100.100.200/',
    'http://192.0.0.192/',
    'https://168.63.129.16/',
    'https://192.0.2.1/',
    'https://198.18.0.1/',
    'https://224.0.0.1/',
    'https://255.255.255.255/',
    // IPv6
    'http://[::]/',
    'http://[fe80::1]/',
    'http://[febf::1]/',
    'http://[fec0::1]/',
    'http://[fe80::1%25eth0]/',
    'http://[fd00:ec2::254]/',
    'http://[fd20:ce::254]/',
    'http://[fd00:42::42]/',
    'http://[::ffff:127.0.0.1]/',
    'http://[::ffff:169.254.169.254]/',
    'http://[::ffff:a9fe:a9fe]/',
    'http://[::169.254.169.254]/',
    'http://[::127.0.0.1]/',
    'http://[::ffff:0:127.0.0.1]/',
    'http://[64:ff9b::169.254.169.254]/',
    'http://[64:ff9b:1::a9fe:a9fe]/',
    'http://[2002:a9fe:a9fe::]/',
    'http://[2002:7f00:1::]/',
    'http://[2001:0:a9fe:a9fe::]/',
    'http://[2001:db8::1]/',
    'http://[ff02::1]/',
    'http://[100::1]/',
    'http://[4000::1]/',
  ])('refuses %j in both modes', (link) => {
    expect(strictly(link)).toBe(false)
    expect(privately(link)).toBe(false)
    expect(strictly(link.replace(/^http:/, 'https:'))).toBe(false)
  })

  test('a public name or address is never called in the clear', () => {
    for (const link of [
      'http://api.openai.com/v1',
      'http://8.8.8.8/v1',
      'http://[2606:4700:4700::1111]/v1',
    ]) {
      expect(strictly(link)).toBe(false)
      expect(privately(link)).toBe(false)
    }
  })

  test('the reason never repeats the link', () => {
    for (const link of ['https://user:hunter2@x.com', 'http://hunter2.com', 'https://hunter2', 'hunter2']) {
      const check = checkLink(link, { privateAllowed: false })
      expect(check.ok ? '' : check.reason).not.toContain('hunter2')
    }
  })
})

/** The spellings that resolvers and parsers take for one IPv4 address. */
function spell(octets: number[], notation: number): string {
  const [a = 0, b = 0, c = 0, d = 0] = octets
  const whole = ((a << 24) | (b << 16) | (c << 8) | d) >>> 0
  const octal = (n: number) => `0${n.toString(8)}`
  const hex = (n: number) => `0x${n.toString(16)}`
  const high = whole.toString(16).padStart(8, '0')
  const groups = `${high.slice(0, 4)}:${high.slice(4)}`
  const spellings = [
    `${a}.${b}.${c}.${d}`,
    String(whole),
    hex(whole),
    `0${whole.toString(8)}`,
    [a, b, c, d].map(octal).join('.'),
    [a, b, c, d].map(hex).join('.'),
    `${a}.${octal(b)}.${hex(c)}.${d}`,
    `${a}.${(b << 16) | (c << 8) | d}`,
    `${a}.${b}.${(c << 8) | d}`,
    `${a}.${b}.${c}.${d}.`,
    `${a}。${b}。${c}。${d}`,
    [...`${a}.${b}.${c}.${d}`].map((char) => `%${char.charCodeAt(0).toString(16)}`).join(''),
    `[::ffff:${a}.${b}.${c}.${d}]`,
    `[0:0:0:0:0:ffff:${groups}]`,
    `[::${a}.${b}.${c}.${d}]`,
    `[64:ff9b::${groups}]`,
    `[2002:${groups}::1]`,
  ]
  return spellings[notation % spellings.length]!
}

const octet = fc.integer({ min: 0, max: 255 })
const notation = fc.integer({ min: 0, max: 16 })
const within = (...head: number[]) =>
  fc.tuple(octet, octet, octet, octet).map((tail) => [...head, ...tail].slice(0, 4))
const port = fc.option(fc.integer({ min: 1, max: 65_535 }), { nil: undefined })
const linkTo = (scheme: string, host: string, at: number | undefined) =>
  `${scheme}://${host}${at === undefined ? '' : `:${at}`}/v1`

const notGlobal = fc.oneof(
  within(127),
  within(10),
  within(192, 168),
  within(169, 254),
  within(0),
  fc.tuple(fc.integer({ min: 16, max: 31 }), octet, octet).map(([b, c, d]) => [172, b, c, d]),
  fc.tuple(fc.integer({ min: 64, max: 127 }), octet, octet).map(([b, c, d]) => [100, b, c, d]),
  fc.tuple(fc.integer({ min: 224, max: 255 }), octet, octet, octet).map((all) => [...all]),
)

describe('checkLink, by chance', () => {
  test('no address outside the global ranges passes, in any notation', () => {
    fc.assert(
      fc.property(notGlobal, notation, port, fc.constantFrom('http', 'https'), (octets, how, at, scheme) => {
        expect(strictly(linkTo(scheme, spell(octets, how), at))).toBe(false)
      }),
      { numRuns: 5_000 },
    )
  })

  test('link-local never passes, even where private upstreams are allowed', () => {
    fc.assert(
      fc.property(
        within(169, 254),
        notation,
        port,
        fc.constantFrom('http', 'https'),
        (octets, how, at, scheme) => {
          expect(privately(linkTo(scheme, spell(octets, how), at))).toBe(false)
        },
      ),
      { numRuns: 2_000 },
    )
  })

  test('every IPv4 address that passes is unicast by the registry of ipaddr.js', () => {
    fc.assert(
      fc.property(fc.tuple(octet, octet, octet, octet), notation, (octets, how) => {
        fc.pre(strictly(linkTo('https', spell([...octets], how), undefined)))
        expect(ipaddr.parse(octets.join('.')).range()).toBe('unicast')
      }),
      { numRuns: 5_000 },
    )
  })

  test('every IPv6 address that passes is unicast by the registry of ipaddr.js', () => {
    const heads = [
      '2001',
      '2002',
      '2000',
      '2606',
      '3fff',
      'fd00',
      'fe80',
      'fc00',
      'ff02',
      '64',
      '0',
      '100',
      '5f00',
    ]
    const group = fc.integer({ min: 0, max: 0xffff }).map((n) => n.toString(16))
    const some = fc.oneof(fc.constantFrom('0', 'db8', 'ff9b', 'ec2', 'ffff', '10', '20', '4f'), group)
    fc.assert(
      fc.property(
        fc.oneof(fc.constantFrom(...heads), group),
        fc.array(some, { minLength: 7, maxLength: 7 }),
        (head, rest) => {
          const address = [head, ...rest].join(':')
          const range = ipaddr.parse(address).range()
          const plain = `https://[${address}]/v1`
          if (strictly(plain)) expect(range).toBe('unicast')
          if (privately(plain)) expect(['unicast', 'uniqueLocal', 'loopback']).toContain(range)
        },
      ),
      { numRuns: 5_000 },
    )
  })
})
