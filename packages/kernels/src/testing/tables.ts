import type { KernelName } from '../signatures.js'
import { convertHalfTable, covarianceTable, topKTable } from './cases/data.js'
import { distTable, dkdTable } from './cases/decoupled.js'
import { jsDivergenceTable, klDivergenceTable, reverseKlTable, totalVariationTable } from './cases/divergences.js'
import { solveEq5Table } from './cases/eq5.js'
import { linearSoftTargetLossTable } from './cases/linear.js'
import { crossEntropyTable, logitRegressionTable, softTargetLossTable } from './cases/losses.js'
import { nearestNeighborsTable } from './cases/neighbors.js'
import { dropoutMaskTable, dropoutTable, gaussianNoiseTable, jitterTable } from './cases/noise.js'
import { adamwTable, emaTable, sgdTable, squaredNormTable } from './cases/optimizers.js'
import { softmaxTable } from './cases/softmax.js'
import { topKSoftTargetLossTable } from './cases/top-k.js'
import type { ParityTable } from './parity-case.js'

/** The parity cases and the judge of every built-in kernel. */
export const parityTables: { readonly [kernel in KernelName]: ParityTable } = {
  softmax: softmaxTable,
  soft_target_loss: softTargetLossTable,
  linear_soft_target_loss: linearSoftTargetLossTable,
  cross_entropy: crossEntropyTable,
  kl_divergence: klDivergenceTable,
  logit_regression: logitRegressionTable,
  reverse_kl: reverseKlTable,
  js_divergence: jsDivergenceTable,
  total_variation: totalVariationTable,
  dkd: dkdTable,
  dist: distTable,
  top_k_soft_target_loss: topKSoftTargetLossTable,
  sgd: sgdTable,
  adamw: adamwTable,
  ema: emaTable,
  squared_norm: squaredNormTable,
  dropout_mask: dropoutMaskTable,
  dropout: dropoutTable,
  gaussian_noise: gaussianNoiseTable,
  jitter: jitterTable,
  convert_half: convertHalfTable,
  top_k: topKTable,
  covariance: covarianceTable,
  nearest_neighbors: nearestNeighborsTable,
  solve_eq5: solveEq5Table,
}
