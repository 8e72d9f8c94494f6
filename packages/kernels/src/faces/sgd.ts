import { ArgumentError, dims, type Tensor } from '@imago/tensor'
import { type Backend, run } from '../backend.js'
import { finite, memory, positive } from '../guard.js'
import { checkApart } from './slots.js'

export interface SgdOptions {
  /** Changed in place; a tensor of rank ≥ 2 is a matrix of dims[0] rows. float32. */
  readonly parameter: Tensor
  /** Same dims, float32. */
  readonly gradient: Tensor
  /** Changed in place; same dims, float32. Start with zeros. */
  readonly velocity: Tensor
  /** ε of this step. */
  readonly rate: number
  /** μ; 0 unless given. */
  readonly momentum?: number | undefined
  /** 0 unless given. */
  readonly weightDecay?: number | undefined
  /** Multiplies the gradient first (clipping, means over micro-batches); 1 unless given. */
  readonly gradientScale?: number | undefined
  /** The largest squared length of a unit's incoming weights; left out: no limit. */
  readonly maxSquaredNorm?: number | undefined
  /** Where a unit's incoming weights lie: a row each (Conv, Gemm with transB) or a column each (MatMul). `rows` unless given. */
  readonly units?: 'rows' | 'columns' | undefined
  readonly backend?: Backend | undefined
}

/**
 * One step of gradient descent with momentum, in place: g = gradientScale·gradient + weightDecay·w; v ← μ·v − rate·g; w ← w + v; then
 * units longer than the limit are scaled down (Hinton et al. 2012, arXiv 1207.0580, §2 and appendix A.1). At a constant rate
 * this is `torch.optim.SGD`; when the rate changes, the velocity keeps the steps already taken.
 *
 * @throws ShapeError, ArgumentError, UnsupportedError for a backend that is not there
 */
export function sgd(options: SgdOptions): void {
  const caller = 'sgd'
  const { parameter, gradient, velocity, maxSquaredNorm, units = 'rows' } = options
  const pattern = dimsPattern(caller, parameter)
  dims(caller, { gradient: [gradient, pattern, 'float32'], velocity: [velocity, pattern, 'float32'] })
  if (units !== 'rows' && units !== 'columns') throw new ArgumentError(caller, 'units', "'rows' | 'columns'", units)
  const w = memory(caller, 'parameter', parameter, 'float32')
  const g = memory(caller, 'gradient', gradient, 'float32')
  const v = memory(caller, 'velocity', velocity, 'float32')
  checkApart(caller, { parameter: w, velocity: v, gradient: g })
  const scalars = [
    finite(caller, 'rate', options.rate),
    finite(caller, 'momentum', options.momentum ?? 0),
    finite(caller, 'weightDecay', options.weightDecay ?? 0),
    finite(caller, 'gradientScale', options.gradientScale ?? 1),
  ]
  const limit =
    maxSquaredNorm === undefined || maxSquaredNorm === Number.POSITIVE_INFINITY
      ? [-1, 0]
      : [units === 'rows' ? 0 : 1, positive(caller, 'maxSquaredNorm', maxSquaredNorm)]
  if (w.length === 0) return
  const rows = parameter.dims.length < 2 ? 1 : parameter.dims[0]!
  run(caller, 'sgd', options.backend, [w, g, v], [rows, w.length / rows, ...scalars, ...limit])
}

function dimsPattern(caller: string, parameter: Tensor): string {
  dims(caller, { parameter: [parameter, '...', 'float32'] })
  return parameter.dims.join(' ')
}
