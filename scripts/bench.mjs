// `npm run bench`: imago against PyTorch, in turn on the same cores. See bench/README.md.
import { appendFileSync, mkdirSync } from 'node:fs'
import { loadavg } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { commit, findPython, machine } from '../bench/harness/machine.mjs'
import { memoryLine, table } from '../bench/harness/report.mjs'
import { canPin, startSide } from '../bench/harness/side.mjs'
import { root, setup } from './lib/setup.mjs'

process.on('uncaughtException', (error) => {
  console.error(`bench: ${error.message}`)
  process.exit(1)
})

const { values: options } = parseArgs({
  options: {
    rows: { type: 'string', default: 'step,loss,teacher' },
    threads: { type: 'string', default: '1,2' },
    rounds: { type: 'string', default: '11' },
    block: { type: 'string', default: '200' },
    steps: { type: 'string', default: '10000' },
    compiled: { type: 'boolean', default: false },
    only: { type: 'string' },
    'no-build': { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})
if (options.help) {
  console.log(`npm run bench -- [--rows step,loss,teacher] [--threads 1,2] [--rounds 11] [--block 200] [--steps 10000] [--only TEXT] [--compiled] [--no-build]
  --rows     which rows; --only keeps the cases whose name contains TEXT
  --rounds   blocks that each contender is timed for; --block is their length in ms
  --steps    steps of the memory row, 0 for none
  --compiled also the loss under torch.compile, PyTorch's best (slow to start, needs a C++ compiler)
  IMAGO_PYTHON names the Python to compare with (default python3); it needs torch and numpy.`)
  process.exit(0)
}

if (!options['no-build']) setup()
const { rows } = await import('../bench/rows/index.mjs')
const { compare, memory } = await import('../bench/harness/compare.mjs')

const list = (text) => text.split(',').filter((item) => item !== '')
const chosen = list(options.rows)
const unknown = chosen.find((stem) => rows[stem] === undefined)
if (unknown !== undefined) {
  console.error(`bench: no row ${unknown}; there are ${Object.keys(rows).join(', ')}`)
  process.exit(1)
}
const variants = [...new Set(chosen.flatMap((stem) => rows[stem].variants))].filter(
  (variant) => variant !== 'compiled' || options.compiled,
)
const python = findPython()
const here = machine()
const record = {
  date: new Date().toISOString(),
  commit: commit(root),
  machine: here,
  node: process.version,
  results: [],
}
console.log(
  `${here.cpu}, ${here.cores} cores, ${here.memoryGiB} GiB, ${here.os}; Node ${process.version}; commit ${record.commit}`,
)
if (python.reason) console.log(`PyTorch: no columns, because ${python.reason}`)
record.load = loadavg()[0]
if (record.load > 0.5)
  console.log(
    `The machine is not quiet (load ${record.load.toFixed(1)}): times and ratios below move with what else runs, 2 threads most.`,
  )
if (!canPin) console.log('Processes are not tied to cores: no taskset here.')

for (const threads of list(options.threads).map(Number)) {
  if (threads > here.cores) {
    console.log(`${threads} threads: left out, this machine has ${here.cores} cores`)
    continue
  }
  const cores = Array.from({ length: threads }, (_, i) => i)
  const imago = startSide('imago', process.execPath, ['--expose-gc', join(root, 'bench/harness/node-side.mjs')], {
    cores,
    env: { IMAGO_NUM_THREADS: String(threads) },
  })
  const env = { OMP_NUM_THREADS: String(threads), MKL_NUM_THREADS: String(threads) }
  const torch = {}
  for (const variant of python.command ? variants : [])
    torch[variant] = startSide(`torch ${variant}`, python.command, [join(root, 'bench/peer/torch_peer.py')], {
      cores,
      env,
    })
  try {
    const { backends } = await imago.request('hello')
    const backend = backends.find((one) => one.chosen)
    record.kernels = { name: backend.name, isa: backend.isa }
    console.log(
      `\n— ${threads} thread${threads > 1 ? 's' : ''}, cores ${cores.join(', ')}; kernels: ${backend.name}${backend.isa ? ` ${backend.isa}` : ''}`,
    )
    if (backend.name === 'reference')
      console.log(
        `The addon is not in use: ${backends.find(({ name }) => name === 'cpu').reason}. These are not imago's speeds.`,
      )
    const [first] = Object.values(torch)
    if (first) {
      record.torch = await first.request('hello')
      console.log(
        `torch ${record.torch.torch}, Python ${record.torch.python}; ratio = imago / PyTorch, median of rounds (10–90 %)`,
      )
    }
    for (const stem of chosen) {
      const row = rows[stem]
      const results = []
      for (const settings of row.cases.filter(({ name }) => !options.only || name.includes(options.only)))
        results.push(
          await compare(
            row,
            stem,
            settings,
            { imago, torch },
            {
              threads,
              rounds: Number(options.rounds),
              blockMs: Number(options.block),
            },
          ),
        )
      record.results.push(...results)
      if (results.length > 0) console.log(`\n${table(row.title, results)}`)
      const flat = row.cases.find((settings) => settings.memory)
      if (flat && Number(options.steps) > 0 && threads === 1) {
        const found = await memory(row, stem, flat, imago, { threads, steps: Number(options.steps) })
        record.memory = found
        console.log(memoryLine(found))
      }
    }
  } finally {
    await Promise.all([imago, ...Object.values(torch)].map((side) => side.stop()))
  }
}

record.loadAfter = loadavg()[0]
const folder = join(root, 'bench/results')
mkdirSync(folder, { recursive: true })
appendFileSync(join(folder, 'history.jsonl'), `${JSON.stringify(record)}\n`)
console.log('\nAppended to bench/results/history.jsonl')
