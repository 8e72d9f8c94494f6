// `npm run fuzz`: damaged and lying models through decoder, passes and autodiff. Everything else than an error of imago's is a fault.
import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { Worker } from 'node:worker_threads'
import { setup } from './lib/setup.mjs'

const { values: options } = parseArgs({
  options: {
    dir: { type: 'string' },
    mutants: { type: 'string', default: '1000000' },
    from: { type: 'string', default: '0' },
    seed: { type: 'string', default: '1' },
    workers: { type: 'string', default: '1' },
    write: { type: 'string' },
    'no-build': { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})
if (options.help) {
  console.log(`npm run fuzz -- [--mutants 1000000] [--from 0] [--seed 1] [--workers 1] [--dir DIR] [--write FILE]
  --dir    a folder with index.json, or the .tar.gz of one (default: conformance/onnx-backend-tests.tar.gz in IMAGO_DATA_DIR)
  --write  write mutant number --from to this file, to look at it
  Mutant i is a function of seed and i. Exit code 1 where one ends in anything but an error of imago's, or takes more than 2 s.`)
  process.exit(0)
}

if (!options['no-build']) setup()

const { findCases, openCases } = await import('../test/conformance/runner/open-cases.mjs')
const { mutant } = await import('../test/fuzz/runner/fuzz.mjs')

const { IMAGO_DATA_DIR: shared } = process.env
const place = options.dir ?? (shared && findCases(shared))
if (!place) {
  console.error('fuzz: say where the models are: --dir DIR, or IMAGO_DATA_DIR')
  process.exit(2)
}
const { index, file } = openCases(place)
const models = index.cases
  .map(({ name, dir }) => ({ name, bytes: file(`${dir}/model.onnx`) }))
  .filter(({ bytes }) => bytes !== undefined && bytes.length < 65_536)
  .map(({ name, bytes }) => ({ name, bytes: Uint8Array.from(bytes) }))
if (models.length === 0) {
  console.error(`fuzz: ${place} has no models under 64 KiB`)
  process.exit(2)
}

const [count, first, seed, workers] = ['mutants', 'from', 'seed', 'workers'].map((name) => Number(options[name]))
if (options.write) {
  const { name, bytes } = mutant(models, seed, first)
  writeFileSync(options.write, bytes)
  console.log(`mutant ${first} of seed ${seed}, from ${name}: ${options.write}`)
  process.exit(0)
}

/** Mutants that a worker gets at a time, and how long one may stand still before it counts as hung. */
const batch = 500
const patience = 30_000
const total = { passed: 0, refused: 0, faults: [], slow: [] }
const idle = []
let next = first
let told = Date.now()

await Promise.all(Array.from({ length: workers }, run))
for (const { worker } of idle) await worker.terminate()
for (const { mutant: i, name, ms } of total.slow.slice(0, 20))
  console.log(`mutant ${i} (${name}) took ${Math.round(ms)} ms`)
console.log(
  `${models.length} models · mutants ${count} · passed ${total.passed} · refused ${total.refused} · slower than 2 s ${total.slow.length} · faults ${total.faults.length}`,
)
process.exitCode = total.faults.length + total.slow.length > 0 ? 1 : 0

function found(fault) {
  total.faults.push(fault)
  if (total.faults.length <= 20) console.log(`mutant ${fault.mutant} (${fault.name}): ${fault.error}\n`)
}

/** One worker after the other, as long as there are mutants: one that dies costs its mutant and is replaced. */
async function run() {
  while (next < first + count) {
    const from = next
    next = Math.min(next + batch, first + count)
    await stretch(from, next)
  }
}

async function stretch(from, to) {
  let start = from
  while (start < to) {
    const ended = await inWorker(start, to)
    if (ended.result !== undefined) {
      total.passed += ended.result.passed
      total.refused += ended.result.refused
      for (const fault of ended.result.faults) found(fault)
      total.slow.push(...ended.result.slow)
      start = to
    } else {
      found({ mutant: ended.at, name: 'worker', error: ended.error })
      // What came before in this stretch was fine, or it would have ended there.
      total.refused += ended.at - start
      start = ended.at + 1
    }
  }
  if (Date.now() - told > 10_000) {
    told = Date.now()
    console.error(`${to - first} of ${count} mutants, ${total.faults.length} faults …`)
  }
}

function inWorker(from, to) {
  const { worker, at } = idle.pop() ?? started()
  return new Promise((resolve) => {
    let seen = -1
    const watch = setInterval(() => {
      const now = Atomics.load(at, 0)
      if (now === seen) end({ at: now, error: `stood still for ${patience / 1000} s` })
      seen = now
    }, patience)
    const on = {
      message: (result) => end({ result }),
      error: (error) => end({ at: Atomics.load(at, 0), error: String(error) }),
      exit: (code) => end({ at: Atomics.load(at, 0), error: `the worker ended with code ${code}` }),
    }
    const end = (ended) => {
      clearInterval(watch)
      for (const [event, listener] of Object.entries(on)) worker.off(event, listener)
      if (ended.result === undefined) void worker.terminate()
      else idle.push({ worker, at })
      resolve(ended)
    }
    Atomics.store(at, 0, from)
    for (const [event, listener] of Object.entries(on)) worker.on(event, listener)
    worker.postMessage({ from, to })
  })
}

function started() {
  const shared = new SharedArrayBuffer(4)
  const worker = new Worker(new URL('../test/fuzz/runner/worker.mjs', import.meta.url), {
    workerData: { models, seed, at: shared },
    // A model that asks for gigabytes ends its worker, not the machine.
    resourceLimits: { maxOldGenerationSizeMb: 512 },
  })
  return { worker, at: new Int32Array(shared) }
}
