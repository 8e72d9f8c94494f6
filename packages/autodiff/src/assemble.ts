import { type ConstantTensor, type Graph, type Node, readsOf, type ValueInfo } from '@imago/onnx'
import { contextOf, type Workspace } from './context.js'
import { staticSizes } from './emit.js'
import type { NoiseInput, StatisticUpdate, VjpProgram } from './program.js'

export interface Parts {
  /** The graph that was differentiated. */
  readonly graph: Graph
  readonly work: Workspace
  /** The forward nodes, rewritten where a rule asked for it. */
  readonly nodes: readonly Node[]
  readonly wrt: readonly string[]
  /** Backward values that hold the gradients; undefined where the loss does not depend on the parameter. */
  readonly gradients: ReadonlyMap<string, string | undefined>
  readonly seeds: { readonly [output: string]: string }
  readonly noise: readonly NoiseInput[]
  readonly statistics: readonly StatisticUpdate[]
}

/** Make the two graphs from what the walk left: prune backward, find what it reads of forward, and save that. */
export function assemble(parts: Parts): VjpProgram {
  const { graph, work, wrt, noise, statistics } = parts
  const { shapes, b } = work
  const { names, nodes } = nameGradients(parts)
  const own = b.graph()
  const live = liveNodes(nodes, new Set(Object.values(names)))
  const fed = new Set(wrt)
  const forwardNodes = [...parts.nodes, ...work.forward.graph().nodes.slice(graph.nodes.length)]
  // An input with an open batch is data, whatever the gradient is wanted for.
  const still = new Set(wrt.filter((name) => staticSizes(shapes.get(name)?.shape) !== undefined))
  const sources = sourcesOf(live, own, forwardNodes, still, work.constants)

  const describe = (name: string): ValueInfo => shapes.get(name) ?? { name }
  const constant = new Map([...graph.initializers].filter(([name]) => !fed.has(name)))
  const listed = new Set(graph.inputs.map((input) => input.name))
  const inputs = [
    ...graph.inputs.filter((input) => !constant.has(input.name)),
    ...wrt.filter((name) => !listed.has(name)).map(describe),
  ]
  const outputs = graph.outputs.map((output) => output.name)
  const produced = new Set(forwardNodes.flatMap((node) => node.outputs))
  const wanted = [...sources.read, ...statistics.map((statistic) => statistic.value)]
  const saved = [...new Set(wanted)].filter((name) => produced.has(name) && !outputs.includes(name))
  const noisy = new Set(noise.map((input) => input.name))
  const backwardNodes = [...sources.again, ...live]
  const used = new Set(backwardNodes.flatMap(readsOf))
  const usedForward = new Set([...forwardNodes.flatMap(readsOf), ...outputs])

  return {
    forward: {
      ...graph,
      name: `${graph.name}:forward`,
      nodes: forwardNodes,
      inputs,
      outputs: [...graph.outputs, ...saved.map(describe)],
      // Ratios of dropout and such are left over from rewriting.
      initializers: new Map([...constant].filter(([name]) => usedForward.has(name))),
    },
    backward: {
      name: `${graph.name}:backward`,
      nodes: backwardNodes,
      inputs: [...own.inputs, ...sources.read.map(describe)],
      outputs: wrt.map((name) => ({ ...describe(name), name: names[name]! })),
      initializers: new Map([...own.initializers, ...sources.constants].filter(([name]) => used.has(name))),
      values: [],
    },
    inputs: inputs.map((input) => input.name).filter((name) => !fed.has(name) && !noisy.has(name)),
    outputs,
    parameters: [...wrt],
    saved,
    cotangents: parts.seeds,
    gradients: names,
    noise,
    statistics,
  }
}

/** The backward values renamed to `gradient:<parameter>`; where two gradients are one value, or one is a cotangent as it came, a copy. */
function nameGradients({ work, wrt, gradients }: Parts): {
  readonly names: { readonly [parameter: string]: string }
  readonly nodes: readonly Node[]
} {
  const { b } = work
  const made = new Set(b.graph().nodes.flatMap((node) => node.outputs))
  const renamed = new Map<string, string>()
  const names: { [parameter: string]: string } = {}
  for (const parameter of wrt) {
    const name = b.unique(`gradient:${parameter}`)
    const value = gradients.get(parameter)
    names[parameter] = name
    if (value !== undefined && made.has(value) && !renamed.has(value)) renamed.set(value, name)
    else if (value !== undefined) b.op('Identity', [value], {}, { outputs: [name] })
    else zeros(parameter, name, work)
  }
  const rename = (value: string): string => renamed.get(value) ?? value
  const nodes = b.graph().nodes.map((node) => ({
    ...node,
    inputs: node.inputs.map(rename),
    outputs: node.outputs.map(rename),
  }))
  return { names, nodes }
}

/** The loss does not depend on the parameter: zeros in its shape. */
function zeros(parameter: string, name: string, work: Workspace): void {
  const ctx = contextOf(reader(parameter), work)
  work.b.op('Expand', [ctx.scalar(0, parameter), ctx.shapeOf(parameter)], {}, { outputs: [name] })
}

// Messages about a parameter that no node reads have to name something.
function reader(parameter: string): Node {
  return { name: parameter, op: 'parameter', domain: '', inputs: [parameter], outputs: [], attributes: new Map() }
}

/** The nodes that the wanted values need, in their order. */
function liveNodes(nodes: readonly Node[], wanted: ReadonlySet<string>): Node[] {
  const needed = new Set(wanted)
  const live: Node[] = []
  for (const node of [...nodes].reverse()) {
    if (!node.outputs.some((output) => needed.has(output))) continue
    for (const input of readsOf(node)) needed.add(input)
    live.unshift(node)
  }
  return live
}

interface Sources {
  /** Forward inputs and outputs that backward takes. */
  readonly read: readonly string[]
  readonly constants: ReadonlyMap<string, ConstantTensor>
  /** Forward nodes to run again: cheap ones over parameters and constants alone (a transposed weight), which are not saved. */
  readonly again: readonly Node[]
}

const cheap: ReadonlySet<string> = new Set([
  ...['Identity', 'Transpose', 'Reshape', 'Flatten', 'Squeeze', 'Unsqueeze', 'Cast', 'Slice', 'Concat', 'Split'],
  ...['Expand', 'Gather', 'Shape', 'Add', 'Sub', 'Mul', 'Div', 'Neg', 'Sqrt', 'Reciprocal', 'Pow', 'Exp'],
])

/** Where each forward value that backward names comes from. */
function sourcesOf(
  live: readonly Node[],
  own: Graph,
  forwardNodes: readonly Node[],
  parameters: ReadonlySet<string>,
  known: ReadonlyMap<string, ConstantTensor>,
): Sources {
  const defined = new Set([
    ...own.inputs.map((input) => input.name),
    ...own.initializers.keys(),
    ...live.flatMap((node) => node.outputs),
  ])
  const maker = new Map(forwardNodes.flatMap((node) => node.outputs.map((output) => [output, node] as const)))
  const repeatable = new Map<Node, boolean>()
  const fromParameters = (name: string): boolean => {
    if (name === '' || parameters.has(name) || known.has(name)) return true
    const node = maker.get(name)
    if (node === undefined) return false
    let answer = repeatable.get(node)
    if (answer === undefined) {
      answer = cheap.has(node.op) && readsOf(node).every(fromParameters)
      repeatable.set(node, answer)
    }
    return answer
  }
  const read = new Set<string>()
  const constants = new Map<string, ConstantTensor>()
  const again = new Set<Node>()
  const visit = (name: string): void => {
    if (name === '' || defined.has(name)) return
    const constant = known.get(name)
    const node = maker.get(name)
    if (constant !== undefined) constants.set(name, constant)
    else if (node !== undefined && fromParameters(name)) {
      again.add(node)
      readsOf(node).forEach(visit)
    } else read.add(name)
  }
  for (const node of live) readsOf(node).forEach(visit)
  return { read: [...read], constants, again: forwardNodes.filter((node) => again.has(node)) }
}
