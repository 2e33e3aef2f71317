import { inject } from 'vitest'
import type { RealServers } from './setup.ts'

/** The real servers of this process of the tests, if it has any. */
export function realServers(): RealServers {
  const own = inject('servers')[Number(process.env.VITEST_POOL_ID) - 1]
  if (!own) throw new Error('no servers were prepared for this process')
  return own
}
