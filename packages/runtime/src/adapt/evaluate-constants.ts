import {
  type ConstantTensor,
  constantOf,
  type Graph,
  type Model,
  type Node,
  removeDeadCode,
  subgraphs,
} from '@imago/onnx'
import { elementCount, type Tensor } from '@imago/tensor'
import type { EngineOptions } from '../engine.js'
import { encodeInternal } from '../model-source.js'
import { openLoadable } from '../session.js'

const draws = /^(Random(Uniform|Normal)(Like)?|Bernoulli|Multinomial)$/
/** Vectors up to this many elements may be larger than what they are made of: a bias that an exporter wrote as an expanded zero. */
const longestVector = 4096

/**
 * The model with nodes of constants replaced by what ONNX Runtime computes of them, once, here. `foldConstants` evaluates what every machine
 * gives alike; this takes the rest. Results that would make the file larger stay computed. The nodes must be in topological order.
 */
export async function evaluateConstants(model: Model, options: EngineOptions): Promise<Model> {
  const { graph } = model
  const fed = new Set(graph.inputs.map((input) => input.name))
  const constants = new Set([...graph.initializers.keys()].filter((name) => !fed.has(name)))
  const nodes = graph.nodes.filter((node) => {
    const isConstant = isPure(node) && node.inputs.every((name) => name === '' || constants.has(name))
    if (isConstant) for (const output of node.outputs) constants.add(output)
    return isConstant
  })
  const computed = frontier(graph, nodes)
  if (computed.length === 0) return model
  const initializers = await run({ ...model, graph: part(graph, nodes, computed) }, graph, options)
  const isDone = (node: Node): boolean => node.outputs.every((name) => name === '' || initializers.has(name))
  const kept = graph.nodes.filter((node) => !(nodes.includes(node) && isDone(node)))
  return {
    ...model,
    graph: removeDeadCode({ ...graph, nodes: kept, initializers: new Map([...graph.initializers, ...initializers]) }),
  }
}

function isPure(node: Node): boolean {
  return (
    !draws.test(node.op) &&
    node.op !== 'Constant' &&
    subgraphs(node).length === 0 &&
    node.inputs.some((name) => name !== '')
  )
}

/** What the other nodes read of these. The graph's own outputs stay computed: their names are not to become initializers. */
function frontier(graph: Graph, nodes: readonly Node[]): string[] {
  const inside = new Set(nodes)
  const made = new Set(nodes.flatMap((node) => node.outputs))
  const outputs = new Set(graph.outputs.map((output) => output.name))
  const read = graph.nodes.filter((node) => !inside.has(node)).flatMap((node) => [...node.inputs])
  return [...new Set(read)].filter((name) => made.has(name) && !outputs.has(name))
}

function part(graph: Graph, nodes: readonly Node[], outputs: readonly string[]): Graph {
  const named = outputs.map((name) => ({ name }))
  return removeDeadCode({ ...graph, nodes, inputs: [], outputs: named, values: [] })
}

async function run(model: Model, whole: Graph, options: EngineOptions): Promise<Map<string, ConstantTensor>> {
  const session = await openLoadable('the constants', encodeInternal(model), options)
  try {
    const results = await session.run({})
    const kept = Object.entries(results).filter(([name, value]) => isSmall(name, value, whole))
    return new Map(kept.map(([name, value]) => [name, constantOf(name, value)]))
  } finally {
    await session.dispose()
  }
}

/** No larger than the constants that its node reads, or a short vector. */
function isSmall(name: string, value: Tensor, { nodes, initializers }: Graph): boolean {
  const count = elementCount(value.dims)
  const node = nodes.find(({ outputs }) => outputs.includes(name))
  const sources = node?.inputs.flatMap((input) => initializers.get(input) ?? []) ?? []
  const largest = Math.max(
    0,
    ...sources.filter(({ type }) => type === value.type).map(({ dims }) => elementCount(dims)),
  )
  return count <= largest || (value.dims.length <= 1 && count <= longestVector)
}
