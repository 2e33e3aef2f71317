import { swaggerUI } from '@hono/swagger-ui'
import { createMiddleware } from 'hono/factory'
import type { App } from '../../http/context.ts'
import { createRouter } from '../../http/router.ts'

/** Everything comes from this host. Swagger UI draws its icons as data: images. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ')

const strictPolicy = createMiddleware<App>(async (c, next) => {
  await next()
  c.res.headers.set('Content-Security-Policy', POLICY)
})

// The settings stand in public/docs.js: as the library renders them they would be an inline script, which the
// policy forbids.
const page = `<link rel="stylesheet" href="/swagger-ui/swagger-ui.css" />
<main id="swagger-ui"></main>
<script src="/swagger-ui/swagger-ui-bundle.js"></script>
<script src="/docs.js"></script>`

/** The page that shows openapi.json. A page for people, so it is no operation of the document. */
export const docsRoutes = () =>
  createRouter().get(
    '/docs',
    strictPolicy,
    swaggerUI({ title: 'bothub-edge: API', url: '/openapi.json', manuallySwaggerUIHtml: () => page }),
  )
