import { type Builder, builder, type Graph } from '@imago/onnx'

/** A graph with x [N, 3] and a weight [3, 3] to start from; the last value is its output `y`. */
export function graphOf(build: (b: Builder) => string): Graph {
  const b = builder()
  b.input('x', 'float32', ['N', 3])
  b.input('w', 'float32', [3, 3])
  b.output(build(b))
  return b.graph()
}

/** The ops of a graph in order. */
export function opsOf(graph: Graph): string[] {
  return graph.nodes.map((node) => node.op)
}
