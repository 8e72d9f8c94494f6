// `npm run conformance`: imago against the ONNX backend tests with gradient references. See docs/results/conformance.md.
import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { setup } from './lib/setup.mjs'

process.on('uncaughtException', (error) => {
  console.error(`conformance: ${error.message}`)
  process.exit(2)
})

const { values: options } = parseArgs({
  options: {
    dir: { type: 'string' },
    out: { type: 'string' },
    only: { type: 'string' },
    parts: { type: 'string', default: 'round trip,structure,gradients' },
    verbose: { type: 'boolean', default: false },
    'no-build': { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})
if (options.help) {
  console.log(`npm run conformance -- [--dir DIR] [--out FILE] [--only TEXT] [--parts "round trip,structure,gradients"] [--verbose]
  --dir      a folder with index.json, or the .tar.gz of one (default: conformance/onnx-backend-tests.tar.gz in IMAGO_DATA_DIR)
  --out      write every case's answer to this JSON file
  --only     only cases whose name contains TEXT
  --verbose  print every case that is refused, too
  Exit code 1 where a gradient is wrong, outputs change behind the passes, or a model does not come back the same.`)
  process.exit(0)
}

if (!options['no-build']) setup()

const { findCases, openCases } = await import('../test/conformance/runner/open-cases.mjs')
const { conformance } = await import('../test/conformance/runner/conformance.mjs')
const { summary, verdict, wrong } = await import('../test/conformance/runner/summary.mjs')

const { IMAGO_DATA_DIR: shared } = process.env
const dir = options.dir ?? (shared && findCases(shared))
if (!dir) throw new Error('say where the cases are: --dir DIR, or IMAGO_DATA_DIR')

let told = Date.now()
const result = await conformance(openCases(dir), {
  parts: options.parts.split(','),
  only: ({ name }) => !options.only || name.includes(options.only),
  progress(done, all) {
    if (Date.now() - told < 10_000) return
    told = Date.now()
    console.error(`${done} of ${all} cases …`)
  },
})
if (options.out) writeFileSync(options.out, `${JSON.stringify(result, undefined, 1)}\n`)
for (const line of summary(result, options)) console.log(line)
console.log(verdict(result))
process.exitCode = wrong(result) > 0 ? 1 : 0
