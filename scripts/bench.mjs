// `npm run bench`: imago against PyTorch, in turn on the same core. See bench/README.md.
import { appendFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { describe, describeKernels, markdown, printed } from '../bench/harness/document.mjs'
import { busyCores, commit, findPython, machine } from '../bench/harness/machine.mjs'
import { canPin } from '../bench/harness/side.mjs'
import { root, setup } from './lib/setup.mjs'

process.on('uncaughtException', (error) => {
  console.error(`bench: ${error.message}`)
  process.exit(1)
})

const { values: options } = parseArgs({
  options: {
    rows: { type: 'string' },
    threads: { type: 'string', default: '1,2' },
    rounds: { type: 'string', default: '11' },
    block: { type: 'string', default: '200' },
    steps: { type: 'string', default: '10000' },
    core: { type: 'string', default: '0' },
    only: { type: 'string' },
    quick: { type: 'boolean', default: false },
    markdown: { type: 'string' },
    last: { type: 'boolean', default: false },
    'no-build': { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})
if (options.help) {
  console.log(`npm run bench -- [--rows loss,step,…] [--only TEXT] [--threads 1,2] [--rounds 11] [--block 200] [--steps 10000] [--core 0] [--quick] [--markdown FILE] [--last] [--no-build]
  --rows     which rows (default: all); --only keeps the cases whose name contains TEXT
  --rounds   blocks that each contender is timed for; --block is their length in ms
  --steps    steps over which the growth of memory is looked at, 0 for none
  --core     the core to work on (two threads: this one and the next)
  --quick    without torch.compile, which takes up to a minute a shape, and without the rows memory and store
  --markdown writes the tables to FILE as well
  --last     times nothing: prints the last record in bench/results/history.jsonl again
  IMAGO_PYTHON names the Python to compare with (default python3); it needs torch and numpy. CXX names the C++ compiler.`)
  process.exit(0)
}

const folder = join(root, 'bench/results')
const history = join(folder, 'history.jsonl')
if (options.last) {
  const record = JSON.parse(readFileSync(history, 'utf8').trim().split('\n').at(-1))
  console.log(printed(record))
  if (options.markdown) writeFileSync(options.markdown, markdown(record))
  process.exit(0)
}

if (!options['no-build']) setup()
const { rows } = await import('../bench/rows/index.mjs')
const { compare, growth } = await import('../bench/harness/compare.mjs')
const { measureMemory } = await import('../bench/harness/memory.mjs')
const { measureStore } = await import('../bench/harness/store.mjs')
const { memoryContenders, startContenders } = await import('../bench/harness/contenders.mjs')

const list = (text) => text.split(',').filter((item) => item !== '')
const chosen = options.rows ? list(options.rows) : Object.keys(rows)
const unknown = chosen.find((stem) => rows[stem] === undefined)
if (unknown !== undefined) {
  console.error(`bench: no row ${unknown}; there are ${Object.keys(rows).join(', ')}`)
  process.exit(1)
}
const python = findPython()
const record = {
  date: new Date().toISOString(),
  commit: commit(root),
  machine: machine(),
  node: process.version,
  torch: python.torch ? { torch: python.torch, python: python.version } : { reason: python.reason },
  busy: await busyCores(),
  rows: {},
  results: [],
}
console.log(describe(record))
if (!canPin) console.log('Processes are not tied to cores: no taskset here.')

for (const threads of list(options.threads).map(Number)) {
  if (threads > record.machine.cores) {
    console.log(`${threads} threads: left out, this machine has ${record.machine.cores} cores`)
    continue
  }
  for (const stem of chosen) {
    const row = rows[stem]
    const cases = row.cases.filter(({ name }) => !options.only || name.includes(options.only))
    if (cases.length === 0 || !(row.threads ?? [1, 2]).includes(threads)) continue
    await time(stem, row, cases, threads)
  }
}

record.busyAfter = await busyCores()
mkdirSync(folder, { recursive: true })
appendFileSync(history, `${JSON.stringify(record)}\n`)
console.log(`\n${printed(record, { tally: true })}\n\nAppended to bench/results/history.jsonl`)
if (options.markdown) writeFileSync(options.markdown, markdown(record))

/** One row at one number of threads, into the record. */
async function time(stem, row, cases, threads) {
  const cores = Array.from({ length: threads }, (_, i) => (Number(options.core) + i) % record.machine.cores)
  const note = (one) =>
    process.stderr.write(`bench: ${stem} ${one.name}, ${threads} thread${threads > 1 ? 's' : ''} …\n`)
  if (row.measure === 'memory') {
    if (options.quick) return
    const { names, left, start } = memoryContenders(row, { threads, cores, python, quick: false })
    const contenders = [...names, ...Object.keys(left)]
    record.rows[stem] = { title: row.title, contenders, comparisons: [], left, measure: row.measure }
    for (const one of cases) {
      note(one)
      record.results.push(await measureMemory(row, stem, one, names, start, { threads }))
    }
    show(stem, threads)
    return
  }
  if (row.measure === 'store') {
    if (options.quick) return
    record.rows[stem] = { title: row.title, contenders: [], comparisons: [], left: {}, measure: row.measure }
    for (const one of cases) {
      note(one)
      record.results.push(await measureStore(stem, one, { threads, rounds: one.rounds ?? 3 }))
    }
    show(stem, threads)
    return
  }
  const { sides, left, backends, stop } = await startContenders(row, { threads, cores, python, quick: options.quick })
  try {
    const backend = backends.find((one) => one.chosen)
    if (!record.kernels) {
      record.kernels = { name: backend.name, isa: backend.isa }
      if (backend.name === 'reference') record.kernels.reason = backends.find(({ name }) => name === 'cpu').reason
      console.log(describeKernels(record))
    }
    const contenders = [...sides.keys(), ...Object.keys(left)]
    record.rows[stem] ??= { title: row.title, contenders, comparisons: row.comparisons, left }
    const fresh = memoryContenders(row, { threads, cores, python, quick: options.quick })
    const start = (name) => (fresh.names.includes(name) ? fresh.start(name) : undefined)
    const settings = { threads, rounds: Number(options.rounds), blockMs: Number(options.block), start }
    for (const one of cases) {
      note(one)
      record.results.push(await compare(row, stem, one, sides, settings))
    }
    const grows = cases.find((one) => one.growth)
    if (grows && Number(options.steps) > 0 && threads === 1)
      record.growth = await growth(row, stem, grows, sides.get('imago'), { threads, steps: Number(options.steps) })
  } finally {
    await stop()
  }
  show(stem, threads)
}

function show(stem, threads) {
  const results = record.results.filter((one) => one.row === stem && one.threads === threads)
  console.log(`\n${printed({ ...record, rows: { [stem]: record.rows[stem] }, results }, { head: false })}`)
}
