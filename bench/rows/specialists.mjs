import { mlp } from '@imago/onnx'
import { predictor } from '@imago/runtime'
import { activeRows, combineSpecialists } from '@imago/specialists'
import { rng, tensor } from '@imago/tensor'
import { noise, readNumbers, writeNumbers } from '../harness/numbers.mjs'

/** A generalist with its specialists: everything that `combineSpecialists` does, or the models alone. */
export const title = 'inference with specialists'

const asked = [{ of: 'imago', than: 'imago models', atLeast: 1 / 1.1 }]
export const cases = [
  {
    name: '784-800-800-62, 10 specialists of 12 classes, batch 512',
    classes: 62,
    count: 10,
    size: 12,
    batch: 512,
    asked,
  },
  { name: '784-800-800-62, 10 specialists of 12 classes, batch 64', classes: 62, count: 10, size: 12, batch: 64 },
]

/** `models`: the generalist on all rows and each specialist on its own, gathered before; nothing else. */
export const ways = ['models']
export const comparisons = [{ of: 'imago', than: 'imago models' }]

export function write({ batch }, folder) {
  writeNumbers(folder, 'x', noise(1, batch * 784, 0.5))
}

export async function prepare({ classes, count, size, batch }, folder, { threads, variant }) {
  const x = readNumbers(folder, 'x')
  const inputs = { input: tensor('float32', [batch, 784], x) }
  const opened = []
  const open = async (outputs, seed) => {
    const predict = await predictor(mlp([784, 800, 800, outputs], { rng: rng(seed) }), { threads, batchSize: batch })
    opened.push(predict)
    return predict
  }
  const generalist = await open(classes, 1)
  const sets = Array.from({ length: count }, (_, m) => ({
    name: `set-${m + 1}`,
    classes: Array.from({ length: size }, (_, i) => (6 * m + i) % classes),
  }))
  const experts = []
  for (const [m, set] of sets.entries()) experts.push({ set, predict: await open(size + 1, 2 + m) })
  const whole = combineSpecialists({ generalist, experts })
  const { logits: general } = await generalist(inputs)
  const asked = activeRows(general, sets, 1)
    .map((rows, m) => [rows, m])
    .filter(([rows]) => rows.length > 0)
    .map(([rows, m]) => {
      const gathered = new Float32Array(rows.length * 784)
      for (const [i, r] of rows.entries()) gathered.set(x.subarray(r * 784, (r + 1) * 784), i * 784)
      return [experts[m].predict, { input: tensor('float32', [rows.length, 784], gathered) }]
    })
  const models = async () => {
    await generalist(inputs)
    for (const [predict, own] of asked) await predict(own)
  }
  const step = variant === 'models' ? models : () => whole(inputs)
  const mean = async () => (await whole(inputs)).logits.data.reduce((sum, z) => sum + z, 0) / (batch * classes)
  return {
    check: async () => ({ value: await mean(), tensors: {} }),
    async run(iterations) {
      for (let i = 0; i < iterations; i++) await step()
    },
    outcome: mean,
    async dispose() {
      for (const one of opened) await one.dispose()
    },
  }
}
