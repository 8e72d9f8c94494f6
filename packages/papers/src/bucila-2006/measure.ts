import type { PredictedRows } from '../predict-rows.js'

/** How well scores fit binary labels. */
export interface Fit {
  /** √(mean (p(positive) − label)²): the paper's measure. */
  readonly rmse: number
  readonly errors: number
  readonly rows: number
}

export function fitOf({ logits, labels, classes }: PredictedRows): Fit {
  let [squares, errors] = [0, 0]
  for (const [row, label] of labels.entries()) {
    const z = logits[row * classes + 1]! - logits[row * classes]!
    squares += (1 / (1 + Math.exp(-z)) - label) ** 2
    if (z > 0 !== (label === 1)) errors++
  }
  return { rmse: Math.sqrt(squares / labels.length), errors, rows: labels.length }
}
