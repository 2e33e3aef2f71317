import { defineConfig } from 'vitest/config'
import { root } from '../../dev/root.ts'

/** `npm run test:browser`: real pages in Debian's Chromium, over a stack of their own. */
export default defineConfig({
  root,
  test: {
    include: ['test/browser/**/*.test.ts'],
    globalSetup: ['test/support/setup.ts'],
    pool: 'forks',
    isolate: false,
    fileParallelism: false,
    maxWorkers: 1,
    testTimeout: 180_000,
    hookTimeout: 60_000,
    // A busy machine is late, not wrong.
    expect: { poll: { timeout: 30_000 } },
  },
})
