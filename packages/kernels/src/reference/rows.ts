import { decodeBfloat16, decodeFloat16 } from '../half.js'

/** The rows of a call as every loss over rows has them. */
export interface Batch {
  readonly rows: number
  readonly classes: number
  readonly student: Float32Array
  readonly teacher?: Float32Array | Uint16Array
  /** 0 float32, 1 float16, 2 bfloat16. */
  readonly teacherType?: number
  readonly labels?: Int32Array | null
  readonly ignoreIndex?: number
  readonly rowWeights: Float32Array | null
  readonly classMask: Uint8Array | null
  readonly gradient: Float32Array | null
  /** What a row of logits must be: to have a softmax, or to be subtracted from another. */
  readonly expect: 'softmax' | 'finite'
}

/** A row that counts, without the classes that the mask leaves out. */
export interface Row {
  readonly index: number
  /** Its part of the mean: w / Σ w. */
  readonly share: number
  readonly z: Float32Array
  readonly v: Float32Array
  /** Position of the label in z; −1: unlabelled. */
  readonly label: number
  /** To be filled with the derivative of the row's loss by z. */
  readonly gradient: Float64Array
  /** The row's part of another matrix [R, C]. */
  of(matrix: Float32Array): Float32Array
  /** The position of a class in z. */
  position(c: number): number
}

/**
 * Refuse what cannot be computed, then visit the rows that count in their order. The gradient of the call becomes share·gradient of
 * the row, and 0 in rows and classes that do not count.
 */
export function eachRow(batch: Batch, visit: (row: Row) => void): void {
  const { rows, classes, student, labels = null, gradient, classMask } = batch
  const teacher = batch.teacher && decoded(batch.teacher, batch.teacherType ?? 0)
  const kept = classesOf(batch)
  const counts = rowCounts(rows, batch.rowWeights, labels, batch.ignoreIndex ?? Number.NaN)
  const weightSum = total(counts)
  const row = (matrix: Float32Array, r: number): Float32Array => {
    const whole = matrix.subarray(r * classes, (r + 1) * classes)
    return classMask === null ? whole : Float32Array.from(kept, (c) => whole[c]!)
  }
  const check = batch.expect === 'finite' ? checkFinite : checkLogits
  checkLabels(labels, classes, counts, classMask)
  check('student', student, counts, classMask)
  if (teacher) check('teacher', teacher, counts, classMask)
  for (let r = 0; r < rows; r++) {
    if (counts[r] === 0) {
      gradient?.fill(0, r * classes, (r + 1) * classes)
      continue
    }
    const share = counts[r]! / weightSum
    const slope = new Float64Array(kept.length)
    visit({
      index: r,
      share,
      z: row(student, r),
      v: teacher ? row(teacher, r) : new Float32Array(0),
      label: labels === null || labels[r] === -1 ? -1 : kept.indexOf(labels[r]!),
      gradient: slope,
      of: (matrix) => row(matrix, r),
      position: (c) => kept.indexOf(c),
    })
    if (gradient === null) continue
    if (classMask !== null) gradient.fill(0, r * classes, (r + 1) * classes)
    for (const [i, c] of kept.entries()) gradient[r * classes + c] = share * slope[i]!
  }
}

/** The classes that the mask leaves; rows need one. */
export function classesOf({ rows, classes, classMask }: Pick<Batch, 'rows' | 'classes' | 'classMask'>): number[] {
  const kept: number[] = []
  for (let c = 0; c < classes; c++) if (classMask === null || classMask[c] !== 0) kept.push(c)
  if (rows > 0 && kept.length === 0) throw new Error('classMask: 0 for every class')
  return kept
}

/** The numbers of a teacher, whatever their type. */
export function decoded(teacher: Float32Array | Uint16Array, teacherType: number): Float32Array {
  if (teacher instanceof Float32Array) return teacher
  return Float32Array.from(teacher, teacherType === 1 ? decodeFloat16 : decodeBfloat16)
}

/** What each row counts: its weight, 0 where it is left out (weight 0, or label = ignoreIndex). */
export function rowCounts(
  rows: number,
  rowWeights: Float32Array | null,
  labels: Int32Array | null,
  ignoreIndex: number,
): Float64Array {
  const counts = new Float64Array(rows)
  for (let r = 0; r < rows; r++) {
    const ignored = labels !== null && labels[r] === ignoreIndex
    counts[r] = ignored ? 0 : rowWeights === null ? 1 : rowWeights[r]!
  }
  return counts
}

/** Σ w. */
export function total(counts: Float64Array): number {
  let sum = 0
  for (const count of counts) sum += count
  return sum
}

/** Refuse NaN, +∞ and rows of −∞ alone, in rows and classes that count: no softmax exists there. */
export function checkLogits(
  name: string,
  logits: Float64Array | Float32Array,
  counts: Float64Array,
  classMask: Uint8Array | null = null,
): void {
  const classes = logits.length / counts.length
  for (let r = 0; r < counts.length; r++) {
    if (counts[r] === 0) continue
    let finite = 0
    for (let c = 0; c < classes; c++) {
      if (classMask?.[c] === 0) continue
      const value = logits[r * classes + c]!
      if (Number.isNaN(value) || value === Number.POSITIVE_INFINITY) throw new Error(`${name}: ${value} in row ${r}`)
      if (value !== Number.NEGATIVE_INFINITY) finite++
    }
    if (finite === 0) throw new Error(`${name}: only -Infinity in row ${r}`)
  }
}

/** Refuse anything that is not finite, in rows and classes that count: for losses that subtract logits. */
export function checkFinite(
  name: string,
  values: Float32Array,
  counts: Float64Array,
  classMask: Uint8Array | null = null,
): void {
  const classes = values.length / counts.length
  for (let i = 0; i < values.length; i++) {
    const r = Math.floor(i / classes)
    if (counts[r] !== 0 && classMask?.[i % classes] !== 0 && !Number.isFinite(values[i]))
      throw new Error(`${name}: ${values[i]} in row ${r}`)
  }
}

/** Refuse labels that are neither a class nor −1, in rows that count. */
export function checkLabels(
  labels: Int32Array | null,
  classes: number,
  counts: Float64Array,
  classMask: Uint8Array | null = null,
): void {
  if (labels === null) return
  for (let r = 0; r < counts.length; r++) {
    const label = labels[r]!
    if (counts[r] !== 0 && (label < -1 || label >= classes || classMask?.[label] === 0))
      throw new Error(`labels: ${label} in row ${r} is not a class`)
  }
}
