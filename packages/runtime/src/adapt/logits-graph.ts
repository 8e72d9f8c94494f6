import { builder, type Graph, inferShapes, type Model } from '@imago/onnx'
import { UnsupportedError } from '@imago/tensor'
import { classifier } from './classifier.js'

export interface LogitsGraph {
  /** A graph with one output, logits [N, C] with C ≥ 2. */
  readonly graph: Graph
  readonly output: string
  readonly notes: readonly string[]
}

/**
 * A student's graph as it is trained: up to the logits. What predictor does to numbers is done here by nodes, so that gradients flow
 * through: one output z becomes [0, z] = z·[0, 1].
 *
 * @throws UnsupportedError for a model that gives probabilities by nodes of which no logits can be seen
 */
export function logitsGraph(model: Model, wanted?: string): LogitsGraph {
  const found = classifier(model, wanted)
  const { value, notes } = found
  if (found.gives === 'probabilities')
    throw new UnsupportedError(
      `output "${value}"`,
      'it holds probabilities and no softmax is to be seen; export the student without its last normalization',
    )
  const { graph } = found.model
  const shape = inferShapes(graph).get(value)?.shape
  const classes = shape?.length === 1 ? 1 : shape?.[1]
  if (classes !== 1) {
    if (found.sigmoid && typeof classes === 'number')
      throw new UnsupportedError(
        `output "${value}"`,
        `a Sigmoid over ${classes} outputs: each is a yes or no of its own, not one distribution over classes`,
      )
    return { graph, output: value, notes }
  }
  const b = builder({ ...graph, outputs: [] })
  const column = b.op('Reshape', [value, b.ints([-1, 1])])
  const zeroOne = b.constant({ type: 'float32', dims: [1, 2], data: Float32Array.of(0, 1) })
  const output = b.op('Mul', [column, zeroOne], {}, { outputs: [b.unique('logits')] })
  b.output(output, 'float32', [shape?.[0] ?? 'N', 2])
  const note = `output "${value}" is one number z for each row; the logits are [0, z]`
  return { graph: b.graph(), output, notes: [...notes, note] }
}
