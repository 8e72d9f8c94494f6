import { rng } from '@imago/tensor'

/** A net of the library: what makes it another than its neighbours. */
export interface LibraryNet {
  readonly hidden: readonly number[]
  readonly activation: 'Relu' | 'Tanh'
  /** The share of the hidden units that is dropped. */
  readonly dropout: number
  /** The share of the inputs that it sees, drawn by its seed. */
  readonly inputs: number
  readonly epochs: number
  readonly seed: number
}

const kinds = {
  hidden: [[16], [64], [256], [64, 64], [512], [128, 64]],
  activation: ['Relu', 'Relu', 'Tanh'],
  dropout: [0, 0.3],
  inputs: [1, 1, 2 / 3],
  epochs: [1, 1, 1 / 2, 1 / 4],
} as const

/**
 * Nets of several kinds, drawn: six shapes; rectified or tanh; no dropout, or 0.3 of the hidden units; all inputs, or two thirds of them; long
 * and short training. The first nets are the same however many there are. (The paper's library has trees, nearest neighbours and SVMs too,
 * thousands in all.)
 */
export function library(count: number, epochs: number): LibraryNet[] {
  const random = rng(2004)
  const one = <T>(list: readonly T[]): T => list[random.integer(list.length)]!
  return Array.from({ length: count }, (_, i) => ({
    // Every shape as often as the others.
    hidden: kinds.hidden[i % kinds.hidden.length]!,
    activation: one(kinds.activation),
    dropout: one(kinds.dropout),
    inputs: one(kinds.inputs),
    epochs: Math.ceil(one(kinds.epochs) * epochs),
    seed: i + 1,
  }))
}
