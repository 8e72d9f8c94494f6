import { dims, type Tensor } from '@imago/tensor'
import { type Backend, run } from '../backend.js'
import type { AnyTensor, DeviceTensor } from '../devices/device-tensor.js'
import { checkDisjoint, fraction, memory } from '../guard.js'

export interface EmaOptions<X extends AnyTensor = Tensor> {
  /** Changed in place, float32, any dims. */
  readonly average: X
  /** What comes in; same dims, float32. */
  readonly x: X
  /** How much of the average stays, in [0, 1]. */
  readonly decay: number
  readonly backend?: Backend | undefined
}

/**
 * An exponential moving average moves on, in place: average ← decay·average + (1 − decay)·x. Computed as
 * average + (1 − decay)·(x − average), so that an x that stands still is reached and kept.
 *
 * @throws ShapeError, ArgumentError, UnsupportedError for a backend that is not there
 */
export function ema({ average, x, decay, backend }: EmaOptions<Tensor> | EmaOptions<DeviceTensor>): void {
  const caller = 'ema'
  dims(caller, { average: [average, '...', 'float32'] })
  dims(caller, { x: [x, average.dims.join(' '), 'float32'] })
  const written = memory(caller, 'average', average, 'float32')
  const read = memory(caller, 'x', x, 'float32')
  checkDisjoint(caller, 'average', written, { x: read })
  fraction(caller, 'decay', decay)
  if (written.length > 0) run(caller, 'ema', backend, [written, read], [written.length, decay])
}
