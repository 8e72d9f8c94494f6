import type { KernelBuffer } from '../binding.js'
import type { KernelName } from '../signatures.js'
import { adamw } from './adamw.js'
import { convertHalf } from './convert_half.js'
import { covariance } from './covariance.js'
import { crossEntropy } from './cross_entropy.js'
import { dist } from './dist.js'
import { dkd } from './dkd.js'
import { dropout } from './dropout.js'
import { dropoutMask } from './dropout_mask.js'
import { ema } from './ema.js'
import { gaussianNoise } from './gaussian_noise.js'
import { jitter } from './jitter.js'
import { jsDivergence } from './js_divergence.js'
import { klDivergence } from './kl_divergence.js'
import { linearSoftTargetLoss } from './linear_soft_target_loss.js'
import { logitRegression } from './logit_regression.js'
import { nearestNeighbors } from './nearest_neighbors.js'
import { reverseKl } from './reverse_kl.js'
import { sgd } from './sgd.js'
import { softTargetLoss } from './soft_target_loss.js'
import { softmax } from './softmax.js'
import { solveEq5 } from './solve_eq5.js'
import { squaredNorm } from './squared_norm.js'
import { topK } from './top_k.js'
import { topKSoftTargetLoss } from './top_k_soft_target_loss.js'
import { totalVariation } from './total_variation.js'

/** A kernel as every backend has it: buffers and scalars in the order of `signatures`. */
export type Kernel = (buffers: readonly KernelBuffer[], scalars: readonly number[]) => void

/** Every kernel as plain TypeScript in float64: the definition, the oracle of the tests and the fallback. */
export const reference: { readonly [name in KernelName]: Kernel } = {
  softmax: softmax as unknown as Kernel,
  soft_target_loss: softTargetLoss as unknown as Kernel,
  linear_soft_target_loss: linearSoftTargetLoss as unknown as Kernel,
  cross_entropy: crossEntropy as unknown as Kernel,
  kl_divergence: klDivergence as unknown as Kernel,
  logit_regression: logitRegression as unknown as Kernel,
  reverse_kl: reverseKl as unknown as Kernel,
  js_divergence: jsDivergence as unknown as Kernel,
  total_variation: totalVariation as unknown as Kernel,
  dkd: dkd as unknown as Kernel,
  dist: dist as unknown as Kernel,
  top_k_soft_target_loss: topKSoftTargetLoss as unknown as Kernel,
  sgd: sgd as unknown as Kernel,
  adamw: adamw as unknown as Kernel,
  ema: ema as unknown as Kernel,
  squared_norm: squaredNorm as unknown as Kernel,
  dropout_mask: dropoutMask as unknown as Kernel,
  dropout: dropout as unknown as Kernel,
  gaussian_noise: gaussianNoise as unknown as Kernel,
  jitter: jitter as unknown as Kernel,
  convert_half: convertHalf as unknown as Kernel,
  top_k: topK as unknown as Kernel,
  covariance: covariance as unknown as Kernel,
  nearest_neighbors: nearestNeighbors as unknown as Kernel,
  solve_eq5: solveEq5 as unknown as Kernel,
}
