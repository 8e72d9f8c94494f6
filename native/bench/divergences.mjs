// Time per call and per element of the divergences, through Node-API; no test, prints a table.
//
//   IMAGO_NUM_THREADS=1 node native/bench/divergences.mjs [isa …]      (default: the best instruction set)
import { createRequire } from 'node:module'
import path from 'node:path'

const addon = createRequire(import.meta.url)(path.join(import.meta.dirname, '../build/Release/imago_native.node'))
const isas = process.argv.length > 2 ? process.argv.slice(2) : [addon.info().isa]

/** The best of some rounds: time of one call in nanoseconds (other processes only ever add); a round lasts about 20 ms. */
function time(call) {
  for (let i = 0; i < 3; i++) call()
  const start = process.hrtime.bigint()
  call()
  const repeats = Math.max(1, Math.min(100_000, Math.round(2e7 / Number(process.hrtime.bigint() - start))))
  const rounds = Array.from({ length: 9 }, () => {
    const begin = process.hrtime.bigint()
    for (let i = 0; i < repeats; i++) call()
    return Number(process.hrtime.bigint() - begin) / repeats
  })
  return Math.min(...rounds)
}

const normal = () => Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random())
const normals = (n, scale) => Float32Array.from({ length: n }, () => scale * normal())

/** Calls of every kernel on the same rows; `noise`: how far the student is from its teacher, left out: strangers. */
function callsOf(rows, classes, noise) {
  const n = rows * classes
  const teacher = normals(n, 3)
  const student = noise === undefined ? normals(n, 3) : teacher.map((v) => v + noise * normal())
  const gradient = new Float32Array(n)
  const labels = Int32Array.from({ length: rows }, () => Math.floor(Math.random() * classes))
  const k = Math.min(64, classes)
  const indices = Int32Array.from({ length: rows * k }, (_, i) => (i % k) * Math.floor(classes / k))
  const values = new Float32Array(rows * k).fill(Math.log(0.9 / k))
  const distribution = new Float32Array(n).fill(1 / classes)
  const compared = (own) => [
    [student, teacher, null, gradient, new Float64Array(1), null],
    [rows, classes, ...own, 0],
  ]
  return {
    kl_divergence: compared([4]),
    reverse_kl: compared([4]),
    js_divergence: compared([4, 0.5]),
    total_variation: compared([4]),
    dkd: [
      [student, teacher, labels, null, gradient, new Float64Array(3), null],
      [rows, classes, 4, 1, 8, -100, 0],
    ],
    dist: [
      [student, teacher, null, gradient, new Float64Array(3), null],
      [rows, classes, 4, 1, 1, 0],
    ],
    top_k_soft_target_loss: [
      [student, indices, values, null, null, null, gradient, new Float64Array(3), null],
      [rows, classes, k, 4, 0, -100, 0, 0],
    ],
    cross_entropy: [
      [student, null, null, gradient, new Float64Array(1), distribution, null],
      [rows, classes, 0, -100],
    ],
  }
}

console.log(`threads: ${addon.info().threads}`)
for (const isa of isas) {
  addon.setIsa(isa)
  for (const [rows, classes, noise] of [
    [1024, 10],
    [256, 1000],
    [256, 1000, 0.01],
    [64, 32_000],
    [16, 128_256],
  ])
    for (const [kernel, [buffers, scalars]] of Object.entries(callsOf(rows, classes, noise))) {
      const ns = time(() => addon.call(kernel, buffers, scalars))
      const what = `${kernel}${kernel === 'cross_entropy' ? ' with distributions' : ''} ${rows} x ${classes}`
      const where = noise === undefined ? '' : `, student within ${noise}`
      const each = `${(ns / (rows * classes)).toFixed(2)} ns an element`
      console.log(`${isa.padEnd(8)} ${(what + where).padEnd(60)} ${(ns / 1e3).toFixed(1).padStart(10)} µs  ${each}`)
    }
}
