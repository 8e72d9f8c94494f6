import type { Augment, Batch, Batches, Dataset } from '@imago/data'
import { ArgumentError, permutation, type Rng } from '@imago/tensor'
import { type ClassSet, checkClassSet, placesOf } from '../sets/class-set.js'
import { labelsOf } from './labels-of.js'

export interface HalfHalfOptions {
  readonly source: Dataset
  readonly set: ClassSet
  /** How many classes there are in all; the source's unless given. */
  readonly classes?: number | undefined
  /** The class of each row of the source, `[N]`; read from it unless given (a generalist's answers serve where there are no labels). */
  readonly labels?: Int32Array | undefined
  /** Rows in a batch. */
  readonly size: number
  /** Rows in an epoch, half of them special; twice the number of special rows unless given. */
  readonly rows?: number | undefined
  /** Never moved: everything is split from it by epoch and batch. */
  readonly rng: Rng
  readonly augment?: Augment | undefined
  /** What a batch is made into before it is handed out: `dustbinLabels`. */
  readonly map?: ((batch: Batch) => Batch) | undefined
}

/** Batches of a specialist, and what correcting its dustbin afterwards needs to know. */
export interface SpecialistBatches extends Batches {
  /** Rows of the special classes among those that have a class: the share r that the data really have. */
  readonly trueShare: number
  /** Their share of what is handed out: 1/2, but for an odd row. */
  readonly trainingShare: number
}

/**
 * A specialist's training rows: half from its special classes, half at random from all others (Hinton, Vinyals & Dean 2015, §5.2). Of either half
 * rows come in a new order in each epoch, and come again, all of them, where there are fewer than the half takes; the halves are shuffled together.
 * An epoch may be entered at any batch. Ids are the source's own. Rows without a class are in neither half.
 *
 * @throws ArgumentError for a set that is none, for a half without rows; StateError where there are no labels
 */
export function halfHalf(options: HalfHalfOptions): SpecialistBatches {
  const caller = 'halfHalf'
  const { source, set, size, rng, augment, map = (batch) => batch } = options
  const labels = options.labels ?? labelsOf(source)
  if (labels.length !== source.length)
    throw new ArgumentError(caller, 'labels', `${source.length}, one for each row`, labels.length)
  const classes = options.classes ?? source.classes
  if (classes === undefined) throw new ArgumentError(caller, 'classes', 'given, as the source does not tell', classes)
  checkClassSet(caller, set, classes)
  const { special, rest } = parted(labels, set, classes)
  for (const [half, rows] of Object.entries({ special, rest }))
    if (rows.length === 0)
      throw new ArgumentError(caller, 'source', `with rows of the ${half} classes of "${set.name}"`, 'none')
  const rows = options.rows ?? 2 * special.length
  for (const [name, value, least] of [['size', size, 1] as const, ['rows', rows, 2] as const])
    if (!(Number.isSafeInteger(value) && value >= least))
      throw new ArgumentError(caller, name, `a whole number ≥ ${least}`, value)
  const half = Math.ceil(rows / 2)
  const length = Math.ceil(rows / size)

  async function* epoch(number: number, from = 0): AsyncGenerator<Batch> {
    for (const [name, value, most] of [
      ['epoch', number, Number.MAX_SAFE_INTEGER] as const,
      ['from', from, length] as const,
    ])
      if (!(Number.isSafeInteger(value) && value >= 0 && value <= most))
        throw new ArgumentError('Batches.epoch', name, `a whole number in [0, ${most}]`, value)
    const random = rng.split(`epoch ${number}`)
    const drawn = [
      ...drawnFrom(special, half, random.split('special')),
      ...drawnFrom(rest, rows - half, random.split('rest')),
    ]
    const order = permutation(random.split('order'), rows)
    for (let b = from; b < length; b++) {
      const indices = Uint32Array.from(order.subarray(b * size, (b + 1) * size), (i) => drawn[i]!)
      const batch = map(source.rows(indices))
      yield augment ? augment(batch, random.split(`batch ${b}`)) : batch
    }
  }
  return {
    length,
    rows,
    augmented: augment !== undefined,
    epoch,
    trueShare: special.length / (special.length + rest.length),
    trainingShare: half / rows,
  }
}

/** Rows of the special classes, and of the others. */
function parted(labels: Int32Array, set: ClassSet, classes: number): { special: Uint32Array; rest: Uint32Array } {
  const places = placesOf(set, classes)
  const [special, rest]: [number[], number[]] = [[], []]
  for (const [row, label] of labels.entries()) {
    if (label >= classes) throw new ArgumentError('halfHalf', `labels[${row}]`, `a class in [0, ${classes})`, label)
    if (label >= 0) (places[label]! < set.classes.length ? special : rest).push(row)
  }
  return { special: Uint32Array.from(special), rest: Uint32Array.from(rest) }
}

/** `count` rows: all of them as often as they fit in, and different ones for what is left. */
function* drawnFrom(rows: Uint32Array, count: number, random: Rng): Generator<number> {
  for (let round = 0, left = count; left > 0; round++, left -= rows.length) {
    const order = permutation(random.split(round), rows.length)
    for (let i = 0; i < Math.min(left, rows.length); i++) yield rows[order[i]!]!
  }
}
