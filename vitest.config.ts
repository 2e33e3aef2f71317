import { defineConfig } from 'vitest/config'

// One process, one stack, files in turn: the stack (Postgres, Redis, workerd) is the expensive part, and
// tests that count requests at its bridges must not hear each other.
export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/browser/**'],
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
