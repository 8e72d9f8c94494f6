import { sinkWeights } from '@imago/onnx'
import { predictor } from '@imago/runtime'
import { tensor, tensorMap } from '@imago/tensor'
import { noise, readNumbers, writeNumbers } from '../harness/numbers.mjs'
import { network, writeWeights } from './network.mjs'

/** A teacher's logits for one batch. */
export const title = 'teacher inference, batch 128'

export const cases = [{ name: '784-1200-1200-10', sizes: [784, 1200, 1200, 10], batch: 128 }]
export const variants = ['eager']
export const comparisons = [{ of: 'imago', than: 'torch eager' }]

export function write(settings, folder) {
  writeWeights(settings, folder)
  writeNumbers(folder, 'x', noise(1, settings.batch * settings.sizes[0], 0.5))
}

export async function prepare(settings, folder, { threads }) {
  const { batch, sizes } = settings
  const { model, names, weights } = network(settings, folder)
  const values = names.map((name) => [
    name,
    tensor('float32', model.graph.initializers.get(name).dims, weights.get(name)),
  ])
  const graph = sinkWeights(model.graph, tensorMap(values))
  const predict = await predictor({ ...model, graph }, { threads, batchSize: batch })
  const inputs = { input: tensor('float32', [batch, sizes[0]], readNumbers(folder, 'x')) }
  return {
    async check() {
      const { logits } = await predict(inputs)
      return {
        value: logits.data.reduce((sum, x) => sum + Math.abs(x), 0) / logits.data.length,
        tensors: { logits: logits.data },
      }
    },
    async run(iterations) {
      for (let i = 0; i < iterations; i++) await predict(inputs)
    },
    outcome: async () => (await predict(inputs)).logits.data[0],
    dispose: () => predict.dispose(),
  }
}
