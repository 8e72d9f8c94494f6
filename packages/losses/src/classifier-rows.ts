import { dims, NotFoundError, ShapeError, type Tensor, type TensorMap } from '@imago/tensor'

/** What a loss over classifier outputs reads of one batch, checked: N rows, C classes. */
export interface ClassifierRows {
  /** The student's logits [N, C]. */
  readonly student: Tensor<'float32'>
  /** The teacher's logits [N, C]. */
  readonly teacher?: Tensor<'float32' | 'float16' | 'bfloat16'>
  /** [N]; −1 is unlabelled. */
  readonly labels?: Tensor<'int32'>
  /** [N]; absent: every row weighs 1. */
  readonly weights?: Tensor<'float32'>
}

/**
 * The student output `output` and the named targets, checked against each other. `weights` is taken where it is there, and
 * so is what `optional` names.
 * @throws NotFoundError for a name that is missing, ShapeError for rows or classes that disagree
 */
export function classifierRows(
  caller: string,
  output: string,
  student: TensorMap,
  targets: TensorMap,
  needs: readonly string[],
  optional: readonly string[] = [],
): ClassifierRows {
  const logits = find(caller, 'student output', output, student)
  const read = (name: string): Tensor | undefined => {
    if (needs.includes(name)) return find(caller, 'target', name, targets)
    return optional.includes(name) ? targets[name] : undefined
  }
  const teacher = read('logits')
  const labels = read('labels')
  const weights = targets.weights
  if (teacher?.dims.length === 2 && logits.dims.length === 2 && teacher.dims[1] !== logits.dims[1])
    throw new ShapeError(
      caller,
      'targets.logits',
      `logits of the student's ${logits.dims[1]} classes`,
      `${teacher.dims[1]}: the teacher has ${teacher.dims[1]} classes, the student ${logits.dims[1]}; give the student as many outputs, or choose the teacher's columns`,
    )
  dims(caller, {
    [`student.${output}`]: [logits, 'N C', 'float32'],
    'targets.logits': [teacher, 'N C', ['float32', 'float16', 'bfloat16']],
    'targets.labels': [labels, 'N', 'int32'],
    'targets.weights': [weights, 'N', 'float32'],
  })
  return { student: logits, teacher, labels, weights } as ClassifierRows
}

/** A tensor by its name. @throws NotFoundError with the names that are there */
export function find(caller: string, kind: string, name: string, map: TensorMap): Tensor {
  const value = map[name]
  if (value !== undefined) return value
  const names = Object.keys(map)
  throw new NotFoundError(
    `${caller}: no ${kind} ${JSON.stringify(name)}`,
    names.length === 0 ? 'There are none at all' : `There are: ${names.join(', ')}`,
  )
}
