export interface Endpoints {
  completions: string
  models: string
}

/**
 * The two addresses behind a model's `api_link`: an OpenAI-compatible base URL (with or without a slash at
 * its end) or the full …/chat/completions. A query string is kept on both, a fragment is not.
 * Throws a TypeError for what is not a URL.
 */
export function endpointsOf(apiLink: string): Endpoints {
  const url = new URL(apiLink)
  url.hash = ''
  const path = url.pathname.replace(/\/+$/, '')
  const base = path.replace(/\/chat\/completions$/, '')
  const at = (tail: string): string => {
    url.pathname = base + tail
    return url.href
  }
  return { completions: at('/chat/completions'), models: at('/models') }
}
