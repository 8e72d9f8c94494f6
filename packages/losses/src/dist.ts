import { checkTemperature, dist as distKernel } from '@imago/kernels'
import { ArgumentError, tensorMap } from '@imago/tensor'
import { classifierRows } from './classifier-rows.js'
import { gradientBuffer } from './gradient-buffer.js'
import type { Loss } from './loss.js'

export interface DistOptions {
  /** T in [1e-38, 1e30]; default 1. */
  readonly temperature?: number
  /** β ≥ 0 of the relations within a row; default 1. */
  readonly beta?: number
  /** γ ≥ 0 of the relations within a class; default 1. */
  readonly gamma?: number
  /** The student output that holds logits [N, C]; default `logits`. */
  readonly output?: string
}

/**
 * DIST (Huang et al. 2022, §4): β·inter + γ·intra with Pearson's correlation ρ of softmax(z/T) and softmax(v/T): inter is the mean of 1 − ρ over
 * the rows, intra over the classes, each along the rows of the batch. A batch of one row has intra = 1 and no gradient of it, and unlike
 * other losses a batch is not the mean of its rows. No factor T²: ρ does not fall with T. The papers add it to `hardLabel`.
 *
 * Targets: `logits` [N, C] of the teacher; `weights` [N] where rows do not count alike. Parts: `inter` and `intra`, without β and γ.
 *
 * @throws ArgumentError for T ≤ 0, β < 0 and γ < 0
 */
export function dist(options: DistOptions = {}): Loss {
  const { output = 'logits', beta = 1, gamma = 1 } = options
  const temperature = checkTemperature('dist', options.temperature ?? 1)
  for (const [name, value] of Object.entries({ beta, gamma }))
    if (!(typeof value === 'number' && value >= 0 && value < Number.POSITIVE_INFINITY))
      throw new ArgumentError('dist', name, 'a finite number ≥ 0', value)
  const needs = ['logits']
  const buffer = gradientBuffer()
  return {
    needs: { student: [output], targets: needs },
    evaluate(student, targets) {
      const rows = classifierRows('dist', output, student, targets, needs)
      const { value, inter, intra, gradient } = distKernel({
        student: rows.student,
        teacher: rows.teacher!,
        temperature,
        beta,
        gamma,
        ...(rows.weights && { rowWeights: rows.weights }),
        out: buffer(rows.student.dims),
      })
      return { value, parts: { inter, intra }, cotangents: tensorMap([[output, gradient]]) }
    },
  }
}
