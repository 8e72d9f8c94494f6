import { ArgumentError, type Tensor } from '@imago/tensor'
import { run } from '../backend.js'
import { checkTemperature } from '../guard.js'
import type { RowLoss } from './cross_entropy.js'
import { type RowOptions, rows } from './rows.js'

export interface KlDivergenceOptions extends RowOptions {
  /** Logits `[N, C]`, float32. */
  readonly student: Tensor
  /** Logits `[N, C]`, float32; −∞ is no mass. */
  readonly teacher: Tensor
  /** T in [1e-38, 1e30]; 1 unless given. */
  readonly temperature?: number | undefined
}

/**
 * Σ w·KL(softmax(v/T) ‖ softmax(z/T)) / Σ w in nats, without the factor T², and its gradient w·(q − p)/T / Σ w.
 *
 * @throws ShapeError, ArgumentError (T, weights), NumericError naming the row of a NaN or +∞
 */
export function klDivergence(options: KlDivergenceOptions): RowLoss {
  const caller = 'klDivergence'
  const r = rows(caller, options)
  if (r.teacher === null) throw new ArgumentError(caller, 'teacher', 'a tensor [N, C]', undefined)
  const temperature = checkTemperature(caller, options.temperature ?? 1)
  const result = new Float64Array(1)
  run(
    caller,
    'kl_divergence',
    options.backend,
    [r.student, r.teacher, r.rowWeights, r.out, result],
    [r.rows, r.classes, temperature],
  )
  return { value: result[0]!, gradient: r.gradient }
}
