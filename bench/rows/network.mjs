import { mlp } from '@imago/onnx'
import { rng } from '@imago/tensor'
import { noise, readNumbers, writeNumbers } from '../harness/numbers.mjs'

/** Weights of a multilayer perceptron as files that both sides read: `fc1.weight` [out, in], `fc1.bias` … */
export function writeWeights({ sizes }, folder) {
  for (let i = 1; i < sizes.length; i++) {
    const [from, to] = [sizes[i - 1], sizes[i]]
    const weight = noise(100 + i, from * to, Math.sqrt(2 / from))
    // Every eighth unit is long enough for the max-norm of the step row to bite.
    for (let unit = 0; unit < to; unit += 8)
      for (let k = 0; k < from; k++) weight[unit * from + k] *= i === sizes.length - 1 ? 1 : 4
    writeNumbers(folder, `fc${i}.weight`, weight)
    writeNumbers(folder, `fc${i}.bias`, noise(200 + i, to, 0.1))
  }
}

/** The model with those weights, and the names of its parameters. */
export function network({ sizes, dropout }, folder) {
  const model = mlp(sizes, { rng: rng(1), ...(dropout && { dropout }) })
  const names = [...model.graph.initializers.keys()].filter((name) => /^fc\d+\.(weight|bias)$/.test(name))
  const weights = new Map(names.map((name) => [name, readNumbers(folder, name)]))
  return { model, names, weights }
}
