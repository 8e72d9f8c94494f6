import { readFileSync } from 'node:fs'
import { type Tensor, tensor } from '@imago/tensor'
import { describe, expect, test } from 'vitest'
import {
  backends,
  crossEntropy,
  dist,
  dkd,
  jsDivergence,
  klDivergence,
  reverseKl,
  topKSoftTargetLoss,
  totalVariation,
} from '../src/index.js'

/** A record of the golden file; the fields are those that golden/make_divergences.py writes. */
// biome-ignore lint/suspicious/noExplicitAny: JSON
type Golden = any

const golden: { readonly [table: string]: Golden[] } = JSON.parse(
  readFileSync(new URL('./golden/divergences.json', import.meta.url), 'utf8'),
)

const f32 = (dims: number[], values: number[]) => tensor('float32', dims, Float32Array.from(values))

/** The tensors of a record by the names that the faces give them. */
function tensors(g: Golden): { student: Tensor; teacher: Tensor; rowWeights: Tensor } {
  const matrix = (values: number[] | undefined) => values && f32([g.rows, g.classes], values)
  return {
    student: matrix(g.student)!,
    ...(g.teacher && { teacher: matrix(g.teacher) }),
    ...(g.distribution && { distribution: matrix(g.distribution) }),
    ...(g.labels && { labels: tensor('int32', [g.rows], Int32Array.from(g.labels)) }),
    ...(g.classMask && { classMask: tensor('uint8', [g.classes], Uint8Array.from(g.classMask)) }),
    rowWeights: f32([g.rows], g.rowWeights),
  } as { student: Tensor; teacher: Tensor; rowWeights: Tensor }
}

describe.each(backends().filter(({ available }) => available))('$name against PyTorch', ({ name: backend }) => {
  // PyTorch's own float64 formulas lose digits where p and q are close: their gradients are differences of probabilities.
  const relative = backend === 'reference' ? 2e-7 : 1e-5

  function expectGolden(g: Golden, got: { value: number; gradient: Tensor<'float32'> }): void {
    expect(Math.abs(got.value - g.value)).toBeLessThan(relative * Math.abs(g.value) + 1e-15)
    const scale = Math.max(...g.gradient.map(Math.abs))
    for (const [i, want] of (g.gradient as number[]).entries())
      expect(Math.abs(got.gradient.data[i]! - want)).toBeLessThan(relative * scale + 1e-15)
  }

  const comparisons = { reverseKl, jsDivergence, totalVariation }
  test.each(golden.comparisons!)('$name T=$temperature β=$beta', (g: Golden) => {
    const { temperature, beta } = g
    const face = comparisons[g.name as keyof typeof comparisons]
    expectGolden(g, face({ ...tensors(g), temperature, beta, backend }))
  })

  test.each(golden.masked!)('klDivergence of masked classes, T=$temperature', (g: Golden) => {
    expectGolden(g, klDivergence({ ...tensors(g), temperature: g.temperature, backend }))
  })

  test.each(golden.distributions!)('crossEntropy with distributions, smoothing $smoothing', (g: Golden) => {
    const { student, rowWeights, distribution } = tensors(g) as unknown as { [name: string]: Tensor }
    const options = { student: student!, rowWeights, distribution: distribution!, smoothing: g.smoothing, backend }
    expectGolden(g, crossEntropy(options))
  })

  test.each(golden.dkd!)('dkd T=$temperature α=$alpha β=$beta', (g: Golden) => {
    const { temperature, alpha, beta } = g
    const { student, teacher, rowWeights, labels } = tensors(g) as unknown as { [name: string]: Tensor }
    const options = { student: student!, teacher: teacher!, rowWeights, labels: labels!, temperature, alpha, beta }
    expectGolden(g, dkd({ ...options, backend }))
  })

  test.each(golden.dist!)('dist T=$temperature β=$beta γ=$gamma', (g: Golden) => {
    const { temperature, beta, gamma } = g
    const got = dist({ ...tensors(g), temperature, beta, gamma, backend })
    expectGolden(g, got)
    expect(Math.abs(got.inter - g.inter)).toBeLessThan(1e-9)
    expect(Math.abs(got.intra - g.intra)).toBeLessThan(1e-9)
  })

  test.each(golden.topK!)('topKSoftTargetLoss T=$temperature k=$k a=$hardWeight', (g: Golden) => {
    const { temperature, hardWeight, rows, k } = g
    const { student, rowWeights, labels } = tensors(g) as unknown as { [name: string]: Tensor }
    const indices = tensor('int32', [rows, k], Int32Array.from(g.indices))
    const teacher = { indices, logProbabilities: f32([rows, k], g.logProbabilities) }
    const options = { student: student!, teacher, rowWeights, labels, temperature, hardWeight, backend }
    const got = topKSoftTargetLoss(options)
    // At T = 100 the tail is 1 less k numbers of float32.
    expectGolden(g, got)
    expect(Math.abs(got.hard - g.hard)).toBeLessThan(1e-5 * g.hard)
  })
})
