/** What openapi.json says beside the routes. `dev/openapi.ts` puts both together. */
export const document = {
  openapi: '3.1.0',
  info: {
    title: 'bothub-edge',
    version: '0.1.0',
    license: { name: 'All rights reserved', identifier: 'LicenseRef-All-Rights-Reserved' },
    description: [
      'A prepaid chat gateway at the edge: register, hold credits, talk to any registered model in stored chats,',
      'watch answers arrive live on any number of screens, and pay exactly for what was produced.',
      '',
      'Credits are JSON numbers with at most 6 decimals. Times are ISO 8601 in UTC. Lists run newest first, by',
      '`limit` and `cursor`. Refusals are RFC 9457 problem documents whose `code` is one of a closed set; every answer',
      'carries `X-Request-Id`.',
    ].join('\n'),
  },
  servers: [{ url: '/', description: 'Where this document came from.' }],
}

export const securitySchemes = {
  bearer: {
    type: 'http',
    scheme: 'bearer',
    bearerFormat: 'JWT',
    description: 'The `accessToken` of a registration, a login or a refresh.',
  },
  cookie: {
    type: 'apiKey',
    in: 'cookie',
    name: 'access_token',
    description: 'Set by the same answers. With it an unsafe method must come from an allowed Origin.',
  },
  ticket: {
    type: 'apiKey',
    in: 'query',
    name: 'ticket',
    description: 'From `POST /api/auth/ticket`; opens feeds and nothing else.',
  },
  key: {
    type: 'http',
    scheme: 'bearer',
    bearerFormat: 'sk-bh-…',
    description: 'An API key, from `POST /api/key/create`; opens `/v1` and nothing else.',
  },
} as const

/** Every tag a route may carry, in the order of the page. */
export const tags = [
  { name: 'auth', description: 'Registration, sign-in, tokens and tickets for live feeds.' },
  { name: 'users', description: "One's own profile; for administrators, all accounts." },
  {
    name: 'transactions',
    description: 'The ledger: credits bought, spent, refunded and adjusted; the balance.',
  },
  {
    name: 'models',
    description: 'Models that administrators registered, at any OpenAI-compatible upstream.',
  },
  { name: 'chats', description: 'Stored chats and their messages, answered by a model and charged by use.' },
  { name: 'keys', description: 'API keys, by which programs use the OpenAI-compatible door.' },
  { name: 'usage', description: 'Requests, tokens and credits, by day, model and key.' },
  { name: 'openai', description: 'The same models for any program that speaks OpenAI’s API, by an API key.' },
  { name: 'feeds', description: 'Live events as Server-Sent Events, resumable without gap or repeat.' },
  { name: 'health', description: 'Liveness and readiness.' },
]
