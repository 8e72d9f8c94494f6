// `npm test`: set up what is missing, then run every test. Arguments go to vitest: `npm test -- packages/optim`.
import { join } from 'node:path'
import { runNode } from './lib/run.mjs'
import { root, setup, setupEmulation } from './lib/setup.mjs'

setup()
setupEmulation()
process.exitCode = runNode(join(root, 'node_modules/vitest/vitest.mjs'), ['run', ...process.argv.slice(2)], {
  cwd: root,
})
