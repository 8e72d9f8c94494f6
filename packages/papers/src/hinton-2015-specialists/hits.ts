import type { ClassSet } from '@imago/specialists'
import type { JsonObject } from '@imago/trainer'
import type { PredictedRows } from '../predict-rows.js'

/**
 * What a classifier gets right, row by row, so that two can be compared on the same rows: strings with one character a row, a number in base 36.
 * A row is asked about once among all classes, and once within each set that has its true class (the paper's conditional accuracy restricts
 * predictions to the classes of a specialist).
 */
export interface Hits extends JsonObject {
  /** 1 where the best of all classes is the true one. */
  readonly overall: string
  /** In how many of the sets with its class the best class of the set is the true one. */
  readonly within: string
}

/** For each class the sets that have it. */
export function coveringSets(sets: readonly ClassSet[], classes: number): readonly (readonly ClassSet[])[] {
  const covering = Array.from({ length: classes }, (): ClassSet[] => [])
  for (const set of sets) for (const c of set.classes) covering[c]!.push(set)
  return covering
}

/** How many sets have the true class of each row; a row's character as in `Hits`. */
export function coverage(labels: Int32Array, sets: readonly ClassSet[], classes: number): string {
  const covering = coveringSets(sets, classes)
  return Array.from(labels, (label) => digit(covering[label]!.length)).join('')
}

export function hitsOf({ logits, labels, classes }: PredictedRows, sets: readonly ClassSet[]): Hits {
  const covering = coveringSets(sets, classes)
  const all = Array.from({ length: classes }, (_, c) => c)
  const bestOf = (row: number, among: readonly number[]): number => {
    let best = among[0]!
    for (const c of among) if (logits[row * classes + c]! > logits[row * classes + best]!) best = c
    return best
  }
  const [overall, within]: [string[], string[]] = [[], []]
  for (const [row, label] of labels.entries()) {
    overall.push(bestOf(row, all) === label ? '1' : '0')
    within.push(digit(covering[label]!.filter(({ classes: own }) => bestOf(row, own) === label).length))
  }
  return { overall: overall.join(''), within: within.join('') }
}

/** The numbers of a string of `Hits`. */
export function countsOf(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => Number.parseInt(character, 36))
}

function digit(count: number): string {
  return Math.min(count, 35).toString(36)
}
