import { differentiate } from '@imago/autodiff'
import {
  decideBranches,
  decode,
  encode,
  inferShapes,
  normaliseOpset,
  parameterNames,
  topologicalSort,
  validateGraph,
} from '@imago/onnx'
import { inspectStudent } from '@imago/runtime'
import { ImagoError } from '@imago/tensor'

/**
 * A file through everything that imago does to a model before ONNX Runtime sees it. `passed`, or `refused` with one of imago's
 * own errors; any other error is thrown: a fault of imago's.
 */
export function probe(bytes) {
  return refusable(() => {
    const model = decode(bytes)
    if (decode(encode(model)).graph.nodes.length !== model.graph.nodes.length) throw new Error('encode loses nodes')
    validateGraph(model.graph)
    const sorted = { ...model, graph: topologicalSort(model.graph) }
    // It catches what is imago's and says it as an obstacle.
    inspectStudent(model)
    for (const pass of [normaliseOpset, ({ graph }) => inferShapes(graph), ({ graph }) => decideBranches(graph)])
      refusable(() => pass(sorted))
    const normal = normaliseOpset(sorted)
    parameterNames(normal.graph)
    differentiate(sorted)
  })
}

function refusable(work) {
  try {
    work()
    return 'passed'
  } catch (error) {
    if (error instanceof ImagoError) return 'refused'
    throw error
  }
}
