// Peak resident memory of the losses at the size of a vocabulary, each case in a process of its own; no test, prints a table. Linux.
//
//   node bench/memory.mjs [rows [depth]]     (default: 2048 rows, depth 512; 128,256 classes)
//   node bench/memory.mjs --json 8192 1024 linear-head       one case, one JSON line
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'

const classes = 128_256
const mb = 1e6

/** Every page is written: numbers in [−scale, scale), the same 2¹⁶ again and again. */
function numbers(count, scale) {
  const x = new Float32Array(count)
  const n = Math.min(count, 65_537)
  for (let i = 0; i < n; i++) x[i] = ((Math.imul(i, 0x9e3779b1) >>> 0) / 2 ** 31 - 1) * scale
  for (let done = n; done < count; done *= 2) x.copyWithin(done, 0, Math.min(done, count - done))
  return x
}
/** The same as bfloat16. */
function halves(count, scale) {
  const words = new Uint32Array(numbers(Math.min(count, 65_537), scale).buffer)
  const x = new Uint16Array(count)
  for (let i = 0; i < words.length; i++) x[i] = words[i] >>> 16
  for (let done = words.length; done < count; done *= 2) x.copyWithin(done, 0, Math.min(done, count - done))
  return x
}
const labels = (rows) => Int32Array.from({ length: rows }, (_, r) => (r * 977) % classes)
const result = new Float64Array(3)

/** name → [what it is, the call]. Whatever is in `buffers` is in memory; the kernel adds its own. */
const cases = {
  plain: (rows) => {
    const student = numbers(rows * classes, 4)
    const buffers = [student, numbers(rows * classes, 4), labels(rows), null, student, result, null]
    return ['soft_target_loss', buffers, [rows, classes, 2, 0.1, -100, 0]]
  },
  'plain-bfloat16-teacher': (rows) => {
    const student = numbers(rows * classes, 4)
    const buffers = [student, halves(rows * classes, 4), labels(rows), null, student, result, null]
    return ['soft_target_loss', buffers, [rows, classes, 2, 0.1, -100, 2]]
  },
  'linear-logits': (rows, depth) => linear(rows, depth, [halves(rows * classes, 4), null, null], 0, 2),
  'linear-head': (rows, depth) =>
    linear(rows, depth, [null, numbers(rows * depth, 1), numbers(classes * depth, 4 / Math.sqrt(depth))], depth, 0),
}

function linear(rows, depth, teacher, teacherDepth, teacherType) {
  const buffers = [
    ...[numbers(rows * depth, 1), numbers(classes * depth, 2 / Math.sqrt(depth)), null],
    ...[...teacher, null, labels(rows), null],
    ...[new Float32Array(rows * depth), new Float32Array(classes * depth), null, result, null],
  ]
  return ['linear_soft_target_loss', buffers, [rows, classes, depth, teacherDepth, 2, 0.1, -100, 0, teacherType, 0]]
}

const titles = {
  plain: 'logits, float32 teacher, gradient in the student',
  'plain-bfloat16-teacher': 'logits, bfloat16 teacher, gradient in the student',
  'linear-logits': 'hidden states and weight, bfloat16 teacher logits',
  'linear-head': "hidden states and weight, teacher's hidden states and weight",
}

function peak() {
  return Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8'))[1]) * 1024
}

function measure(name, rows, depth) {
  const addon = createRequire(import.meta.url)(path.join(import.meta.dirname, '../build/Release/imago_native.node'))
  const empty = peak()
  const [kernel, buffers, scalars] = cases[name](rows, depth)
  const memories = new Set(buffers.filter((buffer) => buffer !== null).map(({ buffer }) => buffer))
  const given = [...memories].reduce((sum, { byteLength }) => sum + byteLength, 0)
  const start = performance.now()
  addon.call(kernel, buffers, scalars)
  const seconds = (performance.now() - start) / 1000
  const matrix = rows * classes * 4
  return {
    name,
    rows,
    classes,
    depth,
    threads: addon.info().threads,
    empty,
    given,
    matrix,
    peak: peak(),
    seconds,
    value: result[0],
  }
}

const args = process.argv.slice(2)
if (args[0] === '--json') {
  console.log(JSON.stringify(measure(args[3], Number(args[1]), Number(args[2]))))
} else {
  const [rows = 2048, depth = 512] = args.map(Number)
  console.log(
    `${rows} rows of ${classes} classes, depth ${depth}; one float32 logit matrix: ${((rows * classes * 4) / mb).toFixed(0)} MB`,
  )
  console.log(`${''.padEnd(62)}  inputs and gradients   peak in MB   beside them   in matrices   seconds`)
  for (const [name, title] of Object.entries(titles)) {
    const run = spawnSync(process.execPath, [import.meta.filename, '--json', rows, depth, name].map(String), {
      encoding: 'utf8',
    })
    if (run.status !== 0) throw new Error(`${name}: ${run.stderr}`)
    const one = JSON.parse(run.stdout)
    const columns = [one.given, one.peak, one.peak - one.given - one.empty].map((x) => (x / mb).toFixed(0))
    const numbers = [...columns, (one.peak / one.matrix).toFixed(2), one.seconds.toFixed(1)]
    console.log(`${title.padEnd(62)} ${numbers.map((x, i) => x.padStart([21, 12, 13, 13, 9][i])).join(' ')}`)
  }
}
