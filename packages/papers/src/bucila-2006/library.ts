/** A net of the library: what makes it another than its neighbours. */
export interface LibraryNet {
  readonly hidden: readonly number[]
  readonly activation: 'Relu' | 'Tanh'
  readonly dropout: number
  /** The share of the inputs that it sees, drawn by its seed. */
  readonly inputs: number
  readonly epochs: number
  readonly seed: number
}

const sizes: readonly (readonly number[])[] = [[16], [64], [256], [64, 64], [512], [128, 64]]

/**
 * Nets of several kinds: six shapes; rectified or tanh; no dropout, or 0.3 of the hidden units; all inputs, or two thirds of them; short and
 * long training. Each has a seed of its own. (The paper's library also has trees, nearest neighbours and SVMs, thousands in all.)
 */
export function library(count: number, epochs: number): LibraryNet[] {
  return Array.from({ length: count }, (_, i) => ({
    hidden: sizes[i % sizes.length]!,
    activation: Math.floor(i / 2) % 3 === 2 ? 'Tanh' : 'Relu',
    dropout: Math.floor(i / 6) % 2 === 1 ? 0.3 : 0,
    inputs: i % 4 === 3 ? 2 / 3 : 1,
    epochs: i % 5 === 4 ? Math.ceil(epochs / 4) : i % 3 === 1 ? Math.ceil(epochs / 2) : epochs,
    seed: i + 1,
  }))
}
