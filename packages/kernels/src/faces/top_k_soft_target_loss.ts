import { ArgumentError, dims, type Tensor } from '@imago/tensor'
import { run } from '../backend.js'
import { type AnyTensor, type DeviceMemory, type DeviceTensor, isDeviceTensor } from '../devices/device-tensor.js'
import { checkDisjoint, checkTemperature, fraction, memory } from '../guard.js'
import { numbers } from './place.js'
import {
  ignoreIndexOf,
  type LabelOptions,
  type RowOptions,
  type Rows,
  rows,
  type TeacherType,
  teacherTypes,
} from './rows.js'
import type { SoftTargetLoss } from './soft_target_loss.js'

interface Classes<X extends AnyTensor> {
  /** Which classes, `[N, k]` int32, all different in a row; in any order. */
  readonly indices: X
}

/** k classes of each row of a teacher, and what is left for all others: the tail. */
export type TopKTeacher<X extends AnyTensor = Tensor> = Classes<X> &
  (
    | {
        /** Log-probabilities of softmax(v/T) at the T of the call, `[N, k]` nats; float32, float16 or bfloat16; −∞ is no mass. */
        readonly logProbabilities: X
        /**
         * ln of the probability of all other classes, `[N]` float32 or float64, ≤ 0; −∞ is none; on a device float64. Left out: what the k leave of 1. Given, the k
         * share the rest in proportion, so that rounded log-probabilities lose no mass.
         */
        readonly logTail?: X | undefined
        readonly values?: undefined
      }
    | {
        /** Logits `[N, k]`; float32, float16 or bfloat16. They are divided by T here. This is what `topK` gives. */
        readonly values: X
        /** As above, at the T of the call; needed where k < C. */
        readonly logTail?: X | undefined
        readonly logProbabilities?: undefined
      }
  )

export interface TopKSoftTargetLossOptions<X extends AnyTensor = Tensor> extends RowOptions<X>, LabelOptions {
  /** Logits `[N, C]`, float32. */
  readonly student: X
  readonly teacher: TopKTeacher<X>
  /** T in [1e-38, 1e30], that of the teacher's tail and log-probabilities: a tail is the tail at one temperature. */
  readonly temperature: number
  /** Classes `[N]`, int32; −1: unlabelled, the soft term only. */
  readonly labels?: X | undefined
  /** a in [0, 1], the weight of the labels' cross entropy; 0 unless given. */
  readonly hardWeight?: number | undefined
}

/**
 * `softTargetLoss` of a teacher of which k classes a row are known: Σ w·[(1 − a)·T²·KL + a·CE(z, y)] / Σ w, where KL is that of k + 1 buckets,
 * the k classes and all others together. It is a lower bound of KL over all classes (what is pooled cannot differ), equal to it for k = C.
 * The teacher is never made dense: its memory is k numbers and k indices a row.
 *
 * @throws ShapeError, ArgumentError (T, a, k, indices that are no classes or there twice, labels, weights, mask), NumericError naming the row
 * of a NaN, a +∞, a tail above 1, or log-probabilities whose probabilities sum to more than 1 by more than their rounding
 */
export function topKSoftTargetLoss(options: TopKSoftTargetLossOptions): SoftTargetLoss
export function topKSoftTargetLoss(options: TopKSoftTargetLossOptions<DeviceTensor>): SoftTargetLoss<DeviceTensor>
export function topKSoftTargetLoss(options: TopKSoftTargetLossOptions<AnyTensor>): SoftTargetLoss<AnyTensor> {
  const caller = 'topKSoftTargetLoss'
  const { teacher: given, ...own } = options
  const r = rows(caller, own)
  const t = teacherOf(caller, options, classesOf(r))
  if (options.out) checkDisjoint(caller, 'out', r.out, t.arrays)
  const temperature = checkTemperature(caller, options.temperature)
  const hardWeight = fraction(caller, 'hardWeight', options.hardWeight ?? 0)
  if (hardWeight > 0 && r.labels === null)
    throw new ArgumentError(caller, 'labels', 'given where hardWeight > 0', undefined)
  const result = numbers(options.student, 3)
  const { indices, values, logTail } = t.arrays
  const tail = logTail instanceof Float32Array ? Float64Array.from(logTail) : logTail
  const areLogits = given.values ? 1 : 0
  run(
    caller,
    'top_k_soft_target_loss',
    options.backend,
    [r.student, indices, values, tail, r.labels, r.rowWeights, r.out, result.memory, r.classMask],
    [r.rows, r.classes, t.k, temperature, hardWeight, ignoreIndexOf(caller, options), t.type, areLogits],
  )
  const [value, soft, hard] = result.take()
  return { value: value!, soft: soft!, hard: hard!, gradient: r.gradient }
}

/** How many classes the mask leaves; one on a device is the kernel's to count. */
function classesOf({ classes, classMask }: Rows): number {
  return classMask instanceof Uint8Array ? classMask.reduce((count, kept) => count + Number(kept !== 0), 0) : classes
}

function teacherOf(
  caller: string,
  { student, teacher }: TopKSoftTargetLossOptions<AnyTensor>,
  classes: number,
): {
  readonly k: number
  readonly type: number
  readonly arrays: {
    readonly indices: Int32Array | DeviceMemory
    readonly values: Float32Array | Uint16Array | DeviceMemory
    readonly logTail: Float32Array | Float64Array | DeviceMemory | null
  }
} {
  const { indices, logProbabilities, values, logTail } = teacher
  if ((values === undefined) === (logProbabilities === undefined))
    throw new ArgumentError(caller, 'teacher', 'values (logits) or logProbabilities, one of them', values)
  const given = (logProbabilities ?? values)!
  const { k } = dims(caller, {
    student: [student, 'N C', 'float32'],
    'teacher.indices': [indices, 'N k', 'int32'],
    [values ? 'teacher.values' : 'teacher.logProbabilities']: [given, 'N k', teacherTypes],
    'teacher.logTail': [logTail, 'N', isDeviceTensor(student) ? 'float64' : ['float32', 'float64']],
  }) as { k: number }
  if (!(k >= 1 && k <= classes)) throw new ArgumentError(caller, 'teacher', `1 … ${classes} classes a row`, k)
  if (values && !logTail && k < classes)
    throw new ArgumentError(caller, 'teacher.logTail', 'given where k logits are not all', undefined)
  return {
    k,
    type: teacherTypes.indexOf(given.type as TeacherType),
    arrays: {
      indices: memory(caller, 'teacher.indices', indices, 'int32'),
      values: memory(caller, 'teacher.values', given, given.type as TeacherType),
      logTail: logTail ? memory(caller, 'teacher.logTail', logTail, logTail.type as 'float32' | 'float64') : null,
    },
  }
}
