import { correlationOf, type Moments } from '@imago/kernels'
import { ArgumentError } from '@imago/tensor'
import { type ClassSet, checkClassSet } from './class-set.js'

export interface SummarizeSetsOptions {
  readonly sets: readonly ClassSet[]
  /** Of the predictions that the sets were made from. */
  readonly moments: Moments
  /** What people call the classes, `[C]`; their numbers unless given. */
  readonly names?: readonly string[] | undefined
}

export interface SetSummary {
  readonly name: string
  /** Names of its classes. */
  readonly classes: readonly string[]
  /** Mean correlation of predictions of two of its classes; high where the generalist hesitates between them. 0 for a set of one class. */
  readonly cohesion: number
  /** Mean correlation of one of its classes with one outside: what `cohesion` is to be compared with. */
  readonly outside: number
  /** The share of the generalist's probability that is on its classes. */
  readonly mass: number
}

export interface SetsSummary {
  readonly sets: readonly SetSummary[]
  /** Names of the classes that no set has: the generalist answers for them alone. */
  readonly uncovered: readonly string[]
  /** How many sets have each class, `[C]`. */
  readonly covering: Int32Array
}

/**
 * What people want to know of class sets.
 *
 * @throws ArgumentError for a set that is none
 */
export function summarizeSets({ sets, moments, names }: SummarizeSetsOptions): SetsSummary {
  const caller = 'summarizeSets'
  const classes = moments.mean.data.length
  if (names !== undefined && names.length !== classes)
    throw new ArgumentError(caller, 'names', `${classes}, one for each class`, names.length)
  const nameOf = (c: number): string => names?.[c] ?? String(c)
  const correlation = correlationOf(moments).data
  const covering = new Int32Array(classes)
  const summaries = sets.map((set, i): SetSummary => {
    checkClassSet(caller, set, classes, `sets[${i}]`)
    const inside = new Set(set.classes)
    let [within, pairs, across, others, mass] = [0, 0, 0, 0, 0]
    for (const a of set.classes) {
      covering[a]!++
      mass += moments.mean.data[a]!
      for (let b = 0; b < classes; b++) {
        const value = correlation[a * classes + b]!
        if (!inside.has(b)) [across, others] = [across + value, others + 1]
        else if (b !== a) [within, pairs] = [within + value, pairs + 1]
      }
    }
    return {
      name: set.name,
      classes: set.classes.map(nameOf),
      cohesion: pairs > 0 ? within / pairs : 0,
      outside: across / others,
      mass,
    }
  })
  const uncovered = [...covering.keys()].filter((c) => covering[c] === 0).map(nameOf)
  return { sets: summaries, uncovered, covering }
}
