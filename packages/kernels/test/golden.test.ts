import { readFileSync } from 'node:fs'
import { tensor } from '@imago/tensor'
import { describe, expect, test } from 'vitest'
import { adamw, backends, crossEntropy, sgd, softmax, softTargetLoss } from '../src/index.js'

/** A record of the golden file; the fields are those that golden/make.py writes. */
// biome-ignore lint/suspicious/noExplicitAny: JSON
type Golden = any

const golden: { [table: string]: Golden[] } & { renormed: Golden } = JSON.parse(
  readFileSync(new URL('./golden/torch.json', import.meta.url), 'utf8'),
)

const f32 = (dims: number[], values: number[]) => tensor('float32', dims, Float32Array.from(values))
const i32 = (values: number[]) => tensor('int32', [values.length], Int32Array.from(values))

/** Elements close to what PyTorch computed in float64, relative to the largest of them. */
function expectClose(got: ArrayLike<number>, want: readonly number[], relative: number): void {
  const scale = Math.max(...want.map(Math.abs), 1e-30)
  expect(got.length).toBe(want.length)
  for (let i = 0; i < want.length; i++) expect(Math.abs(got[i]! - want[i]!) / scale).toBeLessThan(relative)
}

describe.each(backends().filter(({ available }) => available))('$name against PyTorch', ({ name: backend }) => {
  // The reference rounds only what it writes; the addon computes in float32.
  const relative = backend === 'reference' ? 1e-7 : 1e-5
  const valueRelative = backend === 'reference' ? 1e-9 : 1e-5

  test.each(golden.losses!)('softTargetLoss C=$classes T=$temperature a=$hardWeight', (g: Golden) => {
    const { value, soft, hard, gradient } = softTargetLoss({
      student: f32([g.rows, g.classes], g.student),
      teacher: f32([g.rows, g.classes], g.teacher),
      labels: i32(g.labels),
      rowWeights: f32([g.rows], g.rowWeights),
      temperature: g.temperature,
      hardWeight: g.hardWeight,
      backend,
    })
    expectClose([value], [g.value], valueRelative)
    expectClose([soft], [g.soft], valueRelative)
    expectClose([hard], [g.hard], valueRelative)
    expectClose(gradient.data, g.gradient, relative)
  })

  test.each(golden.crossEntropies!)('crossEntropy smoothing $smoothing', (g: Golden) => {
    const { value, gradient } = crossEntropy({
      student: f32([g.rows, g.classes], g.student),
      labels: i32(g.labels),
      smoothing: g.smoothing,
      backend,
    })
    expectClose([value], [g.value], valueRelative)
    expectClose(gradient.data, g.gradient, relative)
  })

  test.each(golden.softmaxes!)('softmax T=$temperature', (g: Golden) => {
    const { temperature } = g
    const logits = f32([g.rows, g.classes], g.logits)
    expectClose(softmax({ logits, temperature, backend }).data, g.probabilities, relative)
    expectClose(softmax({ logits, temperature, log: true, backend }).data, g.logProbabilities, relative)
  })

  test.each(golden.optimizers!)('$name $settings', (g: Golden) => {
    const n = g.start.length
    const parameter = f32([n], g.start)
    const slots = [f32([n], Array(n).fill(0)), f32([n], Array(n).fill(0))] as const
    const { lr: rate, momentum, weight_decay: weightDecay, betas = [], eps: epsilon } = g.settings
    for (const [i, values] of g.gradients.entries()) {
      const gradient = f32([n], values)
      if (g.name === 'sgd') sgd({ parameter, gradient, velocity: slots[0], rate, momentum, weightDecay, backend })
      else {
        const [beta1, beta2] = betas
        const [m, v] = slots
        adamw({ parameter, gradient, m, v, rate, beta1, beta2, epsilon, weightDecay, step: i + 1, backend })
      }
      // Parameters are stored in float32 after every step, PyTorch's in float64.
      expectClose(parameter.data, g.parameters[i], 1e-6)
    }
  })

  test.each(['rows', 'columns'] as const)('max-norm by %s against torch.renorm', (units) => {
    const parameter = f32([4, 3], golden.renormed.matrix)
    const still = () => f32([4, 3], Array(12).fill(0))
    const maxSquaredNorm = golden.renormed.maxNorm ** 2
    sgd({ parameter, gradient: still(), velocity: still(), rate: 0.1, maxSquaredNorm, units, backend })
    expectClose(parameter.data, golden.renormed[units], 1e-6)
  })
})
