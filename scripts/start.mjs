// `npm start`: set up what is missing, then run the main job on the embedded data.
import { join } from 'node:path'
import { runNode } from './lib/run.mjs'
import { root, setup } from './lib/setup.mjs'

setup()
process.exitCode = runNode(join(root, 'packages/cli/bin/imago.js'), ['demo', ...process.argv.slice(2)])
