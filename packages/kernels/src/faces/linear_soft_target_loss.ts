import { ArgumentError, dims, ShapeError, type Tensor } from '@imago/tensor'
import { type Backend, run } from '../backend.js'
import type { AnyTensor, Beside, DeviceMemory, DeviceTensor } from '../devices/device-tensor.js'
import { checkDisjoint, checkTemperature, fraction, memory, whole } from '../guard.js'
import { numbers as numbersIn, resultIn } from './place.js'
import { checkWeights, ignoreIndexOf, type LabelOptions, type TeacherType, teacherTypes as types } from './rows.js'
import type { SoftTargetLoss } from './soft_target_loss.js'

/** The last layer of a classifier and what goes into it; its logits are hidden·weightᵀ + bias. */
export interface LinearHead<X extends AnyTensor = Tensor> {
  /** `[N, D]`, float32, float16 or bfloat16, finite. */
  readonly hidden: X
  /** `[C, D]`, of the same type, finite. */
  readonly weight: X
  /** `[C]`, float32; −∞ excludes a class (a vocabulary's padding). */
  readonly bias?: X | undefined
}

export type GradientName = 'hidden' | 'weight' | 'bias'

export interface LinearSoftTargetLossOptions<X extends AnyTensor = Tensor> extends LabelOptions {
  readonly student: LinearHead<X>
  /** Logits `[N, C]`, float32, float16 or bfloat16, or a head over as many classes: its D may be another. */
  readonly teacher: LinearHead<X> | { readonly logits: X }
  /** T in [1e-38, 1e30]. */
  readonly temperature: number
  /** Classes `[N]`, int32; −1: unlabelled, the soft term only. */
  readonly labels?: X | undefined
  /** a in [0, 1], the weight of the labels' cross entropy; 0 unless given. */
  readonly hardWeight?: number | undefined
  /** How much each row counts, `[N]` float32, finite and ≥ 0; left out: 1 each. A row of weight 0 is not read and costs nothing. */
  readonly rowWeights?: X | undefined
  /** Which classes there are, `[C]` uint8 or bool: 0 leaves a class out (the padding of a vocabulary) on both sides. Left out: all. */
  readonly classMask?: X | undefined
  /** Which gradients are computed; all of them unless given, the bias's where there is one. */
  readonly gradients?: readonly GradientName[] | undefined
  /** Where gradients go, float32; `hidden` may be the student's own float32 hidden states. Left out: new memory. */
  readonly out?: { readonly [name in GradientName]?: X | undefined } | undefined
  /** Rows whose logits are in memory at a time; unless given, as many as make 64 MiB, at least 42. */
  readonly chunkRows?: number | undefined
  readonly backend?: Backend | undefined
}

export interface LinearSoftTargetLoss<X extends AnyTensor = Tensor> extends Omit<SoftTargetLoss<X>, 'gradient'> {
  /** dvalue by the student's hidden states `[N, D]`, weight `[C, D]` and bias `[C]`: those that were asked for. */
  readonly gradients: { readonly [name in GradientName]?: Beside<X, 'float32'> }
}

const names: readonly GradientName[] = ['hidden', 'weight', 'bias']

/**
 * `softTargetLoss` of the logits h·Wᵀ + b, with its gradients by the hidden states h, the weight W and the bias b, without the
 * matrix of logits: neither the student's nor the teacher's ever exists as a whole. For vocabularies: 8192 rows of 128,256
 * classes are 4.2 GB a matrix.
 *
 * Beside inputs and gradients it takes 4·chunkRows·C bytes, twice that where the teacher comes as a head (or as logits of which
 * rows are left out), and some MB. Each row costs 6·C·D floating-point operations (4 without one of `hidden` and `weight`) and 2·C·D of a
 * teacher's head. Rows that are left out (weight 0, ignoreIndex) are not multiplied at all. On the `reference` backend
 * everything is in memory, in float64.
 *
 * @throws ShapeError, ArgumentError (T, a, labels out of range, weights), NumericError naming the row of a NaN or an infinity, or
 * of logits beyond float32 (then what `out` holds is unspecified), UnsupportedError for a backend that is not there
 */
export function linearSoftTargetLoss(options: LinearSoftTargetLossOptions): LinearSoftTargetLoss
export function linearSoftTargetLoss(
  options: LinearSoftTargetLossOptions<DeviceTensor>,
): LinearSoftTargetLoss<DeviceTensor>
export function linearSoftTargetLoss(options: LinearSoftTargetLossOptions<AnyTensor>): LinearSoftTargetLoss<AnyTensor> {
  const caller = 'linearSoftTargetLoss'
  const { student, teacher, labels, rowWeights, classMask, out = {} } = options
  const { logits, head } = teacherOf(caller, teacher)
  const sizes = dims(caller, {
    'student.hidden': [student.hidden, 'N D', types],
    'student.weight': [student.weight, 'C D', types],
    'student.bias': [student.bias, 'C', 'float32'],
    'teacher.logits': [logits, 'N C', types],
    'teacher.hidden': [head?.hidden, 'N E', types],
    'teacher.weight': [head?.weight, 'C E', types],
    'teacher.bias': [head?.bias, 'C', 'float32'],
    labels: [labels, 'N', 'int32'],
    rowWeights: [rowWeights, 'N', 'float32'],
    classMask: [classMask, 'C', ['uint8', 'bool']],
    'out.hidden': [out.hidden, 'N D', 'float32'],
    'out.weight': [out.weight, 'C D', 'float32'],
    'out.bias': [out.bias, 'C', 'float32'],
  })
  const { N, C, D, E = 0 } = sizes as { N: number; C: number; D: number; E?: number }
  if (C === 0) throw new ShapeError(caller, 'student.weight', '[C, D] with at least one class', `[0, ${D}]`)
  if (D === 0) throw new ShapeError(caller, 'student.hidden', '[N, D] with D > 0', `[${N}, 0]`)
  if (head && E === 0) throw new ShapeError(caller, 'teacher.hidden', '[N, E] with E > 0', `[${N}, 0]`)
  sameType(caller, 'student', student)
  if (head) sameType(caller, 'teacher', head)
  const temperature = checkTemperature(caller, options.temperature)
  const hardWeight = fraction(caller, 'hardWeight', options.hardWeight ?? 0)
  if (hardWeight > 0 && !labels) throw new ArgumentError(caller, 'labels', 'given where hardWeight > 0', undefined)

  const read = {
    'student.hidden': numbers(caller, 'student.hidden', student.hidden),
    'student.weight': numbers(caller, 'student.weight', student.weight),
    'student.bias': numbers(caller, 'student.bias', student.bias),
    'teacher.logits': numbers(caller, 'teacher.logits', logits),
    'teacher.hidden': numbers(caller, 'teacher.hidden', head?.hidden),
    'teacher.weight': numbers(caller, 'teacher.weight', head?.weight),
    'teacher.bias': numbers(caller, 'teacher.bias', head?.bias),
    labels: labels ? memory(caller, 'labels', labels, 'int32') : null,
    rowWeights: rowWeights ? memory(caller, 'rowWeights', rowWeights, 'float32') : null,
  }
  const mask = classMask ? memory(caller, 'classMask', classMask, 'uint8') : null
  checkWeights(caller, read.rowWeights)
  if (mask instanceof Uint8Array && mask.every((kept) => kept === 0))
    throw new ArgumentError(caller, 'classMask', 'at least one class that is not 0', 'only 0')
  const shapes = { hidden: [N, D], weight: [C, D], bias: [C] }
  const gradients: { [name in GradientName]?: AnyTensor<'float32'> } = {}
  const written: { [name: string]: Float32Array | DeviceMemory } = {}
  for (const name of wanted(caller, options)) {
    const given = out[name]
    const made = resultIn(caller, given, student.hidden, 'float32', shapes[name], `out.${name}`)
    const data = made.written
    if (given) {
      const own = name === 'hidden' ? (read['student.hidden'] ?? undefined) : undefined
      checkDisjoint(caller, `out.${name}`, data, { ...read, classMask: mask, ...written }, own)
    }
    written[`out.${name}`] = data
    gradients[name] = made.result
  }

  const result = numbersIn(student.hidden, 3)
  run(
    caller,
    'linear_soft_target_loss',
    options.backend,
    [...Object.values(read), ...names.map((name) => written[`out.${name}`] ?? null), result.memory, mask],
    [
      N,
      C,
      D,
      E,
      temperature,
      hardWeight,
      ignoreIndexOf(caller, options),
      types.indexOf(student.hidden.type as TeacherType),
      types.indexOf((logits ?? head!.hidden).type as TeacherType),
      options.chunkRows === undefined ? 0 : whole(caller, 'chunkRows', options.chunkRows, 1, 2 ** 31 - 1),
    ],
  )
  const [value, soft, hard] = result.take()
  return { value: value!, soft: soft!, hard: hard!, gradients }
}

function teacherOf(
  caller: string,
  teacher: LinearSoftTargetLossOptions<AnyTensor>['teacher'],
): { logits: AnyTensor | undefined; head: LinearHead<AnyTensor> | undefined } {
  const { logits, hidden, weight } = (teacher ?? {}) as Partial<LinearHead<AnyTensor> & { logits: AnyTensor }>
  const isHead = hidden !== undefined && weight !== undefined
  if (isHead === (logits !== undefined) || (logits && 'bias' in teacher && teacher.bias))
    throw new ArgumentError(caller, 'teacher', '{ logits } or { hidden, weight, bias? }', teacher)
  return isHead ? { logits: undefined, head: teacher as LinearHead<AnyTensor> } : { logits, head: undefined }
}

function sameType(caller: string, side: 'student' | 'teacher', { hidden, weight }: LinearHead<AnyTensor>): void {
  if (hidden.type !== weight.type)
    throw new ShapeError(caller, `${side}.weight`, `of ${side}.hidden's type, ${hidden.type}`, weight.type)
}

function numbers(
  caller: string,
  argument: string,
  value: AnyTensor | undefined,
): Float32Array | Uint16Array | DeviceMemory | null {
  return value ? memory(caller, argument, value, value.type as TeacherType) : null
}

/** What was asked for, and what there is a place for. */
function wanted(
  caller: string,
  { gradients, student, out }: LinearSoftTargetLossOptions<AnyTensor>,
): readonly GradientName[] {
  for (const name of gradients ?? [])
    if (!names.includes(name)) throw new ArgumentError(caller, 'gradients', `of ${names.join(', ')}`, name)
  const asked = gradients ?? (student.bias === undefined ? ['hidden', 'weight'] : names)
  return names.filter((name) => asked.includes(name) || out?.[name])
}
