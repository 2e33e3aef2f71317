/** Texts, names, spellings and headers that have broken other programs. */
import type { Credential } from './drafts.ts'

const list = (text: string): string[] => text.split('   ')

export const TEXTS = [
  ...[
    '',
    ' ',
    '\u0000',
    'a\u0000b',
    '\ud800',
    'a\udfffb',
    '\ufeff',
    '\u202e',
    '\u2028',
    'İ',
    '\u{10ffff}',
    '\\',
  ],
  ...list(
    `' OR '1'='1   '; DROP TABLE users; --   $1   %   _   "   {{7*7}}   \${7*7}   <%= 7*7 %>   |id   //x`,
  ),
  ...list('<script>alert(1)</script>   ../../etc/passwd   ..\\..\\win.ini   file:///etc/passwd   %2e%2e%2f'),
  ...list(
    '%0d%0aX: 1   %00   %s%n   =1+1   @SUM(1)   javascript:alert(1)   http://[::1]/   0000-00-00   true',
  ),
  ...list(
    'http://169.254.169.254/latest   NaN   Infinity   -0   1e308   0x10   2147483648   null   undefined',
  ),
  ...list('__proto__   constructor   toString   then   [object Object]   🏳️‍🌈   x@y.example   +31201234567'),
  ...['a\r\nSet-Cookie: x=1', '🙂'.repeat(300), 'x'.repeat(5_000), '9'.repeat(400), 'e\u0301'.repeat(500)],
]

/** As they stand in JSON. */
export const NUMBERS = [
  ...list('1e308   -1e308   1e309   1e-320   -0   0.0000001   99999999999999999999   9007199254740993   0'),
  ...list('2147483648   -2147483649   0.1e1   1E400   -1   1.5   1e21   0.1234567   123456789012345678'),
]

/** Names of members that a careless merge would take to heart. */
export const ODD_NAMES = [
  ...list(
    '__proto__   constructor   prototype   toString   hasOwnProperty   then   a.b   $ne   🙂   role   status',
  ),
  ...list('balance   uid   userUid   isAdministrator   held   model   stream_options   tools   functions'),
  ...['', 'a\u0000b', 'x'.repeat(300)],
]

/** Segments that a router might take for something else; they go out as they stand. */
export const SEGMENTS = [
  ...list(
    '..   .   %2e%2e   ..%2f..%2fuser%2fall   %2F   %5c   %00   %ff   %c0%af   %   %zz   %ed%a0%80   *   +',
  ),
  ...list(
    'all   sse   my   info   profile   {chatUid}   :uid   a;b=c   a%20b   %F0%9F%99%82   ~   @   $   //   a/b/c',
  ),
  ...list('019ABF6E-7C1D-7A53-9D0E-3F1F6A0C2B11   00000000-0000-0000-0000-000000000000   %0d%0aX-Evil:%201'),
  ...["'%20OR%20'1'='1", '%3Cscript%3E', '', 'x'.repeat(4_000), '%25'.repeat(500)],
]

export const QUERIES = [
  ...list(
    'limit   cursor   search   stream   by   scope   userUid   type   lastEventId   ticket   __proto__   %',
  ),
  ...list('limit[]   limit[0]   access_token   token   key   from   to'),
  ...['', 'a'.repeat(200)],
]

export const METHODS = list('GET   POST   PUT   PATCH   DELETE   HEAD   OPTIONS   PROPFIND   TRACE')

export const CREDENTIALS: Credential[] = [
  ...(['none', 'cut', 'refresh token', 'other door', 'expired', 'doubled', 'cookie'] as const),
]

/** Types of a body. */
export const TYPES = [
  ...list(
    'text/plain   application/json, text/plain   application/json;charset=utf-16   application/jsonx   */*',
  ),
  ...list(
    'application/problem+json   multipart/form-data   application/json; boundary="x   application/   %00',
  ),
  ...list('application/vnd.api+json   application/json;   text/json'),
  ...['', ' application/json ', 'a/b;'.repeat(200)],
]

export const HEADERS: [string, string[]][] = [
  [
    'Accept',
    ['', '*', ...list('text/event-stream;q=0   text/csv;q=abc   /   a/b,,,'), 'text/csv;'.repeat(300)],
  ],
  ['Accept-Encoding', list('gzip, br   deflate   *')],
  [
    'X-Request-Id',
    ['', 'a b', 'x'.repeat(129), ...list('<script>   %0d%0aSet-Cookie: a=b   é   ../../x   fine-1')],
  ],
  ['Idempotency-Key', ['', ' ', 'x'.repeat(256), ...list("é   a b   __proto__   ' OR 1=1   twice")]],
  [
    'Last-Event-ID',
    ['', 'x'.repeat(3_000), '-1', 'é', '0199f6e27c1d7a539d0e3f1f6a0c2b11-9999999999999999999'],
  ],
  ['Origin', ['', ...list('null   https://evil.example   http://127.0.0.1   file://')]],
  [
    'Cookie',
    [`access_token=${'x'.repeat(3_000)}`, ...list('access_token=   a=b; a=c; =; ;;   %=%   refresh_token=é')],
  ],
  [
    'CF-Connecting-IP',
    ['x'.repeat(500), ...list('::   1.2.3.4   fe80::1%eth0   :::   1:2:3:4:5:6:7:8:9   é')],
  ],
  ['X-Forwarded-For', list("127.0.0.1   ::1, 1.2.3.4   ' OR 1=1")],
  ['X-Forwarded-Host', ['evil.example']],
  ['X-HTTP-Method-Override', ['DELETE', 'PUT']],
  ['X-Original-URL', ['/api/user/all']],
  ['Content-Encoding', list('gzip   br   identity   x')],
  ['Range', list('bytes=0-1   bytes=-1')],
  ['If-None-Match', ['*']],
  ['Sec-Fetch-Site', ['cross-site']],
]
