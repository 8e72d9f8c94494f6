import { checkTemperature } from '@imago/kernels'
import { ArgumentError, NumericError, tensorMap } from '@imago/tensor'
import { classifierRows } from './classifier-rows.js'
import { single } from './counted.js'
import { gradientBuffer } from './gradient-buffer.js'
import type { Loss } from './loss.js'

export interface NkdOptions {
  /** T of the other classes, in [1e-38, 1e30]; default 1, the authors'. */
  readonly temperature?: number
  /** γ ≥ 0 of the other classes' term; default 1.5. */
  readonly gamma?: number
  /** The student output that holds logits [N, C]; default `logits`. */
  readonly output?: string
}

/**
 * Normalized knowledge distillation (Yang et al. 2023, eq. 6), in nats: Σ w·[−p_y·ln q_y − γ·T²·Σ_{c≠y} p̂_c·ln q̂_c] / Σ w. p, q are softmaxes at T = 1, p̂ and q̂
 * those over the classes other than the label y, at T. A cross entropy, not a divergence: not 0 where teacher and student agree. The paper adds it
 * to `hardLabel`. (The authors' first code leaves y among the others; here it is out, as in the equation.)
 *
 * Targets: `logits` [N, C] of the teacher; `labels` [N]: −1 is an unlabelled row (0, and it counts), −100 a row that is left out; `weights`
 * [N] where rows do not count alike. Parts: `target` and `rest`, with T² and without γ. In plain TypeScript.
 *
 * @throws ArgumentError for T ≤ 0 and γ < 0; `evaluate`: NumericError for a row that is no distribution
 */
export function nkd(options: NkdOptions = {}): Loss {
  const { output = 'logits', gamma = 1.5 } = options
  const temperature = checkTemperature('nkd', options.temperature ?? 1)
  if (!(typeof gamma === 'number' && gamma >= 0 && gamma < Number.POSITIVE_INFINITY))
    throw new ArgumentError('nkd', 'gamma', 'a finite number ≥ 0', gamma)
  const needs = ['logits', 'labels']
  const buffer = gradientBuffer()
  return {
    needs: { student: [output], targets: needs },
    evaluate(student, targets) {
      const rows = classifierRows('nkd', output, student, targets, needs)
      const [count, classes] = rows.student.dims as readonly [number, number]
      const labels = rows.labels!.data
      const weight = (r: number): number => (labels[r] === -100 ? 0 : (rows.weights?.data[r] ?? 1))
      let whole = 0
      for (let r = 0; r < count; r++) whole += weight(r)
      const gradient = buffer(rows.student.dims)
      gradient.data.fill(0)
      const teacher = single(rows.teacher!).data
      let [target, rest] = [0, 0]
      for (let r = 0; r < count; r++) {
        const label = labels[r]!
        if (weight(r) === 0 || label === -1) continue
        if (!(label >= 0 && label < classes))
          throw new ArgumentError('nkd', `labels[${r}]`, `a class in [0, ${classes}), −1 or −100`, label)
        const share = weight(r) / whole
        const from = r * classes
        const row = {
          z: rows.student.data.subarray(from, from + classes),
          v: teacher.subarray(from, from + classes),
          gradient: gradient.data.subarray(from, from + classes),
        }
        const own = crossEntropy(
          row,
          (c) => c === label,
          () => true,
          1,
          share,
        )
        const others = crossEntropy(
          row,
          (c) => c !== label,
          (c) => c !== label,
          temperature,
          share * gamma * temperature ** 2,
        )
        if (!Number.isFinite(own + others))
          throw new NumericError('nkd', `the logits of row ${r} are not those of two distributions`)
        target += share * own
        rest += share * temperature ** 2 * others
      }
      const value = target + gamma * rest
      return { value, parts: { target, rest }, cotangents: tensorMap([[output, gradient]]) }
    },
  }
}

interface Row {
  readonly z: Float32Array
  readonly v: Float32Array
  readonly gradient: Float32Array
}

type Which = (c: number) => boolean

/** −Σ_{c in summed} p_c·ln q_c with softmaxes at T over `among`; `factor` times its gradient is added. */
function crossEntropy(
  { z, v, gradient }: Row,
  summed: Which,
  among: Which,
  temperature: number,
  factor: number,
): number {
  const log = (x: Float32Array): { readonly top: number; readonly sum: number } => {
    let top = Number.NEGATIVE_INFINITY
    for (let c = 0; c < x.length; c++) if (among(c) && !(x[c]! <= top)) top = x[c]!
    let sum = 0
    for (let c = 0; c < x.length; c++) if (among(c)) sum += Math.exp((x[c]! - top) / temperature)
    return { top, sum }
  }
  const [q, p] = [log(z), log(v)]
  let [value, mass] = [0, 0]
  for (let c = 0; c < z.length; c++) {
    const one = summed(c) ? Math.exp((v[c]! - p.top) / temperature) / p.sum : 0
    if (one === 0) continue
    value -= one * ((z[c]! - q.top) / temperature - Math.log(q.sum))
    mass += one
    gradient[c] = gradient[c]! - (factor / temperature) * one
  }
  for (let c = 0; c < z.length; c++)
    if (among(c))
      gradient[c] = gradient[c]! + ((factor / temperature) * mass * Math.exp((z[c]! - q.top) / temperature)) / q.sum
  return value
}
