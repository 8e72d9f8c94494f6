import { checkTemperature, topKSoftTargetLoss } from '@imago/kernels'
import { ArgumentError, tensorMap } from '@imago/tensor'
import { classifierRows, find } from './classifier-rows.js'
import { gradientBuffer } from './gradient-buffer.js'
import type { Loss } from './loss.js'
import type { SoftTargetOptions } from './soft-target.js'

/**
 * Soft targets of a teacher of which k classes a row are known, and what all others weigh together, in nats:
 * Σ w·[(1 − a)·T²·KL + a·CE(z, y)] / Σ w, where KL is that of k + 1 buckets. What a store of k classes gives is what it reads; nothing is made
 * dense. It is at most `softTarget` of the whole teacher, and equal to it at k = C.
 *
 * Targets: `indices` int32 [N, k], `values` [N, k] (the teacher's logits), and `logTail@T` [N], ln of the weight of all other classes at
 * this T: a tail is that of one temperature, and a store that has none for it is refused by name. `labels` and `weights` as of `softTarget`. Parts: `soft` (with its T²), and `hard` where there are labels.
 *
 * @throws ArgumentError for T ≤ 0 and a outside [0, 1]
 */
export function topKSoftTarget(options: SoftTargetOptions): Loss {
  const caller = 'topKSoftTarget'
  const { output = 'logits' } = options
  const temperature = checkTemperature(caller, options.temperature)
  const hardWeight = options.hardWeight ?? 0
  if (!(typeof hardWeight === 'number' && hardWeight >= 0 && hardWeight <= 1))
    throw new ArgumentError(caller, 'hardWeight', 'in [0, 1]', hardWeight)
  const tail = `logTail@${temperature}`
  const labels = hardWeight > 0 ? ['labels'] : []
  const needs = ['indices', 'values', tail, ...labels]
  const buffer = gradientBuffer()
  return {
    needs: { student: [output], targets: needs },
    evaluate(student, targets) {
      const rows = classifierRows(caller, output, student, targets, labels, ['labels'])
      const [indices, values, logTail] = needs.map((name) => find(caller, 'target', name, targets))
      const { value, soft, hard, gradient } = topKSoftTargetLoss({
        student: rows.student,
        teacher: { indices: indices!, values: values!, logTail: logTail! },
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
