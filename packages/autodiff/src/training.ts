import {
  attribute,
  type Dim,
  divDim,
  float,
  floatAttribute,
  type Graph,
  inferShapes,
  type Node,
  nodeLabel,
  productDim,
  readsOf,
  type Shape,
  tensorOf,
  type ValueInfo,
} from '@imago/onnx'
import { ArgumentError, UnsupportedError } from '@imago/tensor'
import { constantsOf } from './constants.js'
import type { NoiseInput, StatisticUpdate } from './program.js'

export interface TrainingOptions {
  /**
   * `batch`: BatchNormalization uses the statistics of the batch and moves the running ones (exporters do not always mark
   * training). `frozen`: the running statistics stay and are used, as at inference. Default `batch`. Or node by node.
   */
  readonly batchNorm?: 'batch' | 'frozen' | ((node: Node) => 'batch' | 'frozen')
  /** Types and shapes of values, where `inferShapes` cannot tell them. */
  readonly shapes?: ReadonlyMap<string, ValueInfo>
}

/** A graph as it runs in training, and what the caller has to feed and to move for it. `vjp(form.graph, { ...form, wrt })` differentiates it. */
export interface TrainingForm {
  readonly graph: Graph
  readonly noise: readonly NoiseInput[]
  readonly statistics: readonly StatisticUpdate[]
}

/**
 * The training form of a graph: Dropout becomes a product with a mask that is fed (`dropout:<output>`), so that the caller's
 * seed decides and a step can be repeated; BatchNormalization becomes its training mode.
 *
 * @throws UnsupportedError where a mask or statistic of the model is read by something else in the graph
 */
export function training(graph: Graph, options: TrainingOptions = {}): TrainingForm {
  const { batchNorm = 'batch' } = options
  if (batchNorm !== 'batch' && batchNorm !== 'frozen' && typeof batchNorm !== 'function')
    throw new ArgumentError('training', 'batchNorm', `'batch', 'frozen' or a function of the node`, batchNorm)
  const shapes = new Map([...inferShapes(graph), ...(options.shapes ?? [])])
  const taken = new Set([...shapes.keys(), ...graph.nodes.flatMap((node) => node.outputs)])
  const read = new Set([...graph.nodes.flatMap(readsOf), ...graph.outputs.map((output) => output.name)])
  const constants = constantsOf(graph, new Set())
  const noise: NoiseInput[] = []
  const statistics: StatisticUpdate[] = []
  const inputs: ValueInfo[] = [...graph.inputs]
  const batch = graph.inputs.find((input) => !graph.initializers.has(input.name))?.shape?.[0]

  const fresh = (hint: string): string => {
    let name = hint
    for (let i = 1; taken.has(name); i++) name = `${hint}_${i}`
    taken.add(name)
    return name
  }
  const unread = (node: Node, outputs: readonly string[], what: string): void => {
    for (const output of outputs)
      if (output !== '' && read.has(output))
        throw new UnsupportedError(
          nodeLabel(node),
          `its ${what} "${output}" is read elsewhere in the graph; export the model without it`,
        )
  }
  const shapeOf = (node: Node, value: string): Shape => {
    const shape = shapes.get(value)?.shape
    if (shape === undefined)
      throw new UnsupportedError(
        nodeLabel(node),
        `the rank of its input "${value}" is not known; give it in the option "shapes"`,
      )
    return shape
  }

  const dropout = (node: Node): Node => {
    const [x, ratio] = node.inputs as [string, string?]
    const [y, ...rest] = node.outputs as [string, ...string[]]
    unread(node, rest, 'mask')
    const given = ratio ? constants.get(ratio) : undefined
    if (ratio && given === undefined)
      throw new UnsupportedError(
        nodeLabel(node),
        `its ratio "${ratio}" is computed; only a constant ratio can be trained with`,
      )
    const probability = given === undefined ? floatAttribute(node, 'ratio', 0.5) : Number(tensorOf(given).data[0])
    if (!(probability >= 0 && probability < 1))
      throw new UnsupportedError(nodeLabel(node), `its ratio is ${probability}; it must be at least 0 and less than 1`)
    if (probability === 0) return { ...node, op: 'Identity', inputs: [x], outputs: [y], attributes: new Map() }
    const name = fresh(`dropout:${y}`)
    const dims = shapeOf(node, x)
    noise.push({ name, dims, probability })
    inputs.push({ name, type: shapes.get(x)?.type ?? 'float32', shape: dims })
    return { ...node, op: 'Mul', inputs: [x, name], outputs: [y], attributes: new Map() }
  }

  const normalization = (node: Node): Node => {
    const [x, , , mean, variance] = node.inputs as [string, string, string, string, string]
    const [y, ...rest] = node.outputs as [string, ...string[]]
    unread(node, rest, 'running statistic')
    const keep = (key: string): boolean => key !== 'training_mode' && key !== 'momentum'
    const attributes = new Map([...node.attributes].filter(([key]) => keep(key)))
    if ((typeof batchNorm === 'function' ? batchNorm(node) : batchNorm) === 'frozen')
      return { ...node, outputs: [y], attributes }
    // With momentum 0 the "running" outputs are the batch's own mean and biased variance, so nothing is reduced twice.
    attributes.set('training_mode', attribute(1)).set('momentum', float(0))
    const names = [fresh(`mean:${y}`), fresh(`variance:${y}`)] as const
    const momentum = floatAttribute(node, 'momentum', 0.9)
    statistics.push({ parameter: mean, value: names[0], momentum, perRow: 0 })
    statistics.push({
      parameter: variance,
      value: names[1],
      momentum,
      perRow: elementsPerRow(node, shapeOf(node, x), batch),
    })
    return { ...node, outputs: [y, ...names], attributes }
  }

  const nodes = graph.nodes.map((node) => {
    if (node.domain !== '' && node.domain !== 'ai.onnx') return node
    if (node.op === 'Dropout') return dropout(node)
    return node.op === 'BatchNormalization' ? normalization(node) : node
  })
  return { graph: { ...graph, nodes, inputs }, noise, statistics }
}

/** How many elements of one channel [M, C, …] one row of the batch holds; M is the batch, or a multiple of it. */
function elementsPerRow(node: Node, shape: Shape, batch: Dim | undefined): number {
  const rows = batch === undefined ? undefined : divDim(shape[0]!, batch)
  const along = productDim(shape.slice(2))
  if (typeof along !== 'number' || typeof rows !== 'number')
    throw new UnsupportedError(
      nodeLabel(node),
      `how many elements a row of the batch has in its input [${shape.join(', ')}] is not known; fix the sizes beyond the batch`,
    )
  return rows * along
}
