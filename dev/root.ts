import { fileURLToPath } from 'node:url'

/** The project's folder, whatever folder a command was started in; no slash at the end. */
export const root = fileURLToPath(new URL('..', import.meta.url)).replace(/[\\/]$/, '')
