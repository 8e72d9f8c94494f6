import { type Graph, type Model, parameterNames } from '@imago/onnx'
import type { VjpProgram } from './program.js'
import { type TrainingOptions, training } from './training.js'
import { type VjpOptions, vjp } from './vjp.js'

export type DifferentiateOptions = TrainingOptions & Partial<Omit<VjpOptions, 'noise' | 'statistics'>>

/**
 * A model in its training form, differentiated: `vjp` after `training`. `wrt` left out: every weight that `parameterNames` finds.
 *
 * @throws UnsupportedError, NotFoundError as `vjp` and `training` do
 */
export function differentiate(model: Model | Graph, options: DifferentiateOptions = {}): VjpProgram {
  const graph = 'graph' in model ? model.graph : model
  const form = training(graph, options)
  return vjp(form.graph, { ...options, ...form, wrt: options.wrt ?? parameterNames(graph) })
}
