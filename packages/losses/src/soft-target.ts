import { checkTemperature, softTargetLoss } from '@imago/kernels'
import { ArgumentError, tensorMap } from '@imago/tensor'
import { classifierRows } from './classifier-rows.js'
import { gradientBuffer } from './gradient-buffer.js'
import type { Loss } from './loss.js'

export interface SoftTargetOptions {
  /** T in [1e-38, 1e30]: both softmaxes are taken of logits / T. */
  readonly temperature: number
  /** a in [0, 1]: the share of the cross entropy with the labels; default 0. A relative weight h is `hardWeightOf(h)`. */
  readonly hardWeight?: number
  /** The student output that holds logits [N, C]; default `logits`. */
  readonly output?: string
}

/**
 * Soft targets (Hinton, Vinyals & Dean 2015, §2), in nats:
 * Σ w·[(1 − a)·T²·KL(softmax(v/T) ‖ softmax(z/T)) + a·CE(z, y)] / Σ w.
 *
 * Targets: `logits` [N, C] of the teacher; `labels` [N], needed where a > 0: −1 is an unlabelled row (soft term only), −100 a
 * row that is left out; `weights` [N] where rows do not count alike. One pass of one kernel, both terms.
 * Parts: `soft` (with its T²), and `hard` where there are labels.
 *
 * @throws ArgumentError for T ≤ 0 and a outside [0, 1]
 */
export function softTarget(options: SoftTargetOptions): Loss {
  const { output = 'logits' } = options
  const temperature = checkTemperature('softTarget', options.temperature)
  const hardWeight = options.hardWeight ?? 0
  if (!(typeof hardWeight === 'number' && hardWeight >= 0 && hardWeight <= 1))
    throw new ArgumentError('softTarget', 'hardWeight', 'in [0, 1]', hardWeight)
  const needs = hardWeight > 0 ? ['logits', 'labels'] : ['logits']
  const buffer = gradientBuffer()
  return {
    needs: { student: [output], targets: needs },
    evaluate(student, targets) {
      const rows = classifierRows('softTarget', output, student, targets, needs, ['labels'])
      const { value, soft, hard, gradient } = softTargetLoss({
        student: rows.student,
        teacher: rows.teacher!,
        temperature,
        hardWeight,
        ...(rows.labels && { labels: rows.labels }),
        ...(rows.weights && { rowWeights: rows.weights }),
        out: buffer(rows.student.dims),
      })
      return { value, parts: rows.labels ? { soft, hard } : { soft }, cotangents: tensorMap([[output, gradient]]) }
    },
  }
}

/**
 * The share a of the hard term for the paper's way of saying it, "soft 1 : hard h": a = h / (1 + h). The objective is then
 * (1 + h) times smaller than soft + h·hard, which the rate makes up for.
 */
export function hardWeightOf(relative: number): number {
  if (!(typeof relative === 'number' && relative >= 0))
    throw new ArgumentError('hardWeightOf', 'relative', 'a number ≥ 0', relative)
  return relative === Number.POSITIVE_INFINITY ? 1 : relative / (1 + relative)
}
