import { type Model, mlp } from '@imago/onnx'
import { permutation, type Rng } from '@imago/tensor'
import type { LibraryNet } from './library.js'

/** A net of the library: `input` [N, width] → `logits` [N, 2]; the inputs that it does not see are left out inside. */
export function memberNet(net: LibraryNet, width: number, random: Rng): Model {
  const count = Math.max(1, Math.round(net.inputs * width))
  const options = {
    rng: random.split('weights'),
    activation: net.activation,
    ...(net.dropout > 0 && { dropout: { hidden: net.dropout } }),
  }
  const model = mlp([count, ...net.hidden, 2], options)
  if (count === width) return model
  const seen = permutation(random.split('inputs'), width).slice(0, count).sort()
  return seeing(model, width, seen)
}

/** The model behind a Gather of some of its inputs. */
function seeing({ graph, ...model }: Model, width: number, seen: Uint32Array): Model {
  const [input] = graph.inputs
  const chosen = 'chosen'
  const indices = {
    name: 'chosen.indices',
    type: 'int64' as const,
    dims: [seen.length],
    values: BigInt64Array.from(seen, BigInt),
  }
  const gather = {
    name: chosen,
    op: 'Gather',
    domain: '',
    inputs: [input!.name, indices.name],
    outputs: [chosen],
    attributes: new Map([['axis', { kind: 'int' as const, value: 1n }]]),
  }
  const nodes = graph.nodes.map((node) => ({
    ...node,
    inputs: node.inputs.map((name) => (name === input!.name ? chosen : name)),
  }))
  return {
    ...model,
    graph: {
      ...graph,
      inputs: [{ ...input!, shape: ['N', width] }],
      nodes: [gather, ...nodes],
      initializers: new Map([...graph.initializers, [indices.name, indices]]),
    },
  }
}
