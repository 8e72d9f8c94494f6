import { crossEntropy } from '@imago/kernels'
import { ArgumentError, tensorMap } from '@imago/tensor'
import { classifierRows } from './classifier-rows.js'
import { gradientBuffer } from './gradient-buffer.js'
import type { Loss } from './loss.js'

export interface HardLabelOptions {
  /** ε in [0, 1): targets are (1 − ε)·onehot + ε/C (Szegedy et al. 2016, §7); default 0. */
  readonly smoothing?: number
  /** The student output that holds logits [N, C]; default `logits`. */
  readonly output?: string
}

/**
 * Cross entropy with labels, in nats: Σ w·(−Σ_c t_c·log softmax(z)_c) / Σ w, t = (1 − ε)·onehot(y) + ε/C.
 *
 * Targets: `labels` [N]: −1 is an unlabelled row (its term is 0, it counts in Σ w), −100 a row that is left out; `weights` [N]
 * where rows do not count alike. Parts: `hard`.
 */
export function hardLabel(options: HardLabelOptions = {}): Loss {
  const { smoothing = 0, output = 'logits' } = options
  if (!(typeof smoothing === 'number' && smoothing >= 0 && smoothing < 1))
    throw new ArgumentError('hardLabel', 'smoothing', 'in [0, 1)', smoothing)
  const needs = ['labels']
  const buffer = gradientBuffer()
  return {
    needs: { student: [output], targets: needs },
    evaluate(student, targets) {
      const rows = classifierRows('hardLabel', output, student, targets, needs)
      const { value, gradient } = crossEntropy({
        student: rows.student,
        labels: rows.labels!,
        smoothing,
        ...(rows.weights && { rowWeights: rows.weights }),
        out: buffer(rows.student.dims),
      })
      return { value, parts: { hard: value }, cotangents: tensorMap([[output, gradient]]) }
    },
  }
}
