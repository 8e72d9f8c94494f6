import type { KernelOf } from '../signatures.js'
import { throughSoftmax } from './compare-row.js'
import { eachRow } from './rows.js'

/**
 * value = β·inter + γ·intra (Huang et al. 2022, §4): inter = Σ w·(1 − ρ_row) / Σ w with Pearson's correlation ρ of q = softmax(z/T) and
 * p = softmax(v/T) over the classes of a row, intra = Σ_c (1 − ρ_c) / C with that over the rows, which count by their weights.
 * What does not vary correlates with nothing: ρ = 0, without gradient.
 */
export const dist: KernelOf<'dist'> = (
  [student, teacher, rowWeights, gradient, result, classMask],
  [rows, classes, temperature, beta, gamma, teacherType],
) => {
  const batch = { rows, classes, student, teacher, teacherType, rowWeights, classMask, expect: 'softmax' } as const
  const all: { readonly share: number; readonly q: Softmax; readonly p: Softmax }[] = []
  eachRow({ ...batch, gradient: null }, ({ share, z, v }) =>
    all.push({ share, q: softmax(z, temperature), p: softmax(v, temperature) }),
  )
  const slopes = all.map(({ q }) => new Float64Array(q.whole.length))
  let inter = 0
  for (const [r, { share, q, p }] of all.entries()) {
    const row = correlate(q.lessEven, p.lessEven, null)
    inter += share * row.distance
    for (const [c, s] of row.slope.entries()) slopes[r]![c]! += beta * share * s
  }
  let intra = 0
  const count = slopes[0]?.length ?? 0
  const shares = all.map(({ share }) => share)
  for (let c = 0; c < count; c++) {
    const column = correlate(columnOf(all, 'q', c), columnOf(all, 'p', c), shares)
    intra += column.distance / count
    for (const [r, s] of column.slope.entries()) slopes[r]![c]! += (gamma * s) / count
  }
  result[0] = beta * inter + gamma * intra
  result[1] = inter
  result[2] = intra
  let r = 0
  // The rows' shares are in the slopes.
  if (gradient === null) return
  eachRow({ ...batch, gradient }, ({ share, gradient: out }) => {
    throughSoftmax(all[r]!.q.whole, slopes[r]!, temperature, out)
    for (let c = 0; c < out.length; c++) out[c]! /= share
    r++
  })
}

/** softmax(logits/T), and the same less 1/C, which keeps its digits at high T. */
interface Softmax {
  readonly whole: Float64Array
  readonly lessEven: Float64Array
}

function softmax(logits: Float32Array, temperature: number): Softmax {
  const max = logits.reduce((a, b) => Math.max(a, b))
  const e = Float64Array.from(logits, (z) => Math.exp((z - max) / temperature))
  const growth = Float64Array.from(logits, (z) => Math.expm1((z - max) / temperature))
  const mean = growth.reduce((a, b) => a + b) / logits.length
  const sum = logits.length * (1 + mean)
  return { whole: e.map((x) => x / sum), lessEven: growth.map((x) => (x - mean) / sum) }
}

/** A class over the rows: its probabilities or these less 1/C, whatever is smaller. Pearson's correlation does not see which. */
function columnOf(
  all: readonly { readonly share: number; readonly q: Softmax; readonly p: Softmax }[],
  side: 'q' | 'p',
  c: number,
): Float64Array {
  const squares = (form: keyof Softmax): number =>
    all.reduce((sum, row) => sum + row.share * row[side][form][c]! ** 2, 0)
  const form = squares('whole') < squares('lessEven') ? 'whole' : 'lessEven'
  return Float64Array.from(all, (row) => row[side][form][c]!)
}

/** 1 − ρ of a and b (rows weigh `shares`, else alike), and its derivative by a. */
function correlate(
  a: Float64Array,
  b: Float64Array,
  shares: readonly number[] | null,
): { distance: number; slope: Float64Array } {
  const w = (i: number): number => shares?.[i] ?? 1
  const total = shares === null ? a.length : 1
  const centred = (x: Float64Array): Float64Array => {
    const mean = x.reduce((sum, value, i) => sum + w(i) * value, 0) / total
    return x.map((value) => value - mean)
  }
  const product = (x: Float64Array, y: Float64Array): number =>
    x.reduce((sum, value, i) => sum + w(i) * value * y[i]!, 0)
  const [x, y] = [centred(a), centred(b)]
  const [xx, yy] = [product(x, x), product(y, y)]
  const varies = (squares: number, size: number): boolean => squares > 1e-24 * size && squares > 1e-74
  if (!varies(xx, product(a, a)) || !varies(yy, product(b, b)))
    return { distance: 1, slope: new Float64Array(a.length) }
  const [xNorm, yNorm] = [Math.sqrt(xx), Math.sqrt(yy)]
  const distance = Math.max(0, 1 - product(x, y) / (xNorm * yNorm))
  // d(1 − ρ)/da = (â − b̂ − (1 − ρ)·â)/‖a‖.
  const slope = x.map((value, i) => (w(i) * (value / xNorm - y[i]! / yNorm - (distance * value) / xNorm)) / xNorm)
  return { distance, slope }
}
