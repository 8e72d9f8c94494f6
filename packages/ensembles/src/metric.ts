import { ArgumentError } from '@imago/tensor'

/**
 * What selection makes small, over labelled rows with distributions p:
 * `errorRate`, the share of rows whose largest p is not the label's (the first of equals is taken);
 * `crossEntropy`, the mean of −log p(label), in nats;
 * `rmse`, √(Σ_rows Σ_c (p_c − onehot_c)² / (rows · C)), which for two classes is that of the positive class alone (Bucilă et al. 2006).
 */
export type Metric = 'errorRate' | 'crossEntropy' | 'rmse'

interface Scoring {
  /** What one row adds. */
  readonly row: (p: Float64Array, label: number) => number
  readonly finish: (sum: number, rows: number, classes: number) => number
}

const table: { readonly [name in Metric]: Scoring } = {
  errorRate: {
    row(p, label) {
      let best = 0
      for (let c = 1; c < p.length; c++) if (p[c]! > p[best]!) best = c
      return best === label ? 0 : 1
    },
    finish: (sum, rows) => sum / rows,
  },
  crossEntropy: {
    row: (p, label) => -Math.log(p[label]!),
    finish: (sum, rows) => sum / rows,
  },
  rmse: {
    row(p, label) {
      let sum = 0
      for (let c = 0; c < p.length; c++) sum += (p[c]! - (c === label ? 1 : 0)) ** 2
      return sum
    },
    finish: (sum, rows, classes) => Math.sqrt(sum / (rows * classes)),
  },
}

/** @throws ArgumentError for a metric that is none */
export function scoring(caller: string, metric: Metric): Scoring {
  if (!Object.hasOwn(table, metric))
    throw new ArgumentError(caller, 'metric', `one of ${Object.keys(table).join(', ')}`, metric)
  return table[metric]
}
