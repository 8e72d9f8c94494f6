import { logitRegression as logitRegressionKernel } from '@imago/kernels'
import { tensorMap } from '@imago/tensor'
import { classifierRows } from './classifier-rows.js'
import { gradientBuffer } from './gradient-buffer.js'
import type { Loss } from './loss.js'

export interface LogitRegressionOptions {
  /** True: both rows of logits are centred first, so that a constant that softmax does not see is not learned; default false. */
  readonly zeroMean?: boolean
  /** The student output that holds logits [N, C]; default `logits`. */
  readonly output?: string
}

/**
 * Regression on logits (Ba & Caruana 2014, §2.2), in squared logits: Σ w·½·‖z − v‖² / Σ w.
 * With `zeroMean` it is C times the limit of `softTarget` as T → ∞ (Hinton, Vinyals & Dean 2015, eq. 4).
 *
 * Targets: `logits` [N, C] of the teacher; `weights` [N] where rows do not count alike. Parts: `regression`.
 */
export function logitRegression(options: LogitRegressionOptions = {}): Loss {
  const { zeroMean = false, output = 'logits' } = options
  const needs = ['logits']
  const buffer = gradientBuffer()
  return {
    needs: { student: [output], targets: needs },
    evaluate(student, targets) {
      const rows = classifierRows('logitRegression', output, student, targets, needs)
      const { value, gradient } = logitRegressionKernel({
        student: rows.student,
        teacher: rows.teacher!,
        zeroMean,
        ...(rows.weights && { rowWeights: rows.weights }),
        out: buffer(rows.student.dims),
      })
      return { value, parts: { regression: value }, cotangents: tensorMap([[output, gradient]]) }
    },
  }
}
