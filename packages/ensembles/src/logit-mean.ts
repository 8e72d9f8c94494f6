import { type Combine, checkWeights, type WeightOptions } from './combine.js'
import { meanOf } from './geometric.js'

/**
 * The mean of the members' logits as they are, Σ_m w_m·z_m: what a student regresses on (Ba & Caruana 2014, §2.2). As
 * distributions these are those of `geometric`; as numbers they keep each row's constant, which a regression learns.
 *
 * @throws ArgumentError for weights that are none
 */
export function logitMean(options: WeightOptions = {}): Combine {
  checkWeights('logitMean', options.weights)
  return { name: 'logitMean', weights: options.weights, row: meanOf }
}
