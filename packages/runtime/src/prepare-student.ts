import { type TrainingForm, training } from '@imago/autodiff'
import {
  decideBranches,
  drawnDropout,
  exporterTraces,
  fuse,
  type Graph,
  inferShapes,
  type Model,
  type Node,
  nodeLabel,
  normaliseOpset,
  parameterNames,
  removeDeadCode,
  tiedParameters,
  topologicalSort,
} from '@imago/onnx'
import { ArgumentError, describe, NotFoundError, UnsupportedError } from '@imago/tensor'
import { freeBatch } from './adapt/free-batch.js'
import { logitsGraph } from './adapt/logits-graph.js'
import { separateWeights } from './adapt/separate-weights.js'
import { widenHalf } from './adapt/widen-half.js'

export interface PrepareOptions {
  /**
   * Weights that stay as they are: names, or a test of the name. Default none. A normalization whose running mean is among them keeps its
   * statistics too, and uses them.
   */
  readonly freeze?: readonly string[] | RegExp | ((name: string) => boolean) | undefined
  /** Batch statistics in training, moving the running ones (`batch`, default), or the running ones as they are (`frozen`). */
  readonly batchNorm?: 'batch' | 'frozen' | undefined
  /** The output that classifies, where the model has several. */
  readonly output?: string | undefined
  /** Tensors to give beside `logits`, under their own names: hidden layers, further heads. Any value inside the graph may be named. */
  readonly also?: readonly string[] | undefined
}

export interface Prepared {
  /** The model as it will be saved: the one given, but for vectors that several layers shared. */
  readonly model: Model
  /** The graph as it is trained, before its training form: float32, up to the logits. */
  readonly graph: Graph
  readonly form: TrainingForm
  readonly opsets: Model['opsets']
  /** The output that holds logits. */
  readonly output: string
  /** The outputs beside it. */
  readonly also: readonly string[]
  /** The weights to train. */
  readonly names: readonly string[]
  /** The weights that stay. */
  readonly frozen: readonly string[]
  /** What was found and done, one sentence each. */
  readonly notes: readonly string[]
}

/**
 * What `openStudent` does to a model before it is differentiated.
 *
 * @throws UnsupportedError, ArgumentError, NotFoundError as `openStudent` does
 */
export function prepareStudent(
  source: Model,
  options: PrepareOptions = {},
  lowering: 'portable' | 'cpu' = 'cpu',
): Prepared {
  const separated = separateWeights(source)
  const { model } = separated
  const wide = widenHalf({ ...model, graph: topologicalSort(model.graph) })
  const { opsets, ...whole } = normaliseOpset(wide.model)
  const cut = logitsGraph({ ...whole, opsets }, options.output)
  const seen = withOutputs(cut.graph, whole.graph, cut.output, options.also ?? [])
  // Constants that the passes added are not in the file, so that they could not be saved.
  const all = parameterNames(seen).filter((name) => model.graph.initializers.has(name))
  if (all.length === 0) throw new UnsupportedError('the student', whyNoWeights(model))
  const free = freeBatch(removeDeadCode(drawnDropout(decideBranches(seen, { keep: all }))))
  free.graph.nodes.forEach(refuseDraws)
  const isFrozen = freezer(all, free.graph, options.freeze)
  const frozen = all.filter(isFrozen)
  const names = all.filter((name) => !isFrozen(name))
  if (names.length === 0)
    throw new ArgumentError('openStudent', 'freeze', 'such that a weight is left to train', [...frozen])
  const batchNorm = options.batchNorm ?? 'batch'
  const graph = fuse(free.graph, { trained: all, lowering })
  const form = training(graph, {
    batchNorm: batchNorm === 'batch' ? (node) => (isFrozen(node.inputs[3] ?? '') ? 'frozen' : 'batch') : batchNorm,
  })
  const notes = [
    ...separated.notes,
    ...wide.notes,
    ...cut.notes,
    ...free.notes,
    ...(frozen.length === 0 ? [] : [`${frozen.length} of ${all.length} weights are frozen`]),
    ...exporterTraces(free.graph),
    ...tiedParameters(free.graph)
      .filter((group) => group.some((name) => names.includes(name)))
      .map((group) => `${group.join(' and ')} hold the same values; they are trained apart`),
  ]
  const also = graph.outputs.map(({ name }) => name).filter((name) => name !== cut.output)
  return { model, graph, form, opsets, output: cut.output, also, names, frozen, notes }
}

/** The graph with these values as outputs too. @throws NotFoundError, ArgumentError for what it does not have, or what cannot be told from the logits */
function withOutputs(graph: Graph, whole: Graph, logits: string, also: readonly string[]): Graph {
  const made = new Set(graph.nodes.flatMap((node) => node.outputs))
  const known = inferShapes(graph)
  const more = [...new Set(also)].filter((name) => name !== logits)
  for (const name of more) {
    if (name === 'logits') throw new ArgumentError('openStudent', 'also', 'names other than that of the logits', name)
    if (name === '' || !made.has(name))
      throw new NotFoundError(`the student has no value ${describe(name)}`, 'Name outputs of its nodes')
  }
  const outputs = more.map((name) => whole.outputs.find((one) => one.name === name) ?? known.get(name) ?? { name })
  return { ...graph, outputs: [...graph.outputs, ...outputs] }
}

const draws = /^(Random(Uniform|Normal)(Like)?|Bernoulli|Multinomial)$/

function refuseDraws(node: Node): void {
  if (node.domain === '' && draws.test(node.op))
    throw new UnsupportedError(
      nodeLabel(node),
      'draws random numbers in the graph, at inference too, and no seed repeats them; only dropout is trained with. Leave it out of the model, or make what it draws an input',
    )
}

function whyNoWeights({ graph }: Model): string {
  const types = new Set([...graph.initializers.values()].map((constant) => constant.type))
  if (types.has('int8') || types.has('uint8'))
    return 'it has no float weights but quantized ones; train the float model and quantize it afterwards'
  if (types.has('float64')) return 'its weights are float64; export it in float32'
  return 'it has no float32 weights; export it in float32, with its weights inside'
}

function freezer(all: readonly string[], graph: Graph, freeze: PrepareOptions['freeze']): (name: string) => boolean {
  if (freeze === undefined) return () => false
  if (freeze instanceof RegExp) return (name) => name.search(freeze) >= 0
  if (typeof freeze === 'function') return freeze
  const known = new Set([...all, ...graph.nodes.flatMap(statisticsOf)])
  const unknown = freeze.find((name) => !known.has(name))
  if (unknown !== undefined)
    throw new NotFoundError(`the student has no weight "${unknown}" to freeze`, `Its weights are ${all.join(', ')}`)
  const names = new Set(freeze)
  return (name) => names.has(name)
}

/** Running mean and variance of a normalization. */
export function statisticsOf(node: Node): readonly string[] {
  return node.op === 'BatchNormalization' ? node.inputs.slice(3, 5) : []
}
