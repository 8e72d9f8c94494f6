import { ArgumentError, type Tensor } from '@imago/tensor'
import { run } from '../backend.js'
import type { AnyTensor, Beside, Value } from '../devices/device-tensor.js'
import type { KernelName } from '../signatures.js'
import { numbers } from './place.js'
import { type RowOptions, rows, type TeacherType, teacherTypes } from './rows.js'

export interface RowLoss<X extends AnyTensor = Tensor> {
  /** The mean over the rows that count, in nats (logitRegression: squared logits; totalVariation: a share of mass). */
  readonly value: Value<X>
  /** dvalue/dstudent `[N, C]`. */
  readonly gradient: Beside<X, 'float32'>
}

/** What every comparison of a student with a teacher takes. */
export interface TeacherOptions<X extends AnyTensor = Tensor> extends RowOptions<X> {
  /** Logits `[N, C]`, float32. */
  readonly student: X
  /** Logits `[N, C]`, float32, float16 or bfloat16. */
  readonly teacher: X
}

/** Run a kernel over student, teacher, rowWeights, gradient, result and classMask whose scalars are rows, classes, `scalars`, teacherType. */
export function teacherLoss(
  caller: string,
  kernel: KernelName,
  options: TeacherOptions<AnyTensor>,
  scalars: readonly number[],
): RowLoss<AnyTensor> {
  const r = rows(caller, options)
  if (r.teacher === null) throw new ArgumentError(caller, 'teacher', 'a tensor [N, C]', undefined)
  const result = numbers(options.student, 1)
  run(
    caller,
    kernel,
    options.backend,
    [r.student, r.teacher, r.rowWeights, r.out, result.memory, r.classMask],
    [r.rows, r.classes, ...scalars, teacherTypes.indexOf(options.teacher.type as TeacherType)],
  )
  return { value: result.take()[0]!, gradient: r.gradient }
}
