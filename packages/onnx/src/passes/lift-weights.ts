import { clone, NotFoundError, type TensorMap, tensorMap } from '@imago/tensor'
import { constantOf, tensorOf } from '../constant-tensor.js'
import type { Graph, ValueInfo } from '../ir.js'

export interface Lifted {
  /** The graph with the weights as inputs behind its own, in the order of `names`. */
  readonly graph: Graph
  /** The weights' values, each with an array of its own: they may change without changing the model. */
  readonly parameters: TensorMap
}

/**
 * Turn initializers into graph inputs, so that a session can be fed with weights that change.
 * @throws NotFoundError for a name that is no initializer of the graph
 */
export function liftWeights(graph: Graph, names: readonly string[]): Lifted {
  const initializers = new Map(graph.initializers)
  const parameters = tensorMap()
  const lifted: ValueInfo[] = []
  for (const name of new Set(names)) {
    const constant = initializers.get(name)
    if (constant === undefined)
      throw new NotFoundError(
        `liftWeights: the graph has no initializer "${name}"`,
        'Take names from parameterNames(graph) or graph.initializers.',
      )
    parameters[name] = clone(tensorOf(constant))
    lifted.push({ name, type: constant.type, shape: constant.dims })
    initializers.delete(name)
  }
  // Files before IR 4 list their initializers among the inputs as well.
  const own = graph.inputs.filter((input) => !(input.name in parameters))
  return { graph: { ...graph, inputs: [...own, ...lifted], initializers }, parameters }
}

/**
 * The way back: values as initializers in place of the graph inputs (or initializers) of their names.
 * @throws NotFoundError for a name that the graph does not have
 */
export function sinkWeights(graph: Graph, parameters: TensorMap): Graph {
  const initializers = new Map(graph.initializers)
  const inputs = new Set(graph.inputs.map((input) => input.name))
  for (const name in parameters) {
    if (!inputs.has(name) && !initializers.has(name))
      throw new NotFoundError(
        `sinkWeights: the graph has neither an input nor an initializer "${name}"`,
        'Give the parameters that liftWeights made from this graph.',
      )
    initializers.set(name, constantOf(name, clone(parameters[name]!)))
  }
  return { ...graph, initializers, inputs: graph.inputs.filter((input) => !(input.name in parameters)) }
}
