import { ArgumentError, elementCount, type Rng, type Tensor, tensor } from '@imago/tensor'

/**
 * How weights start: `he` normal with deviation √(2/fanIn) (He et al. 2015, eq. 10), `glorot` uniform in ±√(6/(fanIn + fanOut))
 * (Glorot & Bengio 2010, eq. 16), or normal with a deviation of yours (0.01 in arXiv 1207.0580). Biases start at 0.
 */
export type Initial = 'he' | 'glorot' | { readonly normal: number }

/** A weight tensor; a unit has `fanIn` incoming and `fanOut` outgoing connections. */
export function initialWeights(
  dims: readonly number[],
  fanIn: number,
  fanOut: number,
  initial: Initial,
  rng: Rng,
): Tensor<'float32'> {
  const draw = drawer(initial, fanIn, fanOut, rng)
  return tensor('float32', dims, Float32Array.from({ length: elementCount(dims) }, draw))
}

function drawer(initial: Initial, fanIn: number, fanOut: number, rng: Rng): () => number {
  if (initial === 'glorot') {
    const limit = Math.sqrt(6 / (fanIn + fanOut))
    return () => (2 * rng.uniform() - 1) * limit
  }
  const deviation = initial === 'he' ? Math.sqrt(2 / fanIn) : initial?.normal
  if (!(Number.isFinite(deviation) && deviation >= 0))
    throw new ArgumentError('initialWeights', 'initial', `'he', 'glorot' or { normal: deviation ≥ 0 }`, initial)
  return () => rng.normal() * deviation
}
