import type { Graph } from '@imago/onnx'

/** Inputs that hold what is measured, not trained, by op. */
const statistics: { readonly [op: string]: readonly number[] } = { BatchNormalization: [3, 4] }

/**
 * The initializers that training changes: float32 with more than one element, read by a node as anything but a running
 * statistic. Scalars are constants of formulas (an epsilon, a √2) rather than weights.
 */
export function trainableWeights(graph: Graph): string[] {
  const read = new Set<string>()
  const measured = new Set<string>()
  for (const node of graph.nodes)
    for (const [i, name] of node.inputs.entries()) (statistics[node.op]?.includes(i) ? measured : read).add(name)
  return [...graph.initializers.values()]
    .filter(
      ({ name, type, dims }) =>
        type === 'float32' && dims.some((dim) => dim > 1) && read.has(name) && !measured.has(name),
    )
    .map((constant) => constant.name)
}
