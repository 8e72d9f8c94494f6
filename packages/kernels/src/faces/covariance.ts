import { ArgumentError, dims, ShapeError, type Tensor, tensor, zeros } from '@imago/tensor'
import { type Backend, run } from '../backend.js'
import { type AnyTensor, type Beside, type DeviceTensor, isDeviceTensor, type Value } from '../devices/device-tensor.js'
import { memory } from '../guard.js'
import { checkWeights } from './rows.js'
import { checkApart } from './slots.js'

/** What is kept of rows: enough for their covariance, whatever comes after. */
export interface Moments<X extends AnyTensor = Tensor> {
  /** Σ w of the rows so far: their number, without weights. */
  count: Value<X>
  /** Σ w·x / Σ w, `[C]`. */
  readonly mean: Beside<X, 'float64'>
  /** Σ w·(x − mean)(x − mean)ᵀ, `[C, C]`: the upper triangle; below the diagonal are zeros. */
  readonly comoment: Beside<X, 'float64'>
}

export interface CovarianceOptions<X extends AnyTensor = Tensor> {
  /** Rows `[N, C]`, float32. */
  readonly x: X
  /** How much each row counts, `[N]` float32, finite and ≥ 0; left out: 1 each. A row of weight 0 is not read. */
  readonly rowWeights?: X | undefined
  /** The moments that the rows join, changed in place; left out: new ones. */
  readonly into?: Moments<X> | undefined
  readonly backend?: Backend | undefined
}

/**
 * Count rows into their mean and co-moments, batch by batch, in float64, without the cancellation of Σ x² − (Σ x)²/n
 * (Chan, Golub & LeVeque 1983). Batches may be of any size and in any order. Time N·C²/2, memory C².
 *
 * @throws ShapeError, ArgumentError, NumericError naming the first row that is not finite, UnsupportedError for a backend that is not there
 */
export function covariance(options: CovarianceOptions): Moments
export function covariance(options: CovarianceOptions<DeviceTensor>): Moments<DeviceTensor>
export function covariance({ x, rowWeights, into, backend }: CovarianceOptions<AnyTensor>): Moments<AnyTensor> {
  const caller = 'covariance'
  const { C } = dims(caller, { x: [x, 'N C', 'float32'], rowWeights: [rowWeights, 'N', 'float32'] }) as { C: number }
  if (C === 0) throw new ShapeError(caller, 'x', '[N, C] with at least one column', `[${x.dims.join(', ')}]`)
  const moments: Moments<AnyTensor> = into ?? fresh(x, C)
  const { mean, comoment } = moments
  dims(caller, { 'into.mean': [mean, `${C}`, 'float64'], 'into.comoment': [comoment, `${C} ${C}`, 'float64'] })
  if (isDeviceTensor(moments.count)) dims(caller, { 'into.count': [moments.count, '', 'float64'] })
  else if (!(moments.count >= 0 && Number.isFinite(moments.count)))
    throw new ArgumentError(caller, 'into.count', 'a finite number ≥ 0', moments.count)
  const read = memory(caller, 'x', x, 'float32')
  const weights = rowWeights ? memory(caller, 'rowWeights', rowWeights, 'float32') : null
  checkWeights(caller, weights)
  const written = {
    'into.mean': memory(caller, 'into.mean', mean, 'float64'),
    'into.comoment': memory(caller, 'into.comoment', comoment, 'float64'),
  }
  checkApart(caller, { x: read, ...(weights && { rowWeights: weights }), ...written })
  const count = isDeviceTensor(moments.count) ? moments.count.data : Float64Array.of(moments.count)
  if (read.length > 0)
    run(caller, 'covariance', backend, [read, weights, count, ...Object.values(written)], [x.dims[0]!, C])
  if (count instanceof Float64Array) moments.count = count[0]!
  return moments
}

function fresh(x: AnyTensor, C: number): Moments<AnyTensor> {
  if (!isDeviceTensor(x)) return { count: 0, mean: zeros('float64', [C]), comoment: zeros('float64', [C, C]) }
  const { device } = x
  return {
    count: device.zeros('float64', []),
    mean: device.zeros('float64', [C]),
    comoment: device.zeros('float64', [C, C]),
  }
}

/**
 * The covariance matrix `[C, C]`: co-moments divided by Σ w, or by Σ w − 1 where `unbiased` (rows counted without weights).
 *
 * @throws ArgumentError where there are too few rows
 */
export function covarianceOf(moments: Moments, { unbiased = false }: { unbiased?: boolean } = {}): Tensor<'float64'> {
  const degrees = moments.count - (unbiased ? 1 : 0)
  if (!(degrees > 0))
    throw new ArgumentError('covarianceOf', 'moments', `of more than ${unbiased ? 1 : 0} rows`, moments.count)
  return symmetric(moments, (sum) => sum / degrees)
}

/**
 * The correlation matrix `[C, C]` (Pearson). A column that does not vary has none: 0 with the others, 1 with itself.
 *
 * @throws ArgumentError where there are no rows
 */
export function correlationOf(moments: Moments): Tensor<'float64'> {
  if (!(moments.count > 0)) throw new ArgumentError('correlationOf', 'moments', 'of at least one row', moments.count)
  const { comoment } = moments
  const C = comoment.dims[0]!
  const lengths = Float64Array.from({ length: C }, (_, i) => Math.sqrt(comoment.data[i * C + i]!))
  return symmetric(moments, (sum, i, j) => {
    if (i === j) return 1
    const product = lengths[i]! * lengths[j]!
    return product === 0 ? 0 : Math.max(-1, Math.min(1, sum / product))
  })
}

/** The whole matrix from its upper triangle. */
function symmetric({ comoment }: Moments, map: (sum: number, i: number, j: number) => number): Tensor<'float64'> {
  const C = comoment.dims[0]!
  const out = new Float64Array(C * C)
  for (let i = 0; i < C; i++)
    for (let j = i; j < C; j++) out[i * C + j] = out[j * C + i] = map(comoment.data[i * C + j]!, i, j)
  return tensor('float64', [C, C], out)
}
