import type { RowLoss, TeacherOptions } from '@imago/kernels'
import { type Tensor, tensorMap } from '@imago/tensor'
import { classifierRows } from './classifier-rows.js'
import { gradientBuffer } from './gradient-buffer.js'
import type { Loss } from './loss.js'

/** A loss over the logits of student and teacher: `factor` times what a kernel of @imago/kernels says, told as the part `part`. */
export function comparison(
  caller: string,
  part: string,
  output: string,
  factor: number,
  kernel: (options: TeacherOptions) => RowLoss,
): Loss {
  const needs = ['logits']
  const buffer = gradientBuffer()
  return {
    needs: { student: [output], targets: needs },
    evaluate(student, targets) {
      const rows = classifierRows(caller, output, student, targets, needs)
      const result = kernel({
        student: rows.student,
        teacher: rows.teacher!,
        ...(rows.weights && { rowWeights: rows.weights }),
        out: buffer(rows.student.dims),
      })
      const value = factor * result.value
      scale(result.gradient, factor)
      return { value, parts: { [part]: value }, cotangents: tensorMap([[output, result.gradient]]) }
    },
  }
}

function scale({ data }: Tensor<'float32'>, factor: number): void {
  if (factor !== 1) for (let i = 0; i < data.length; i++) data[i] = data[i]! * factor
}
