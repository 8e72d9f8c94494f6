import { decodeBfloat16, decodeFloat16 } from '../half.js'
import { distance, excess, largest } from './judge.js'
import type { Judge, KernelCall, Verdict } from './parity-case.js'
import { tolerances } from './tolerances.js'

type Numbers = Float32Array | Uint16Array
type Floats = Float32Array | Float64Array

/** [rows, columns] in float64. */
interface Matrix {
  readonly rows: number
  readonly columns: number
  readonly values: Floats
}

/** Logits, and how far those of a row may lie from them when they are made of float32 products. */
interface Logits extends Matrix {
  readonly errors: Float64Array
}

/** What the loss is made of, by the plain formulas: only magnitudes are asked of it. */
interface Facts {
  /** w_r/Σw, 0 where the row is left out. */
  readonly shares: Float64Array
  /** dvalue/dz, and how far a kernel's may be from it. */
  readonly gradient: Matrix
  readonly errors: Matrix
  /** How far T²·KL and CE of the batch may be off because the logits are. */
  readonly soft: number
  readonly hard: number
}

/** Below this float32 has no normal numbers. */
const smallest = 2 ** -126

/**
 * The judge of linear_soft_target_loss. What it allows is a sum of three: the errors of the products that make the logits
 * (`dot`), as the loss hands them on; those of the loss (as in soft_target_loss); those of the products that make the gradients.
 */
export const judgeLinear: Judge = (call, want, got) => {
  const [rows, classes, depth] = call.scalars as [number, number, number]
  const hidden: Matrix = { rows, columns: depth, values: floats(call.buffers[0], call.scalars[7]!) }
  const weight: Matrix = { rows: classes, columns: depth, values: floats(call.buffers[1], call.scalars[7]!) }
  const ones: Matrix = { rows, columns: 1, values: new Float64Array(rows).fill(1) }
  const facts = factsOf(call, hidden, weight)
  const g = { values: facts.gradient, errors: facts.errors }
  const turned = { values: transposed(g.values), errors: transposed(g.errors) }
  const verdicts = values(call, facts, want, got)
  const outputs = [
    ['hiddenGradient', 9, g, weight],
    ['weightGradient', 10, turned, hidden],
    ['biasGradient', 11, turned, ones],
  ] as const
  for (const [name, at, a, b] of outputs) {
    if (want.buffers[at] === null) continue
    verdicts.push(
      product(name, a.values, a.errors, b, want.buffers[at] as Float32Array, got.buffers[at] as Float32Array),
    )
  }
  return verdicts
}

/** a·b, where a may be off by `errors`. A row of a that is 0 must give 0. */
function product(output: string, a: Matrix, errors: Matrix, b: Matrix, want: Float32Array, got: Float32Array): Verdict {
  let worst: Verdict = { output, error: 0, tolerance: 0 }
  for (let i = 0; i < a.rows; i++)
    for (let j = 0; j < b.columns; j++) {
      let sum = 0
      let carried = 0
      for (let k = 0; k < a.columns; k++) {
        const factor = Math.abs(b.values[k * b.columns + j]!)
        const e = errors.values[i * a.columns + k]!
        if (e === 0) continue
        sum += Math.abs(a.values[i * a.columns + k]!) * factor
        carried += e * factor
      }
      const at = i * b.columns + j
      const tolerance = tolerances.dot.relative * Math.sqrt(a.columns) * sum + carried
      const verdict = { output, error: distance(want[at]!, got[at]!), tolerance }
      if (excess(verdict) >= excess(worst)) worst = verdict
    }
  return worst
}

function values({ scalars }: KernelCall, facts: Facts, want: KernelCall, got: KernelCall): Verdict[] {
  const [temperature, hardWeight] = scalars.slice(4) as [number, number]
  const { absolute, relative } = tolerances.lossValue
  return [hardWeight, 0, 1].map((a, i) => {
    const [wanted, gotten] = [want, got].map(({ buffers }) => (buffers[12] as Float64Array)[i]!) as [number, number]
    const unit = (1 - a) * Math.min(temperature, 20) ** 2 + a
    const logits = (a < 1 ? (1 - a) * facts.soft : 0) + (a > 0 ? a * facts.hard : 0)
    const tolerance = Number.isFinite(wanted) ? absolute * unit + relative * Math.abs(wanted) + logits : 0
    return { output: `result[${i}]`, error: distance(wanted, gotten), tolerance }
  })
}

function factsOf(call: KernelCall, hidden: Matrix, weight: Matrix): Facts {
  const { buffers, scalars } = call
  const [rows, classes] = scalars as [number, number]
  const [temperature, a, ignoreIndex, , teacherType] = scalars.slice(4) as [number, number, number, number, number]
  const labels = buffers[7] as Int32Array | null
  const shares = sharesOf(rows, labels, buffers[8] as Float32Array | null, ignoreIndex)
  const student = logitsOf(hidden, weight, buffers[2] as Float32Array | null)
  const teacher = buffers[3]
    ? { rows, columns: classes, values: floats(buffers[3], teacherType), errors: new Float64Array(rows) }
    : logitsOf(
        { rows, columns: scalars[3]!, values: floats(buffers[4]!, teacherType) },
        { rows: classes, columns: scalars[3]!, values: floats(buffers[5]!, teacherType) },
        buffers[6] as Float32Array | null,
      )
  const gradient = new Float64Array(rows * classes)
  const errors = new Float64Array(rows * classes)
  const sums = { soft: 0, hard: 0 }
  for (let r = 0; r < rows; r++) {
    const share = shares[r]!
    if (share === 0) continue
    const z = masked(row(student, r), buffers[13] as Uint8Array | null)
    const v = masked(row(teacher, r), buffers[13] as Uint8Array | null)
    const [q, p, q1] = [softmax(z, temperature), softmax(v, temperature), softmax(z, 1)]
    const label = labels?.[r] ?? -1
    const [dz, dv] = [student.errors[r]!, teacher.errors[r]!]
    // Logits off by δ change a probability by at most the factor e^(2δ/T).
    const [tq, tp, tq1] = [Math.expm1((2 * dz) / temperature), Math.expm1((2 * dv) / temperature), Math.expm1(2 * dz)]
    const g = gradient.subarray(r * classes, (r + 1) * classes)
    const best = p.indexOf(Math.max(...p))
    let [apart, pull, miss] = [0, 0, 0]
    for (let c = 0; c < classes; c++) {
      const difference = temperature * (q[c]! - p[c]!)
      const hard = label < 0 ? 0 : q1[c]! - (c === label ? 1 : 0)
      g[c] = share * ((1 - a) * difference + a * hard)
      apart += Math.abs(difference)
      if (p[c]! > 0) pull += p[c]! * Math.abs(z[c]! - v[c]! - (z[best]! - v[best]!))
      miss += Math.abs(hard)
    }
    const own = share * tolerances.lossGradient.absolute + tolerances.lossGradient.relative * largest(g) + smallest
    for (let c = 0; c < classes; c++) {
      const soft = Math.min(1, q[c]! * tq) + Math.min(1, p[c]! * tp)
      const hard = label < 0 ? 0 : Math.min(1, q1[c]! * tq1)
      errors[r * classes + c] = own + share * ((1 - a) * temperature * soft + a * hard)
    }
    // First order by the gradients, second by half the variance of what the logits are off.
    sums.soft += share * (apart * dz + dz ** 2 / 2 + (dv === 0 ? 0 : 2 * pull * tp * temperature + dv ** 2))
    sums.hard += share * (miss * dz + dz ** 2 / 2)
  }
  const shape = { rows, columns: classes }
  return { shares, gradient: { ...shape, values: gradient }, errors: { ...shape, values: errors }, ...sums }
}

/** hidden·weightᵀ + bias; a row's error is that of its worst logit. */
function logitsOf(hidden: Matrix, weight: Matrix, bias: Float32Array | null): Logits {
  const depth = hidden.columns
  const values = new Float64Array(hidden.rows * weight.rows)
  const errors = new Float64Array(hidden.rows)
  for (let r = 0; r < hidden.rows; r++)
    for (let c = 0; c < weight.rows; c++) {
      let sum = bias?.[c] ?? 0
      let magnitude = Math.abs(sum)
      for (let d = 0; d < depth; d++) {
        const term = hidden.values[r * depth + d]! * weight.values[c * depth + d]!
        sum += term
        magnitude += Math.abs(term)
      }
      values[r * weight.rows + c] = sum
      if (magnitude < Number.POSITIVE_INFINITY)
        errors[r] = Math.max(errors[r]!, tolerances.dot.relative * Math.sqrt(depth) * magnitude)
    }
  return { rows: hidden.rows, columns: weight.rows, values, errors }
}

function sharesOf(
  rows: number,
  labels: Int32Array | null,
  weights: Float32Array | null,
  ignoreIndex: number,
): Float64Array {
  const shares = Float64Array.from({ length: rows }, (_, r) => (labels?.[r] === ignoreIndex ? 0 : (weights?.[r] ?? 1)))
  const sum = shares.reduce((a, b) => a + b, 0)
  return shares.map((w) => (w === 0 ? 0 : w / sum))
}

function softmax(logits: Floats, temperature: number): Float64Array {
  let max = Number.NEGATIVE_INFINITY
  for (const x of logits) max = Math.max(max, x)
  const exponentials = Float64Array.from(logits, (x) => Math.exp((x - max) / temperature))
  const sum = exponentials.reduce((a, b) => a + b, 0)
  return exponentials.map((e) => e / sum)
}

/** Without the classes that the mask leaves out. */
function masked(logits: Floats, classMask: Uint8Array | null): Floats {
  return logits.map((x, c) => (classMask?.[c] === 0 ? Number.NEGATIVE_INFINITY : x))
}

function row(matrix: Matrix, r: number): Floats {
  return matrix.values.subarray(r * matrix.columns, (r + 1) * matrix.columns)
}

function transposed({ rows, columns, values }: Matrix): Matrix {
  const turned = new Float64Array(values.length)
  for (let r = 0; r < rows; r++) for (let c = 0; c < columns; c++) turned[c * rows + r] = values[r * columns + c]!
  return { rows: columns, columns: rows, values: turned }
}

function floats(buffer: unknown, type: number): Float32Array {
  const values = buffer as Numbers
  return values instanceof Float32Array
    ? values
    : Float32Array.from(values, type === 1 ? decodeFloat16 : decodeBfloat16)
}
