import {
  decideBranches,
  decideCasts,
  foldBatchNorm,
  inferenceForm,
  type Model,
  normaliseOpset,
  topologicalSort,
} from '@imago/onnx'
import type { EngineOptions } from '../engine.js'
import { evaluateConstants } from './evaluate-constants.js'

/**
 * A model for inference alone, in plain ONNX that any runtime takes: functions inlined, dropout and the training mode gone, shapes and
 * constants computed, BatchNormalization in the weights before it. `notes` says what was done, one sentence each.
 */
export async function optimizeInference(
  model: Model,
  options: EngineOptions,
): Promise<{ readonly model: Model; readonly notes: readonly string[] }> {
  const normal = normaliseOpset({ ...model, graph: topologicalSort(model.graph) })
  const plain = await evaluateConstants(
    { ...normal, graph: decideBranches(decideCasts(inferenceForm(normal.graph))) },
    options,
  )
  const { graph, folded } = foldBatchNorm(plain.graph)
  const left = graph.nodes.length
  const before = model.graph.nodes.length
  const notes = [
    ...(folded > 0 ? [`${folded} BatchNormalization are in the weights of the layers before them`] : []),
    ...(left < before ? [`${left} nodes are left of ${before}`] : []),
  ]
  return { model: { ...plain, graph }, notes }
}
