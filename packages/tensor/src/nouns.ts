import type { TensorMap } from './tensor.js'

/** Everything that predicts: a model in ONNX Runtime, an ensemble, a cascade, a function of yours. */
export type Predict = (inputs: TensorMap, signal?: AbortSignal) => Promise<TensorMap>

/** What a maker of targets gets to see: which samples, and their inputs. */
export interface TargetQuery {
  /** Identities of the samples in their data set, one a row. */
  readonly ids: Uint32Array
  readonly inputs: TensorMap
}

/** Everything that supervises: a teacher computed on the fly or read from a store. */
export type Targets = (query: TargetQuery, signal?: AbortSignal) => Promise<TensorMap>

/** Targets that a predictor computes anew for every batch. */
export function fromPredict(predict: Predict): Targets {
  return (query, signal) => predict(query.inputs, signal)
}
