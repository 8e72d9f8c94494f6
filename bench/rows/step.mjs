import { training, vjp } from '@imago/autodiff'
import { dropoutMask } from '@imago/kernels'
import { softTarget } from '@imago/losses'
import { liftWeights } from '@imago/onnx'
import { sgd } from '@imago/optim'
import { openDifferentiable } from '@imago/runtime'
import { rng, tensor } from '@imago/tensor'
import { noise, readNumbers, writeNumbers } from '../harness/numbers.mjs'
import { network, writeWeights } from './network.mjs'

/** The whole training step: forward, soft-target loss, backward, SGD with momentum. */
export const title = 'training step, batch 128 (forward, loss, backward, SGD + momentum)'

const common = { batch: 128, temperature: 4, hardWeight: 0.1, rate: 0.001, momentum: 0.9 }
const noisy = { dropout: { input: 0.2, hidden: 0.5 }, maxSquaredNorm: 15 }

/** No slower than PyTorch; with noise and max-norm at most 0.6 of its time. */
const asked = (atLeast) => ({ asked: [{ of: 'imago', than: 'torch', atLeast }] })

export const cases = [
  { name: '784-800-800-10', sizes: [784, 800, 800, 10], ...common, ...asked(1), growth: true },
  { name: '784-1200-1200-10', sizes: [784, 1200, 1200, 10], ...common, ...asked(1) },
  { name: '784-800-800-10 dropout, max-norm', sizes: [784, 800, 800, 10], ...common, ...noisy, ...asked(1 / 0.6) },
  { name: '784-1200-1200-10 dropout, max-norm', sizes: [784, 1200, 1200, 10], ...common, ...noisy, ...asked(1 / 0.6) },
]

/** torch.optim.SGD as it chooses its implementation, and with fused=True. */
export const variants = ['default', 'fused']
export const comparisons = [
  { of: 'imago', than: 'torch default' },
  { of: 'imago', than: 'torch fused' },
  { of: 'imago', than: 'torch' },
]
export const overhead = true

export function write(settings, folder) {
  const { sizes, batch } = settings
  const classes = sizes.at(-1)
  writeWeights(settings, folder)
  writeNumbers(folder, 'x', noise(1, batch * sizes[0], 0.5))
  writeNumbers(folder, 'teacher', noise(2, batch * classes, 3))
  writeNumbers(
    folder,
    'labels',
    Int32Array.from({ length: batch }, (_, i) => i % classes),
  )
}

export async function prepare(settings, folder, { threads }) {
  const { batch, sizes, temperature, hardWeight, rate, momentum, maxSquaredNorm } = settings
  const { model, names, weights } = network(settings, folder)
  const form = training(model.graph)
  const program = vjp(form.graph, { ...form, wrt: names })
  const { parameters } = liftWeights(model.graph, names)
  for (const [name, data] of weights) parameters[name].data.set(data)
  const student = await openDifferentiable(program, { threads })
  const loss = softTarget({ temperature, hardWeight })
  const hidden = names.filter((name) => name.endsWith('.weight') && name !== `fc${sizes.length - 1}.weight`)
  const units = Object.fromEntries(hidden.map((name) => [name, 'rows']))
  const optimizer = sgd({ rate, momentum, ...(maxSquaredNorm && { maxSquaredNorm: { limit: maxSquaredNorm, units } }) })

  const inputs = { input: tensor('float32', [batch, sizes[0]], readNumbers(folder, 'x')) }
  const targets = {
    logits: tensor('float32', [batch, sizes.at(-1)], readNumbers(folder, 'teacher')),
    labels: tensor('int32', [batch], readNumbers(folder, 'labels', Int32Array)),
  }
  const random = rng(1)
  let done = 0

  const step = async (options = { rng: random }) => {
    const { outputs, pullback } = await student.forward(parameters, inputs, options)
    const { value, cotangents } = loss.evaluate(outputs, targets)
    const gradients = await pullback(cotangents)
    optimizer.step(parameters, gradients, { step: done++, epoch: 0, stepsPerEpoch: 1000, epochs: 1 })
    return { value, gradients }
  }

  return {
    /** One step: its loss, its gradients and the parameters after it. The masks are written for the other side to use. */
    async check() {
      const masks = rng(7)
      for (const [i, { dims, probability }] of program.noise.entries()) {
        const shape = dims.map((dim) => (typeof dim === 'number' ? dim : batch))
        writeNumbers(folder, `mask${i}`, dropoutMask({ dims: shape, probability, rng: masks }).data)
      }
      const { value, gradients } = await step({ rng: rng(7) })
      const tensors = {}
      for (const name of names) {
        tensors[`${name}.gradient`] = gradients[name].data
        tensors[name] = parameters[name].data
      }
      return { value, tensors }
    },
    async run(iterations) {
      for (let i = 0; i < iterations; i++) await step()
    },
    outcome: async () => (await step()).value,
    dispose: () => student.dispose(),
  }
}
