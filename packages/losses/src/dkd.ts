import { checkTemperature, dkd as dkdKernel } from '@imago/kernels'
import { ArgumentError, tensorMap } from '@imago/tensor'
import { classifierRows } from './classifier-rows.js'
import { gradientBuffer } from './gradient-buffer.js'
import type { Loss } from './loss.js'

export interface DkdOptions {
  /** T in [1e-38, 1e30]; the authors take 4 for CIFAR-100, 1 for ImageNet. */
  readonly temperature: number
  /** α ≥ 0 of the target's term; default 1. */
  readonly alpha?: number
  /** β ≥ 0 of the other classes' term; default 8. */
  readonly beta?: number
  /** The student output that holds logits [N, C]; default `logits`. */
  readonly output?: string
}

/**
 * Decoupled knowledge distillation (Zhao et al. 2022, §3), in nats: Σ w·T²·(α·TCKD + β·NCKD) / Σ w. TCKD is KL of the two classes "label" and
 * "all others", NCKD is KL of the softmaxes over the others: soft targets weigh it by 1 − p_t, which hides it where the teacher is sure.
 * The papers add it to `hardLabel`.
 *
 * Targets: `logits` [N, C] of the teacher; `labels` [N]: −1 is an unlabelled row (0, and it counts), −100 a row that is left out; `weights`
 * [N] where rows do not count alike. Parts: `target` and `rest`, with T² and without α and β.
 *
 * @throws ArgumentError for T ≤ 0, α < 0 and β < 0
 */
export function dkd(options: DkdOptions): Loss {
  const { output = 'logits', alpha = 1, beta = 8 } = options
  const temperature = checkTemperature('dkd', options.temperature)
  for (const [name, value] of Object.entries({ alpha, beta }))
    if (!(typeof value === 'number' && value >= 0 && value < Number.POSITIVE_INFINITY))
      throw new ArgumentError('dkd', name, 'a finite number ≥ 0', value)
  const needs = ['logits', 'labels']
  const buffer = gradientBuffer()
  return {
    needs: { student: [output], targets: needs },
    evaluate(student, targets) {
      const rows = classifierRows('dkd', output, student, targets, needs)
      const { value, target, rest, gradient } = dkdKernel({
        student: rows.student,
        teacher: rows.teacher!,
        labels: rows.labels!,
        temperature,
        alpha,
        beta,
        ...(rows.weights && { rowWeights: rows.weights }),
        out: buffer(rows.student.dims),
      })
      return { value, parts: { target, rest }, cotangents: tensorMap([[output, gradient]]) }
    },
  }
}
