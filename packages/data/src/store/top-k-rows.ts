import { topK } from '@imago/kernels'
import { ArgumentError, dims, NotFoundError, NumericError, type Tensor, type TensorMap } from '@imago/tensor'
import type { LogitType } from './encoding.js'
import { checkRows, logitsOf, rounded, widened } from './logits.js'
import { tailName } from './tail-name.js'

/** k classes of N rows, in ascending order of classes, and a tail for each temperature. */
export interface TopKRows {
  /** [N, k] */
  readonly classes: Int32Array
  /** [N, k], float32 numbers that `type` holds exactly. */
  readonly values: Float32Array
  /** ln of the weight of all other classes, [N] for each temperature; −∞ where k is all of them. */
  readonly logTails: readonly Float64Array[]
}

export interface TopKShape {
  readonly k: number
  readonly temperatures: readonly number[]
}

/**
 * The k largest of full logits, or the k that a teacher tells by itself: `indices` and `values` (or `logProbabilities`) [N, k], descending, and
 * `logTail@T` [N] for each temperature T.
 *
 * With full logits the tail is summed over the other classes as they are kept, so that a top-k store says of its k + 1 buckets exactly what a store of
 * all logits in the same type says.
 *
 * @throws NotFoundError, ShapeError, ArgumentError, NumericError naming the row
 */
export function topKRows(
  caller: string,
  targets: TensorMap,
  ids: Uint32Array,
  classes: number,
  shape: TopKShape,
  type: LogitType,
): TopKRows {
  if (targets.logits === undefined && targets.indices !== undefined)
    return told(caller, targets, ids, classes, shape, type)
  const { k, temperatures } = shape
  const given = logitsOf(caller, targets, ids.length, classes)
  const kept = rounded(given, type)
  checkRows(caller, given, kept, classes, ids)
  const logits = widened(kept)
  const selected = temperatures.map((temperature) => topK({ logits, k, temperature }))
  const { indices, values } = selected[0]!
  const rows = ascending(indices.data, values.data, ids.length, k, classes)
  return { ...rows, logTails: selected.map(({ logTail }) => logTail.data) }
}

/** Those of a row in the order of their classes: a bit for each class that is there, then the bits from the lowest to the highest. */
function ascending(
  indices: Int32Array,
  values: Float32Array,
  rows: number,
  k: number,
  classes: number,
): Pick<TopKRows, 'classes' | 'values'> {
  const out = { classes: new Int32Array(rows * k), values: new Float32Array(rows * k) }
  const bits = new Int32Array(Math.ceil(classes / 32))
  const placeOf = new Uint16Array(classes)
  for (let from = 0; from < rows * k; from += k) {
    for (let i = 0; i < k; i++) {
      const c = indices[from + i]!
      bits[c >>> 5]! |= 1 << (c & 31)
      placeOf[c] = i
    }
    for (let word = 0, at = from; word < bits.length; word++) {
      for (let left = bits[word]!; left !== 0; left &= left - 1, at++) {
        const c = 32 * word + 31 - Math.clz32(left & -left)
        out.classes[at] = c
        out.values[at] = values[from + placeOf[c]!]!
      }
      bits[word] = 0
    }
  }
  return out
}

/** How far above 1 the probabilities of k classes may sum: what rounding of their logarithms does. */
const massTolerance: { readonly [type in LogitType]: number } = { float32: 1e-4, float16: 4e-3, bfloat16: 3e-2 }

function told(
  caller: string,
  targets: TensorMap,
  ids: Uint32Array,
  classes: number,
  { k, temperatures }: TopKShape,
  type: LogitType,
): TopKRows {
  const { indices, values, logProbabilities } = targets
  if ((values === undefined) === (logProbabilities === undefined))
    throw new ArgumentError(
      caller,
      'targets',
      '`values` (logits) or `logProbabilities`, one of them',
      Object.keys(targets),
    )
  const name = values === undefined ? 'logProbabilities' : 'values'
  const numbers = (values ?? logProbabilities) as Tensor<LogitType>
  const rows = ids.length
  dims(caller, {
    'targets.indices': [indices, `${rows} ${k}`, 'int32'],
    [`targets.${name}`]: [numbers, `${rows} ${k}`, ['float32', 'float16', 'bfloat16']],
  })
  const kept = rounded(numbers, type)
  const hasOthers = k < classes
  if (!hasOthers) checkRows(caller, numbers, kept, k, ids)
  const wide = widened(kept).data
  const chosen = (indices as Tensor<'int32'>).data
  checkOrder(caller, chosen, widened(numbers).data, ids, k, classes)
  checkFinite(caller, name, wide, ids, k)
  if (name === 'logProbabilities') checkMass(caller, widened(numbers).data, ids, k, massTolerance[numbers.type])
  const logTails = temperatures.map((t) =>
    hasOthers ? tailOf(caller, targets, t, ids, k) : new Float64Array(rows).fill(Number.NEGATIVE_INFINITY),
  )
  return { ...ascending(chosen, wide, rows, k, classes), logTails }
}

/** Largest first, each class once, all of them classes. */
function checkOrder(
  caller: string,
  indices: Int32Array,
  values: Float32Array,
  ids: Uint32Array,
  k: number,
  classes: number,
): void {
  for (let r = 0; r < ids.length; r++) {
    const seen = new Set<number>()
    for (let i = r * k; i < (r + 1) * k; i++) {
      const c = indices[i]!
      if (c < 0 || c >= classes)
        throw new ArgumentError(caller, 'targets.indices', `classes in [0, ${classes}) (row ${ids[r]})`, c)
      if (seen.has(c))
        throw new ArgumentError(caller, 'targets.indices', `different classes in row ${ids[r]}`, `${c} twice`)
      seen.add(c)
      if (i > r * k && values[i]! > values[i - 1]!)
        throw new ArgumentError(
          caller,
          'targets.values',
          `in descending order (row ${ids[r]})`,
          `${values[i]} after ${values[i - 1]}`,
        )
    }
  }
}

function checkFinite(caller: string, name: string, values: Float32Array, ids: Uint32Array, k: number): void {
  const bad = values.findIndex((value) => !(value < Number.POSITIVE_INFINITY))
  if (bad >= 0) throw new NumericError(caller, `targets.${name} hold ${values[bad]} in row ${ids[Math.floor(bad / k)]}`)
}

function checkMass(caller: string, values: Float32Array, ids: Uint32Array, k: number, tolerance: number): void {
  for (let r = 0; r < ids.length; r++) {
    let mass = 0
    for (let i = r * k; i < (r + 1) * k; i++) mass += Math.exp(values[i]!)
    if (!(mass <= 1 + tolerance))
      throw new NumericError(caller, `the probabilities of row ${ids[r]} sum to ${mass}; they are no log-probabilities`)
  }
}

/** The tail that comes along; of log-probabilities at T = 1 what they leave, as nothing more is known. */
function tailOf(caller: string, targets: TensorMap, temperature: number, ids: Uint32Array, k: number): Float64Array {
  const name = tailName(temperature)
  const given = targets[name]
  if (given === undefined) {
    if (targets.logProbabilities !== undefined && temperature === 1)
      return rest(targets.logProbabilities, ids.length, k)
    throw new NotFoundError(
      `${caller}: there are no targets "${name}": ln of the weight of the classes that are not told, at T = ${temperature}`,
      `There are: ${Object.keys(targets).join(', ')}. Give it, or full logits`,
    )
  }
  dims(caller, { [`targets.${name}`]: [given, `${ids.length}`, ['float32', 'float64']] })
  const tails = Float64Array.from(given.data as Float64Array)
  const bad = tails.findIndex((tail) => !(tail <= 0))
  if (bad >= 0)
    throw new NumericError(caller, `targets.${name} is ${tails[bad]} in row ${ids[bad]}, more than everything`)
  return tails
}

function rest(logProbabilities: Tensor, rows: number, k: number): Float64Array {
  const values = widened(logProbabilities as Tensor<LogitType>).data
  return Float64Array.from({ length: rows }, (_, r) => {
    let mass = 0
    for (let i = r * k; i < (r + 1) * k; i++) mass += Math.exp(values[i]!)
    return mass < 1 ? Math.log1p(-mass) : Number.NEGATIVE_INFINITY
  })
}
