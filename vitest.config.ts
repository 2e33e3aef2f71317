import { defineConfig } from 'vitest/config'

// Two processes, each with a stack of its own (Postgres, Redis, workerd), which is the expensive part and is kept from
// file to file. Within a process the files take turns: tests that count requests at the bridges must hear no others.
// Much of the time is waiting, which two do beside each other.
export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/browser/**'],
    globalSetup: ['test/support/setup.ts'],
    environment: './test/support/environment.ts',
    pool: 'forks',
    isolate: false,
    maxWorkers: 2,
    testTimeout: 180_000,
    hookTimeout: 60_000,
    // A busy machine is late, not wrong.
    expect: { poll: { timeout: 30_000 } },
  },
})
