// Swagger UI over our own document. Whoever registers or signs in on this page is authorized by that; the token stays
// in the page's memory, and a later visit goes on by the cookies that came with it.
const SIGNING_IN = /\/api\/auth\/(register|login|refresh)$/

function learn(response) {
  if (!response.ok || !response.url) return response
  const { pathname } = new URL(response.url)
  const authorized = window.ui.authSelectors.authorized()
  // An administrator who registers somebody else stays who they are.
  const isOther = pathname.endsWith('/register') && authorized.has('bearer')
  if (SIGNING_IN.test(pathname) && !isOther)
    window.ui.preauthorizeApiKey('bearer', JSON.parse(response.text).accessToken)
  if (pathname === '/api/auth/logout') window.ui.authActions.logout(['bearer'])
  const { key } = pathname === '/api/key/create' ? JSON.parse(response.text) : {}
  if (key) window.ui.preauthorizeApiKey('key', key)
  return response
}

fetch('/openapi.json')
  .then((answer) => answer.text())
  .then((text) => {
    window.ui = window.SwaggerUIBundle({
      dom_id: '#swagger-ui',
      // The lines to be copied name the place that this page came from.
      spec: JSON.parse(text.replaceAll('http://localhost:8000', location.origin)),
      deepLinking: true,
      tryItOutEnabled: true,
      displayRequestDuration: true,
      responseInterceptor: learn,
      // The public validator is another host.
      validatorUrl: null,
    })
  })
