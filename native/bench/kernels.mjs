// Time per call and per element of the native kernels through Node-API; no test, prints a table.
//
//   node bench/kernels.mjs [isa …]      (default: the best instruction set)
//   IMAGO_NUM_THREADS=1 node bench/kernels.mjs portable avx2 avx512
import { createRequire } from 'node:module'
import path from 'node:path'

const addon = createRequire(import.meta.url)(path.join(import.meta.dirname, '../build/Release/imago_native.node'))
const isas = process.argv.length > 2 ? process.argv.slice(2) : [addon.info().isa]

/** The best of many short rounds: time of one call in nanoseconds. Other processes only ever add, and rarely to all of them. */
function time(call) {
  for (let i = 0; i < 3; i++) call()
  const start = process.hrtime.bigint()
  call()
  const once = Number(process.hrtime.bigint() - start)
  const repeats = Math.max(1, Math.min(10_000, Math.round(2e6 / once)))
  const rounds = Array.from({ length: 99 }, () => {
    const begin = process.hrtime.bigint()
    for (let i = 0; i < repeats; i++) call()
    return Number(process.hrtime.bigint() - begin) / repeats
  })
  return Math.min(...rounds)
}

const normal = () => Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random())
const normals = (n, scale = 1) => Float32Array.from({ length: n }, () => scale * normal())

function loss(rows, classes, { hardWeight = 0.1, temperature = 4 } = {}) {
  const n = rows * classes
  const labels = Int32Array.from({ length: rows }, () => Math.floor(Math.random() * classes))
  const buffers = [
    normals(n, 3),
    normals(n, 3),
    hardWeight > 0 ? labels : null,
    null,
    new Float32Array(n),
    new Float64Array(3),
    null,
  ]
  const scalars = [rows, classes, temperature, hardWeight, -100, 0]
  return { elements: n, call: () => addon.call('soft_target_loss', buffers, scalars) }
}

function sgd(rows, columns, unitAxis, copied = false) {
  const n = rows * columns
  const copy = copied ? new Uint16Array(n) : null
  const buffers = [normals(n, 0.01), normals(n, 1e-3), new Float32Array(n), copy]
  const scalars = [rows, columns, 1e-3, 0.9, 1e-4, 1, unitAxis, 15]
  return { elements: n, call: () => addon.call('sgd', buffers, scalars) }
}

function adamw(rows, columns, unitAxis, copied = false) {
  const n = rows * columns
  const copy = copied ? new Uint16Array(n) : null
  const buffers = [normals(n, 0.01), normals(n, 1e-3), new Float32Array(n), new Float32Array(n), copy]
  const scalars = [rows, columns, 1e-3, 0.9, 0.999, 1e-8, 0.01, 1, 10, unitAxis, 15]
  return { elements: n, call: () => addon.call('adamw', buffers, scalars) }
}

function drawn(kernel, n, parameter) {
  const out = new Float32Array(n)
  const buffers = kernel === 'dropout_mask' ? [out] : [normals(n), out]
  return { elements: n, call: () => addon.call(kernel, buffers, [n, parameter, 1, 2, 0]) }
}

function converted(type, encode) {
  const n = 1 << 20
  const buffers = [normals(n), Uint16Array.from({ length: n }, (_, i) => i & 0x3fff)]
  return { elements: n, call: () => addon.call('convert_half', buffers, [n, type, encode]) }
}

function selected(rows, classes, k, temperature) {
  const mass = () => (temperature === undefined ? null : new Float64Array(rows))
  const buffers = [normals(rows * classes, 4), new Float32Array(rows * k), new Int32Array(rows * k), mass(), mass()]
  const scalars = [rows, classes, k, temperature ?? 1]
  return { elements: rows * classes, call: () => addon.call('top_k', buffers, scalars) }
}

function counted(rows, columns) {
  const moments = [new Float64Array(1), new Float64Array(columns), new Float64Array(columns * columns)]
  const buffers = [normals(rows * columns), null, ...moments]
  return { elements: rows * columns, call: () => addon.call('covariance', buffers, [rows, columns]) }
}

const one = new Float64Array(1)
const contenders = {
  'call overhead: squared_norm of nothing': {
    elements: 0,
    call: () => addon.call('squared_norm', [new Float32Array(0), one], [0]),
  },
  'call overhead: soft_target_loss of no rows': loss(0, 10),
  'soft_target_loss 128 x 10': loss(128, 10),
  'soft_target_loss 128 x 10, soft only': loss(128, 10, { hardWeight: 0 }),
  'soft_target_loss 1024 x 10': loss(1024, 10),
  'soft_target_loss 1024 x 100': loss(1024, 100),
  'soft_target_loss 256 x 1000': loss(256, 1000),
  'soft_target_loss 64 x 32000': loss(64, 32_000),
  'soft_target_loss 16 x 128256': loss(16, 128_256),
  'sgd 1.3M': sgd(800, 1600, -1),
  'sgd 1.3M, max-norm of rows': sgd(800, 1600, 0),
  'sgd 1.3M, max-norm of columns': sgd(800, 1600, 1),
  'sgd 1.3M, max-norm of rows, bfloat16 copy': sgd(800, 1600, 0, true),
  'adamw 1.3M': adamw(800, 1600, -1),
  'adamw 1.3M, max-norm of rows': adamw(800, 1600, 0),
  'adamw 1.3M, bfloat16 copy': adamw(800, 1600, -1, true),
  'ema 1.3M': (() => {
    const [average, x] = [normals(1_280_000), normals(1_280_000)]
    return { elements: x.length, call: () => addon.call('ema', [average, x], [x.length, 0.999]) }
  })(),
  'squared_norm 1.3M': (() => {
    const x = normals(1_280_000)
    return { elements: x.length, call: () => addon.call('squared_norm', [x, one], [x.length]) }
  })(),
  'dropout_mask 102k': drawn('dropout_mask', 102_400, 0.5),
  'dropout_mask 1M': drawn('dropout_mask', 1_048_576, 0.5),
  'dropout 102k': drawn('dropout', 102_400, 0.5),
  'dropout 1M': drawn('dropout', 1_048_576, 0.5),
  'gaussian_noise 102k': drawn('gaussian_noise', 102_400, 0.1),
  'gaussian_noise 1M': drawn('gaussian_noise', 1_048_576, 0.1),
  'convert_half 1M to float16': converted(1, 1),
  'convert_half 1M to bfloat16': converted(2, 1),
  'convert_half 1M from float16': converted(1, 0),
  'convert_half 1M from bfloat16': converted(2, 0),
  'top_k 50 of 64 x 32000': selected(64, 32_000, 50),
  'top_k 50 of 64 x 32000, with masses': selected(64, 32_000, 50, 2),
  'top_k 50 of 16 x 128256': selected(16, 128_256, 50),
  'top_k 1024 of 16 x 128256': selected(16, 128_256, 1024),
  'covariance 256 x 1000': counted(256, 1000),
  'covariance 128 x 10': counted(128, 10),
  'jitter 128 x 28 x 28': (() => {
    const n = 128 * 784
    const [images, out] = [normals(n), new Float32Array(n)]
    return { elements: n, call: () => addon.call('jitter', [images, out], [128, 1, 28, 28, 2, 1, 2, 0]) }
  })(),
}

console.log(`threads: ${addon.info().threads}`)
for (const isa of isas) {
  addon.setIsa(isa)
  console.log(`\n${isa.padEnd(44)}      us/call   ns/element`)
  for (const [name, { elements, call }] of Object.entries(contenders)) {
    const ns = time(call)
    const each = elements === 0 ? '' : (ns / elements).toFixed(3)
    console.log(`${name.padEnd(44)} ${(ns / 1000).toFixed(2).padStart(12)} ${each.padStart(12)}`)
  }
}
