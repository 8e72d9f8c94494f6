import { checkTemperature } from '@imago/kernels'
import { ArgumentError, tensor, tensorMap } from '@imago/tensor'
import { classifierRows } from './classifier-rows.js'
import { gradientBuffer } from './gradient-buffer.js'
import type { Loss } from './loss.js'
import { softTarget } from './soft-target.js'

export interface VirtualTeacherOptions {
  /** T in [1e-38, 1e30] of the soft term; default 20, as the authors have it for ImageNet. */
  readonly temperature?: number
  /** What the virtual teacher gives to the label, in (1/C, 1); default 0.99. */
  readonly correct?: number
  /** The share of the soft term, in [0, 1]; default 0.1. */
  readonly softWeight?: number
  /** The student output that holds logits [N, C]; default `logits`. */
  readonly output?: string
}

/**
 * Teacher-free distillation by regularization (Tf-KD_reg: Yuan et al. 2020, §4.2), in nats: Σ w·[(1 − α)·CE(z, y) + α·T²·KL(p^d_T ‖ softmax(z/T))] / Σ w with a teacher
 * designed by hand, who gives `correct` to the label and the rest to the others alike, tempered at T. (The authors' code tempers the probabilities as if they
 * were logits and leaves T² to a multiplier; here it is as the equation has it.)
 *
 * Targets: `labels` [N]: −1 is an unlabelled row (0, and it counts), −100 a row that is left out; `weights` [N] where rows do not count alike.
 * Parts: `soft` (with its T²) and `hard`.
 *
 * @throws ArgumentError for options out of range; `evaluate`: for a label that is no class
 */
export function virtualTeacher(options: VirtualTeacherOptions = {}): Loss {
  const caller = 'virtualTeacher'
  const { output = 'logits', correct = 0.99, softWeight = 0.1 } = options
  const temperature = checkTemperature(caller, options.temperature ?? 20)
  if (!(correct > 0 && correct < 1)) throw new ArgumentError(caller, 'correct', 'in (0, 1)', correct)
  if (!(softWeight >= 0 && softWeight <= 1)) throw new ArgumentError(caller, 'softWeight', 'in [0, 1]', softWeight)
  const inner = softTarget({ temperature, hardWeight: 1 - softWeight, output })
  const needs = ['labels']
  const buffer = gradientBuffer()
  return {
    needs: { student: [output], targets: needs },
    evaluate(student, targets) {
      const rows = classifierRows(caller, output, student, targets, needs)
      const [, classes] = rows.student.dims as readonly [number, number]
      if (!(correct > 1 / classes))
        throw new ArgumentError(caller, 'correct', `more than a guess among ${classes} classes`, correct)
      const [own, other] = [Math.log(correct), Math.log((1 - correct) / (classes - 1))]
      const teacher = buffer(rows.student.dims)
      rows.labels!.data.forEach((label, r) => {
        const row = teacher.data.subarray(r * classes, (r + 1) * classes)
        if (label >= classes) throw new ArgumentError(caller, `labels[${r}]`, `a class in [0, ${classes})`, label)
        if (label >= 0) row.fill(other).fill(own, label, label + 1)
        // Of a row without a label nothing is known: a teacher who says what the student says moves nothing.
        else row.set(rows.student.data.subarray(r * classes, (r + 1) * classes))
      })
      const given = tensorMap(Object.entries(targets))
      given.logits = tensor('float32', teacher.dims, teacher.data)
      return inner.evaluate(student, given)
    },
  }
}
