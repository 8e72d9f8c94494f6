import { ArgumentError, permutation, type Rng, type TensorMap } from '@imago/tensor'
import { arithmetic } from './arithmetic.js'
import { geometric } from './geometric.js'
import { type Average, combinedScore, type HoldOut, holdOut } from './hold-out.js'
import { labelledRows } from './labelled-rows.js'
import { memberLabels } from './member-labels.js'
import { memberLogits, type OutputOptions } from './member-logits.js'
import type { Metric } from './metric.js'

export interface SelectOptions extends OutputOptions {
  /** The library: what each model gave for the same hold-out rows, with logits [N, C]. */
  readonly predictions: readonly TensorMap[]
  /** The class of each hold-out row; −1 and −100 are passed over. */
  readonly labels: Int32Array
  readonly metric: Metric
  /** Models added one at a time, each from the whole library: one may come again and again. */
  readonly rounds: number
  /** Begin with the best models by themselves, at most so many; how many is chosen by their score together. 0 unless given. */
  readonly sortedInitial?: number | undefined
  /** Select from random parts of the library and take the mean of what comes of them. */
  readonly bags?: BagOptions | undefined
  /** What is taken of the models chosen: the mean of their probabilities (the paper's), or of their logarithms. */
  readonly average?: Average | undefined
}

export interface BagOptions {
  readonly count: number
  /** The share of the library in a bag, in (0, 1]; 0.5 unless given. */
  readonly fraction?: number | undefined
  readonly rng: Rng
}

export interface SelectionStep {
  /** The bag in which this was chosen; 0 without bags. */
  readonly bag: number
  /** Index in the library. */
  readonly member: number
  /** The score of this bag's ensemble with this member added; the less the better. */
  readonly score: number
  /** Whether it is in the ensemble: steps after the best one are not. */
  readonly kept: boolean
}

export interface Selection {
  /** For `arithmetic({ weights })` (or `geometric`, where that was the average), one a library model, adding up to 1. */
  readonly weights: readonly number[]
  /** The score of the weighted ensemble on the hold-out rows. They chose it: expect less of other rows. */
  readonly score: number
  /** The score of each library model by itself. */
  readonly alone: readonly number[]
  readonly path: readonly SelectionStep[]
}

/**
 * Greedy ensemble selection with replacement (Caruana, Niculescu-Mizil, Crew & Ksikes 2004, §2): in each round add the model that makes
 * the mean of all that were added score best, then keep the shortest beginning of the path that scored best. With sorted
 * initialization (§2.2) and bags (§2.3). Of equals the first in the library is taken, so that the same library gives the same path.
 *
 * Memory: 8 bytes for each model, labelled row and class.
 *
 * @throws ArgumentError (an empty library, options out of range, labels that are no class), NotFoundError, ShapeError naming the
 *   library model whose rows or classes differ, NumericError naming model and row
 */
export function selectEnsemble(options: SelectOptions): Selection {
  const caller = 'selectEnsemble'
  const { predictions, labels, metric, rounds, sortedInitial = 0, bags, average = 'arithmetic' } = options
  const called = memberLabels(caller, 'predictions', predictions, options.names)
  checkWhole(caller, 'rounds', rounds, 1)
  checkWhole(caller, 'sortedInitial', sortedInitial, 0)
  if (average !== 'arithmetic' && average !== 'geometric')
    throw new ArgumentError(caller, 'average', 'arithmetic or geometric', average)
  const drawn = drawBags(caller, predictions.length, bags)
  const logits = memberLogits(caller, called, predictions, options.output)
  const rows = labelledRows(caller, labels, logits.rows, logits.classes)
  const library = holdOut(caller, logits, rows, labels, metric, average)
  const nothing = library.empty()
  const alone = predictions.map((_, member) => library.score(nothing, member, 1))
  const path = drawn.flatMap((bag, b) => climb(library, bag, alone, sortedInitial, rounds, b))
  const weights = weigh(path, predictions.length, drawn.length)
  const combine = average === 'arithmetic' ? arithmetic({ weights }) : geometric({ weights })
  return { weights, score: combinedScore(caller, logits, rows, labels, metric, combine), alone, path }
}

function climb(
  library: HoldOut,
  bag: readonly number[],
  alone: readonly number[],
  sortedInitial: number,
  rounds: number,
  b: number,
): SelectionStep[] {
  const sum = library.empty()
  const sorted = bag.toSorted((m, n) => compare(alone[m]!, alone[n]!) || m - n).slice(0, sortedInitial)
  const trial = sorted.map((member, i) => {
    const score = library.score(sum, member, i + 1)
    library.add(sum, member)
    return { member, score }
  })
  const path = trial.slice(0, best(trial) + 1)
  sum.fill(0)
  for (const { member } of path) library.add(sum, member)
  for (let round = 0; round < rounds; round++) {
    const candidates = bag.map((member) => ({ member, score: library.score(sum, member, path.length + 1) }))
    const chosen = candidates[best(candidates)]!
    library.add(sum, chosen.member)
    path.push(chosen)
  }
  const last = best(path)
  return path.map(({ member, score }, i) => ({ bag: b, member, score, kept: i <= last }))
}

/** Where the least score stands, the first of equals; −1 where there is none. */
function best(list: readonly { readonly score: number }[]): number {
  let found = list.length === 0 ? -1 : 0
  for (const [i, { score }] of list.entries()) if (score < list[found]!.score) found = i
  return found
}

/** Each bag counts alike, and within a bag each time that a model was chosen. */
function weigh(path: readonly SelectionStep[], members: number, bags: number): number[] {
  const kept = path.filter((step) => step.kept)
  const sizes = new Array<number>(bags).fill(0)
  for (const { bag } of kept) sizes[bag]! += 1
  const counts = Array.from({ length: bags }, () => new Array<number>(members).fill(0))
  for (const { bag, member } of kept) counts[bag]![member]! += 1
  return Array.from({ length: members }, (_, m) =>
    counts.reduce((total, bag, b) => total + bag[m]! / (sizes[b]! * bags), 0),
  )
}

/** The models of each bag in library order. */
function drawBags(caller: string, members: number, bags: BagOptions | undefined): number[][] {
  if (bags === undefined) return [[...new Array(members).keys()]]
  const { count, fraction = 0.5, rng } = bags
  checkWhole(caller, 'bags.count', count, 1)
  if (!(typeof fraction === 'number' && fraction > 0 && fraction <= 1))
    throw new ArgumentError(caller, 'bags.fraction', 'in (0, 1]', fraction)
  const size = Math.ceil(fraction * members)
  return Array.from({ length: count }, (_, b) =>
    [...permutation(rng.split(`bag ${b}`), members).subarray(0, size)].sort((m, n) => m - n),
  )
}

function checkWhole(caller: string, argument: string, value: number, least: number): void {
  if (!(Number.isSafeInteger(value) && value >= least))
    throw new ArgumentError(caller, argument, `a whole number ≥ ${least}`, value)
}

/** Not a difference: two infinite scores are equal. */
function compare(a: number, b: number): number {
  return a < b ? -1 : a > b ? 1 : 0
}
