import {
  decideBranches,
  drawnDropout,
  type Graph,
  type Model,
  normaliseOpset,
  parameterNames,
  standardOpset,
  topologicalSort,
} from '@imago/onnx'
import type { VjpProgram } from './program.js'
import { type TrainingOptions, training } from './training.js'
import { type VjpOptions, vjp } from './vjp.js'

export type DifferentiateOptions = TrainingOptions & Partial<Omit<VjpOptions, 'noise' | 'statistics'>>

/** A program, and the opset versions that its two graphs are written in. */
export interface DifferentiatedModel extends VjpProgram {
  readonly opsets: ReadonlyMap<string, number>
}

/**
 * A model as it comes from a file, prepared, in its training form and differentiated: `normaliseOpset`, `decideBranches`,
 * `training`, `vjp`. A graph by itself is taken to be of opset 17 in topological order. `wrt` left out: every weight that `parameterNames` finds.
 *
 * @throws UnsupportedError, NotFoundError as `vjp` and `training` do
 */
export function differentiate(model: Model | Graph, options: DifferentiateOptions = {}): DifferentiatedModel {
  const { graph, opsets } =
    'graph' in model
      ? normaliseOpset({ ...model, graph: topologicalSort(model.graph) })
      : { graph: model, opsets: new Map([['', standardOpset]]) }
  const wrt = options.wrt ?? parameterNames(graph)
  const form = training(drawnDropout(decideBranches(graph, { keep: wrt })), options)
  return { ...vjp(form.graph, { ...options, ...form, wrt }), opsets }
}
