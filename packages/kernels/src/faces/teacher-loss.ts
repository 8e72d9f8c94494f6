import { ArgumentError, type Tensor } from '@imago/tensor'
import { run } from '../backend.js'
import type { KernelName } from '../signatures.js'
import { type RowOptions, rows, type TeacherType, teacherTypes } from './rows.js'

export interface RowLoss {
  /** The mean over the rows that count, in nats (logitRegression: squared logits; totalVariation: a share of mass). */
  readonly value: number
  /** dvalue/dstudent `[N, C]`. */
  readonly gradient: Tensor<'float32'>
}

/** What every comparison of a student with a teacher takes. */
export interface TeacherOptions extends RowOptions {
  /** Logits `[N, C]`, float32. */
  readonly student: Tensor
  /** Logits `[N, C]`, float32, float16 or bfloat16. */
  readonly teacher: Tensor
}

/** Run a kernel over student, teacher, rowWeights, gradient, result and classMask whose scalars are rows, classes, `scalars`, teacherType. */
export function teacherLoss(
  caller: string,
  kernel: KernelName,
  options: TeacherOptions,
  scalars: readonly number[],
): RowLoss {
  const r = rows(caller, options)
  if (r.teacher === null) throw new ArgumentError(caller, 'teacher', 'a tensor [N, C]', undefined)
  const result = new Float64Array(1)
  run(
    caller,
    kernel,
    options.backend,
    [r.student, r.teacher, r.rowWeights, r.out, result, r.classMask],
    [r.rows, r.classes, ...scalars, teacherTypes.indexOf(options.teacher.type as TeacherType)],
  )
  return { value: result[0]!, gradient: r.gradient }
}
