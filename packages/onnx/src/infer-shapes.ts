import type { DataType } from '@imago/tensor'
import { tensorAttribute } from './attributes.js'
import type { ConstantTensor, Dim, Graph, Shape, ValueInfo } from './ir.js'
import { constantRules, knownConstant } from './shapes/constant.js'
import { convolutionRules } from './shapes/convolution.js'
import { elementwiseRules, microsoftElementwiseRules } from './shapes/elementwise.js'
import { indexingRules } from './shapes/indexing.js'
import { layoutRules } from './shapes/layout.js'
import { matrixRules, microsoftMatrixRules } from './shapes/matrix.js'
import { normalizationRules } from './shapes/normalization.js'
import { reductionRules } from './shapes/reduction.js'
import type { Known, ShapeContext, ShapeRule } from './shapes/rule.js'
import { samplingRules } from './shapes/sampling.js'

export interface InferOptions {
  /** Shapes of inputs in place of what the graph says, as for a fixed batch size. What the graph says of intermediates is then left aside. */
  readonly inputs?: { readonly [name: string]: Shape }
  /** Version of the standard operators. Default 17. */
  readonly opset?: number
}

const standard = new Map<string, ShapeRule>(
  Object.entries({
    ...elementwiseRules,
    ...matrixRules,
    ...convolutionRules,
    ...normalizationRules,
    ...reductionRules,
    ...constantRules,
    ...layoutRules,
    ...indexingRules,
    ...samplingRules,
  }),
)
const microsoft = new Map<string, ShapeRule>(Object.entries({ ...microsoftElementwiseRules, ...microsoftMatrixRules }))
const domains = new Map([
  ['', standard],
  ['ai.onnx', standard],
  ['com.microsoft', microsoft],
])

/**
 * Type and shape of every value of a graph that can be told: inputs, initializers and intermediates. Sizes are numbers or
 * canonical symbols (see dim.ts); a size that cannot be spelled gets a symbol `?1`, `?2`, …, the same for the same
 * expression. Integer vectors that shapes are made of (Shape → Gather → Concat → Reshape) are followed, so that a Reshape
 * keeps a symbolic batch. Values behind an op without a rule are missing, unless the graph says what they are.
 *
 * The nodes must be in topological order (see `topologicalSort`).
 * @throws ShapeError naming the node, where shapes contradict each other
 */
export function inferShapes(graph: Graph, options: InferOptions = {}): ReadonlyMap<string, ValueInfo> {
  return infos(inferKnown(graph, options))
}

/** What holds whatever callers feed: initializers that are inputs too are only what an input is when nobody feeds it. */
export function inferFixed(graph: Graph): ReadonlyMap<string, Known> {
  const inputs = new Set(graph.inputs.map((input) => input.name))
  return inferKnown({ ...graph, initializers: new Map([...graph.initializers].filter(([name]) => !inputs.has(name))) })
}

/** The same with the elements of small integer vectors. */
export function inferKnown(graph: Graph, options: InferOptions = {}): ReadonlyMap<string, Known> {
  const known = new Map<string, Known>()
  const context = contextOf(graph, options)
  for (const input of graph.inputs)
    known.set(input.name, { type: input.type, shape: named(options.inputs?.[input.name] ?? input.shape, context) })
  for (const [name, constant] of graph.initializers) known.set(name, knownConstant(constant))

  const declared = new Map<string, ValueInfo>()
  if (options.inputs === undefined)
    for (const info of [...graph.values, ...graph.outputs]) declared.set(info.name, info)

  for (const node of graph.nodes) {
    const rule = domains.get(node.domain)?.get(node.op)
    const results =
      rule?.(
        node,
        node.inputs.map((name) => known.get(name) ?? {}),
        context,
      ) ?? []
    for (const [i, name] of node.outputs.entries())
      if (name !== '') known.set(name, merge(results[i] ?? {}, declared.get(name), context))
  }
  return known
}

function contextOf(graph: Graph, options: InferOptions): ShapeContext {
  const symbols = new Set<Dim>()
  for (const info of [...graph.inputs, ...graph.outputs, ...graph.values])
    for (const dim of info.shape ?? []) symbols.add(dim)
  const keyed = new Map<string, string>()
  let next = 1
  const fresh = (key?: string): string => {
    const known = key === undefined ? undefined : keyed.get(key)
    if (known !== undefined) return known
    while (symbols.has(`?${next}`)) next++
    const symbol = `?${next++}`
    if (key !== undefined) keyed.set(key, symbol)
    return symbol
  }
  const made = new Map<string, ConstantTensor>()
  for (const node of graph.nodes) {
    const value = node.op === 'Constant' && node.domain === '' ? tensorAttribute(node, 'value') : undefined
    if (value !== undefined && value.external === undefined) made.set(node.outputs[0] ?? '', value)
  }
  const constant = (name: string): ConstantTensor | undefined => {
    const found = graph.initializers.get(name) ?? made.get(name)
    return found?.external === undefined ? found : undefined
  }
  return { opset: options.opset ?? 17, fresh, constant }
}

/** Each bare `?` is a size of its own. */
function named(shape: Shape | undefined, context: ShapeContext): Shape | undefined {
  return shape?.map((dim) => (dim === '?' ? context.fresh() : dim))
}

/** What a rule found, and where it found nothing what the graph says. */
function merge(found: Known, declared: ValueInfo | undefined, context: ShapeContext): Known {
  if (declared === undefined) return found
  const type: DataType | undefined = found.type ?? declared.type
  if (found.shape === undefined) return { ...found, type, shape: named(declared.shape, context) }
  if (declared.shape?.length !== found.shape.length) return { ...found, type }
  const told = declared.shape
  const shape = found.shape.map((dim, i) => (isFresh(dim) && told[i] !== '?' ? told[i]! : dim))
  return { ...found, type, shape }
}

function isFresh(dim: Dim): boolean {
  return typeof dim === 'string' && dim.startsWith('?')
}

function infos(known: ReadonlyMap<string, Known>): ReadonlyMap<string, ValueInfo> {
  const result = new Map<string, ValueInfo>()
  for (const [name, { type, shape }] of known)
    if (type !== undefined || shape !== undefined)
      result.set(name, { name, ...(type !== undefined && { type }), ...(shape !== undefined && { shape }) })
  return result
}
