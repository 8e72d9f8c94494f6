import { checkTemperature, softmax } from '@imago/kernels'
import { type Tensor, tensorMap } from '@imago/tensor'
import { classifierRows } from './classifier-rows.js'
import { counted } from './counted.js'
import { gradientBuffer } from './gradient-buffer.js'
import type { Loss } from './loss.js'

export interface SquaredErrorOnProbabilitiesOptions {
  /** T of both distributions, in [1e-38, 1e30]; default 1, the paper's. */
  readonly temperature?: number
  /** The student output that holds logits [N, C]; default `logits`. */
  readonly output?: string
}

/**
 * Squared error on probabilities (Bucilă, Caruana & Niculescu-Mizil 2006, §2: the mimic net is trained on the ensemble's scores by
 * squared error): Σ w·½·Σ_c (q_c − p_c)² / Σ w, p = softmax(v/T), q = softmax(z/T). For two classes it is (q₁ − p₁)², the square of the
 * positive class's error. Its gradient, w/Σw · q_j·(d_j − Σ_c q_c·d_c)/T with d = q − p, vanishes where q is sure of itself, right or wrong: a
 * student that is surely wrong learns nothing, which `softTarget` does not suffer from. No factor T².
 *
 * Targets: `logits` [N, C] of the teacher; `weights` [N] where rows do not count alike. Parts: `squared`. In plain TypeScript over two native
 * softmaxes.
 *
 * @throws ArgumentError for T ≤ 0; `evaluate`: NumericError for a row that is no distribution
 */
export function squaredErrorOnProbabilities(options: SquaredErrorOnProbabilitiesOptions = {}): Loss {
  const caller = 'squaredErrorOnProbabilities'
  const { output = 'logits' } = options
  const temperature = checkTemperature(caller, options.temperature ?? 1)
  const needs = ['logits']
  const buffers = { gradient: gradientBuffer(), student: gradientBuffer(), teacher: gradientBuffer() }
  return {
    needs: { student: [output], targets: needs },
    evaluate(student, targets) {
      const rows = classifierRows(caller, output, student, targets, needs)
      const [count, classes] = rows.student.dims as readonly [number, number]
      const weights = rows.weights?.data
      const whole = weights === undefined ? count : weights.reduce((sum, w) => sum + w, 0)
      const gradient = buffers.gradient(rows.student.dims)
      gradient.data.fill(0)
      const result = (value: number) => ({
        value,
        parts: { squared: value },
        cotangents: tensorMap([[output, gradient]]),
      })
      if (!(whole > 0)) return result(0)
      const probabilities = (logits: Tensor, which: 'student' | 'teacher'): Float32Array =>
        softmax({ logits: counted(logits, weights), temperature, out: buffers[which](rows.student.dims) }).data
      const q = probabilities(rows.student, 'student')
      const p = probabilities(rows.teacher!, 'teacher')
      let total = 0
      for (let r = 0; r < count; r++) {
        const weight = weights === undefined ? 1 : weights[r]!
        if (weight === 0) continue
        const [from, end] = [r * classes, (r + 1) * classes]
        let [squares, along] = [0, 0]
        for (let i = from; i < end; i++) {
          const d = q[i]! - p[i]!
          squares += d * d
          along += q[i]! * d
        }
        total += (weight * squares) / 2
        const share = weight / (whole * temperature)
        for (let i = from; i < end; i++) gradient.data[i] = share * q[i]! * (q[i]! - p[i]! - along)
      }
      return result(total / whole)
    },
  }
}
