// Floating-point operations per second and core of linear_soft_target_loss, loss included; no test, prints a table.
//
//   node bench/linear.mjs [isa …]      (default: the best instruction set)
//
// Processor time, not time on the clock: what else the machine does is not counted.
import { createRequire } from 'node:module'
import path from 'node:path'

const addon = createRequire(import.meta.url)(path.join(import.meta.dirname, '../build/Release/imago_native.node'))
const isas = process.argv.length > 2 ? process.argv.slice(2) : [addon.info().isa]

/** Numbers in [−scale, scale). */
function numbers(count, scale) {
  return Float32Array.from({ length: count }, (_, i) => ((Math.imul(i, 0x9e3779b1) >>> 0) / 2 ** 31 - 1) * scale)
}

/** The teacher comes as logits (6 operations a row, class and number of a hidden state) or as a head (8). */
function contender(rows, classes, depth, head) {
  const hidden = () => numbers(rows * depth, 1)
  const weight = () => numbers(classes * depth, 2 / Math.sqrt(depth))
  const teacher = head ? [null, hidden(), weight(), null] : [numbers(rows * classes, 4), null, null, null]
  const labels = Int32Array.from({ length: rows }, (_, r) => r % classes)
  const gradients = [new Float32Array(rows * depth), new Float32Array(classes * depth), null]
  const buffers = [hidden(), weight(), null, ...teacher, labels, null, ...gradients, new Float64Array(3), null]
  const scalars = [rows, classes, depth, head ? depth : 0, 2, 0.1, -100, 0, 0, 0]
  return {
    operations: (head ? 8 : 6) * rows * classes * depth,
    call: () => addon.call('linear_soft_target_loss', buffers, scalars),
  }
}

/** The least processor time of a call in microseconds; a measurement lasts about 0.1 s. */
function time(call) {
  const used = (repeats) => {
    const before = process.cpuUsage()
    for (let i = 0; i < repeats; i++) call()
    const { user, system } = process.cpuUsage(before)
    return (user + system) / repeats
  }
  const repeats = Math.max(1, Math.round(1e5 / Math.max(used(1), 1)))
  return Math.min(...Array.from({ length: 5 }, () => used(repeats)))
}

const contenders = [
  [128, 10, 800, false],
  [1024, 1000, 768, false],
  [256, 32_000, 512, false],
  [256, 32_000, 512, true],
  [252, 128_256, 1024, true],
]

console.log(`threads: ${addon.info().threads}`)
for (const isa of isas) {
  addon.setIsa(isa)
  console.log(`\n${isa.padEnd(44)}      us/call   GFLOP/s a core`)
  for (const [rows, classes, depth, head] of contenders) {
    const { operations, call } = contender(rows, classes, depth, head)
    const us = time(call)
    const name = `${rows} x ${classes} x ${depth}, teacher's ${head ? 'head' : 'logits'}`
    console.log(`${name.padEnd(44)} ${us.toFixed(1).padStart(12)} ${(operations / us / 1000).toFixed(1).padStart(16)}`)
  }
}
