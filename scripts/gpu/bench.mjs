// Times the CUDA kernels through the public API on the first device, with the device's own clock; prints one JSON line.
import * as kernels from '@imago/kernels'
import { rng } from '@imago/tensor'
import { lengths, lossShapes } from './shapes.mjs'

const cuda = kernels.backends().find(({ name }) => name === 'cuda')
if (!cuda.available) {
  console.log(JSON.stringify({ reason: cuda.reason }))
  process.exit(0)
}
const device = kernels.openDevice()
const quick = device.emulated
const random = rng(3)
const block = Float32Array.from({ length: quick ? 4096 : 1 << 20 }, () => random.normal() * 3)
const bits = Uint16Array.from(block, (x) => new Uint32Array(Float32Array.of(x).buffer)[0] >>> 16)

/** A tensor of normal numbers: one block again and again. */
function noise(type, dims) {
  const made = device.allocate(type, dims)
  const data = type === 'float32' ? block : bits
  const length = made.data.length
  for (let at = 0; at < length; at += data.length) {
    const count = Math.min(data.length, length - at)
    const part = made.view(at, [count])
    part.write({ type, dims: [count], data: data.subarray(0, count) })
    part.dispose()
  }
  return made
}

const median = (numbers) => numbers.toSorted((a, b) => a - b)[numbers.length >> 1]

/** Milliseconds of one call: the median of blocks of calls, each block at least 20 ms long. */
async function time(call) {
  const stream = device.current
  const elapsed = async (count) => {
    const from = stream.record()
    for (let i = 0; i < count; i++) call()
    const to = stream.record()
    await stream.synchronize()
    const ms = to.since(from)
    from.dispose()
    to.dispose()
    return ms
  }
  if (quick) return elapsed(1)
  await elapsed(3)
  const count = Math.max(1, Math.min(2000, Math.ceil(20 / Math.max(1e-3, (await elapsed(5)) / 5))))
  const blocks = []
  for (let i = 0; i < 7; i++) blocks.push((await elapsed(count)) / count)
  return median(blocks)
}

const results = []
/** Times `call`, which moves `bytes`; `after` frees what it used. */
async function row(kernel, name, bytes, call) {
  if (kernel !== null && !cuda.kernels.includes(kernel)) return
  const ms = await time(call)
  results.push({ kernel: kernel ?? 'copy', name, bytes, ms, gbps: bytes / ms / 1e6 })
}

const fits = (bytes) => (quick ? bytes < 2 ** 21 : bytes < 0.9 * device.freeMemory())
const drop = (...tensors) => {
  for (const tensor of tensors) tensor.dispose()
}
/** Disposes whatever tensors a result holds. */
const forget = (result) => drop(...Object.values(result).filter(kernels.isDeviceTensor))

// The card's own copy, read and written.
const copyLength = quick ? 1 << 16 : 1 << 28
{
  const [from, to] = [noise('float32', [copyLength]), device.allocate('float32', [copyLength])]
  await row(null, `${copyLength} float32`, 8 * copyLength, () => to.write(from))
  drop(from, to)
}
const copy = results[0].gbps

for (const [R, C] of lossShapes) {
  const n = R * C
  if (!fits(12 * n)) continue
  const student = noise('float32', [R, C])
  const out = device.allocate('float32', [R, C])
  const labels = device.zeros('int32', [R])
  const teacher = noise('float32', [R, C])
  const shape = `(${R}, ${C})`
  const loss = { student, teacher, out }
  const soft = { ...loss, labels, temperature: 4, hardWeight: 0.1 }
  const softTarget = () => forget({ ...kernels.softTargetLoss(soft), gradient: null })
  const without = (result) => forget({ ...result, gradient: null })
  await row('soft_target_loss', `${shape} float32`, 12 * n, softTarget)
  await row('kl_divergence', shape, 12 * n, () => without(kernels.klDivergence({ ...loss, temperature: 4 })))
  await row('logit_regression', shape, 12 * n, () => without(kernels.logitRegression(loss)))
  await row('cross_entropy', shape, 8 * n, () => without(kernels.crossEntropy({ student, labels, out })))
  await row('softmax', shape, 8 * n, () => void kernels.softmax({ logits: student, out }))
  if (n <= 1 << 20 && cuda.kernels.includes('soft_target_loss')) {
    const graph = device.capture(() => {
      for (let i = 0; i < 100; i++) softTarget()
    })
    const ms = (await time(() => graph.launch())) / 100
    results.push({
      kernel: 'soft_target_loss',
      name: `${shape} float32, 100 in a graph`,
      bytes: 12 * n,
      ms,
      gbps: (12 * n) / ms / 1e6,
    })
    graph.dispose()
  }
  teacher.dispose()
  if (cuda.kernels.includes('soft_target_loss')) {
    const half = noise('bfloat16', [R, C])
    await row('soft_target_loss', `${shape} bfloat16 teacher`, 10 * n, () =>
      without(kernels.softTargetLoss({ ...soft, teacher: half })),
    )
    half.dispose()
  }
  drop(student, out, labels)
  device.trim()
}

for (const n of quick ? [4000] : lengths) {
  if (!fits(16 * n)) continue
  const [w, g, m, v] = [0, 1, 2, 3].map(() => noise('float32', [1000, n / 1000]))
  const name = `${n}`
  await row('sgd', name, 20 * n, () =>
    kernels.sgd({ parameter: w, gradient: g, velocity: m, rate: 1e-9, momentum: 0.9 }),
  )
  await row('sgd', `${n}, max-norm`, 20 * n, () =>
    kernels.sgd({ parameter: w, gradient: g, velocity: m, rate: 1e-9, momentum: 0.9, maxSquaredNorm: 1e30 }),
  )
  await row('adamw', name, 28 * n, () => kernels.adamw({ parameter: w, gradient: g, m, v, rate: 1e-9, step: 10 }))
  await row('ema', name, 12 * n, () => kernels.ema({ average: m, x: w, decay: 0.99 }))
  await row('squared_norm', name, 4 * n, () => kernels.squaredNorm({ x: w }).dispose())
  await row('dropout', name, 8 * n, () => void kernels.dropout({ x: w, out: g, probability: 0.5, rng: random }))
  await row('dropout_mask', name, 4 * n, () => void kernels.dropoutMask({ out: g, probability: 0.5, rng: random }))
  await row('gaussian_noise', name, 8 * n, () => void kernels.gaussianNoise({ x: w, out: g, sigma: 1, rng: random }))
  drop(w, g, m, v)
  device.trim()
}

const { name, memory, capability, multiprocessors, emulated } = device
device.dispose()
console.log(JSON.stringify({ device: { name, memory, capability, multiprocessors, emulated }, copy, results }))
