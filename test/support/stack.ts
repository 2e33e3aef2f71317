import { type Stack, startStack } from '../../dev/stack.ts'
import { realServers } from './servers.ts'

/** Quick passwords and no limits: a test that is about one of these asks for it. */
export const testVars = {
  ADMIN_REGISTRATION: 'open',
  SELF_TOP_UP: 'on',
  PRIVATE_UPSTREAMS: 'on',
  SENDS_PER_MINUTE: '0',
  RUNNING_PER_USER: '0',
  AUTH_PER_MINUTE: '0',
  PASSWORD_COST: '64',
}

const shared = globalThis as { testStack?: Promise<Stack> }

/** The one stack of this process of the tests, with which its workerd ends. */
export function stack(): Promise<Stack> {
  shared.testStack ??= startStack({ ...realServers(), vars: testVars, upstream: true })
  return shared.testStack
}
