import { builtinEnvironments, type Environment } from 'vitest/runtime'
import type { Stack } from '../../dev/stack.ts'

/** What a process of the tests is given once, and what it leaves behind when it ends: nothing. */
export default {
  ...builtinEnvironments.node,
  name: 'stack',
  async setup(global, options) {
    const { teardown } = await builtinEnvironments.node.setup(global, options)
    return {
      async teardown(of) {
        // Killed in the middle of ending its workerds, as it would be after half a second, a process leaves some behind.
        const { testStack } = globalThis as { testStack?: Promise<Stack> }
        await (await testStack?.catch(() => undefined))?.close()
        await teardown(of)
      },
    }
  },
} satisfies Environment
