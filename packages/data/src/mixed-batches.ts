import { ArgumentError, permutation, type Rng } from '@imago/tensor'
import type { Augment, Batch, Batches, Dataset } from './batch.js'
import { checkPlace } from './batches.js'
import { concat } from './concat.js'

/** A source of rows and how much of an epoch is taken from it. */
export interface MixturePart {
  readonly source: Dataset
  /** Finite, > 0; only the ratios of the weights matter. */
  readonly weight: number
}

export interface MixedBatchesOptions {
  /** Rows in a batch. */
  readonly size: number
  /** Rows in an epoch; those of all sources together unless given. */
  readonly rows?: number
  /** Never moved: everything is split from it by epoch and batch. */
  readonly rng: Rng
  readonly augment?: Augment
}

/**
 * Batches of rows from several sources, labelled and unlabelled ones in the same run, in shares that the weights say: an epoch of R rows takes
 * R·weight/Σ weights of each (rounded so that they add up to R), shuffled together. Of a source smaller than its share rows come again,
 * each as often as the others but for one; of a larger one each epoch takes others, drawn anew. Rows of unlabelled sources have label −1;
 * ids are places in `concat` of the sources, so that targets stored for that serve here.
 *
 * @throws ArgumentError, ShapeError for sources whose inputs differ
 */
export function mixedBatches(parts: readonly MixturePart[], options: MixedBatchesOptions): Batches {
  const caller = 'mixedBatches'
  const { size, rng, augment } = options
  if (!Array.isArray(parts) || parts.length === 0)
    throw new ArgumentError(caller, 'parts', 'a list with at least one source', parts)
  for (const [i, { source, weight }] of parts.entries()) {
    if (!(typeof weight === 'number' && weight > 0 && Number.isFinite(weight)))
      throw new ArgumentError(caller, `parts[${i}].weight`, 'a finite number > 0', weight)
    if (!(source?.length > 0))
      throw new ArgumentError(caller, `parts[${i}].source`, 'a data set that is not empty', source)
  }
  const whole = concat(...parts.map(({ source }) => source))
  const rows = options.rows ?? whole.length
  for (const [name, value] of Object.entries({ size, rows }))
    if (!(Number.isSafeInteger(value) && value > 0)) throw new ArgumentError(caller, name, 'a whole number ≥ 1', value)
  const shares = apportion(
    rows,
    parts.map(({ weight }) => weight),
  )
  const length = Math.ceil(rows / size)

  async function* epoch(number: number, from = 0): AsyncGenerator<Batch> {
    checkPlace(number, from, length)
    const random = rng.split(`epoch ${number}`)
    const order = shuffled(chosen(parts, shares, rows, random), random.split('order'))
    for (let b = from; b < length; b++) {
      const batch = whole.rows(order.slice(b * size, Math.min((b + 1) * size, rows)))
      yield augment ? augment(batch, random.split(`batch ${b}`)) : batch
    }
  }
  return { length, rows, augmented: augment !== undefined, epoch }
}

/** Whole numbers that add up to `total`, in the ratios of the weights: the largest remainders are rounded up (Hamilton's method). */
export function apportion(total: number, weights: readonly number[]): number[] {
  const sum = weights.reduce((a, b) => a + b, 0)
  const exact = weights.map((weight) => (total * weight) / sum)
  const counts = exact.map(Math.floor)
  const left = total - counts.reduce((a, b) => a + b, 0)
  const byRemainder = [...exact.keys()].sort((i, j) => exact[j]! - counts[j]! - (exact[i]! - counts[i]!) || i - j)
  for (const i of byRemainder.slice(0, left)) counts[i]! += 1
  return counts
}

/** The rows of an epoch, source by source. */
function chosen(parts: readonly MixturePart[], shares: readonly number[], rows: number, random: Rng): Uint32Array {
  const out = new Uint32Array(rows)
  let [at, start] = [0, 0]
  for (const [k, { source }] of parts.entries()) {
    for (let left = shares[k]!; left > 0; left -= source.length) {
      const count = Math.min(left, source.length)
      const order = count < source.length ? permutation(random.split(`part ${k}`), source.length) : undefined
      for (let i = 0; i < count; i++) out[at++] = start + (order ? order[i]! : i)
    }
    start += source.length
  }
  return out
}

function shuffled(rows: Uint32Array, random: Rng): Uint32Array {
  return permutation(random, rows.length).map((i) => rows[i]!)
}
