import { ArgumentError, dims, ShapeError, type Tensor } from '@imago/tensor'
import type { Backend } from '../backend.js'
import type { AnyTensor, DeviceMemory } from '../devices/device-tensor.js'
import { checkApart, memory, whole } from '../guard.js'
import { resultIn } from './place.js'

/** What every loss over rows takes. */
export interface RowOptions<X extends AnyTensor = Tensor> {
  /** How much each row counts, `[N]` float32, finite and ≥ 0; left out: 1 each. A row of weight 0 is not read. */
  readonly rowWeights?: X | undefined
  /**
   * Which classes there are, `[C]` uint8 or bool: 0 leaves a class out (the padding of a vocabulary), as if its logits were −∞ in
   * student and teacher alike. They are not read, their gradient is 0. Left out: all.
   */
  readonly classMask?: X | undefined
  /** Where the gradient goes, `[N, C]` float32; may be the student itself, which is then overwritten. Left out: new memory. */
  readonly out?: X | undefined
  readonly backend?: Backend | undefined
}

/** What every loss over labelled rows takes. */
export interface LabelOptions {
  /** The label of rows that are left out; −100 unless given. */
  readonly ignoreIndex?: number | undefined
}

export interface RowInputs extends RowOptions<AnyTensor> {
  readonly student: AnyTensor
  readonly teacher?: AnyTensor | undefined
  readonly labels?: AnyTensor | undefined
}

export interface Rows {
  readonly rows: number
  readonly classes: number
  readonly student: Float32Array | DeviceMemory
  readonly teacher: Float32Array | Uint16Array | DeviceMemory | null
  readonly labels: Int32Array | DeviceMemory | null
  readonly rowWeights: Float32Array | DeviceMemory | null
  readonly classMask: Uint8Array | DeviceMemory | null
  readonly out: Float32Array | DeviceMemory
  readonly gradient: AnyTensor<'float32'>
}

/** The types of a teacher's logits, at the positions that kernels know as teacherType. */
export const teacherTypes = ['float32', 'float16', 'bfloat16'] as const
export type TeacherType = (typeof teacherTypes)[number]

/** Guard the tensors of a loss over rows and give their memory. */
export function rows(caller: string, inputs: RowInputs): Rows {
  const { student, teacher, labels, rowWeights, classMask, out } = inputs
  const { N, C } = dims(caller, {
    student: [student, 'N C', 'float32'],
    teacher: [teacher, 'N C', teacherTypes],
    labels: [labels, 'N', 'int32'],
    rowWeights: [rowWeights, 'N', 'float32'],
    classMask: [classMask, 'C', ['uint8', 'bool']],
    out: [out, 'N C', 'float32'],
  }) as { N: number; C: number }
  if (C === 0) throw new ShapeError(caller, 'student', '[N, C] with at least one class', `[${N}, 0]`)
  const z = memory(caller, 'student', student, 'float32')
  const v = teacher ? memory(caller, 'teacher', teacher, teacher.type as TeacherType) : null
  const y = labels ? memory(caller, 'labels', labels, 'int32') : null
  const w = rowWeights ? memory(caller, 'rowWeights', rowWeights, 'float32') : null
  const mask = classMask ? memory(caller, 'classMask', classMask, 'uint8') : null
  if (w !== null) checkWeights(caller, w)
  if (mask instanceof Uint8Array && mask.every((kept) => kept === 0))
    throw new ArgumentError(caller, 'classMask', 'at least one class that is not 0', 'only 0')
  const { result, written } = resultIn(caller, out, student, 'float32', [N, C])
  if (out) {
    // Asking an array for its buffer is what costs here, so the one that is written is asked once.
    const { buffer } = written
    if (z.buffer === buffer) checkApart(caller, 'out', written, 'student', z, z)
    if (v?.buffer === buffer) checkApart(caller, 'out', written, 'teacher', v)
    if (y?.buffer === buffer) checkApart(caller, 'out', written, 'labels', y)
    if (w?.buffer === buffer) checkApart(caller, 'out', written, 'rowWeights', w)
    if (mask?.buffer === buffer) checkApart(caller, 'out', written, 'classMask', mask)
  }
  return {
    rows: N,
    classes: C,
    student: z,
    teacher: v,
    labels: y,
    rowWeights: w,
    classMask: mask,
    out: written,
    gradient: result,
  }
}

export function ignoreIndexOf(caller: string, options: LabelOptions): number {
  return whole(caller, 'ignoreIndex', options.ignoreIndex ?? -100, -(2 ** 31), 2 ** 31 - 1)
}

/** Of a device's weights the kernel finds it. */
export function checkWeights(caller: string, weights: Float32Array | DeviceMemory | null): void {
  if (!(weights instanceof Float32Array)) return
  for (let r = 0; r < weights.length; r++)
    if (!(weights[r]! >= 0 && weights[r]! < Number.POSITIVE_INFINITY))
      throw new ArgumentError(caller, 'rowWeights', `finite and ≥ 0 in row ${r}`, weights[r])
}
