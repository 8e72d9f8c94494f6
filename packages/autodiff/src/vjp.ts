import { builder, type Graph, inferShapes, type Node, nodeLabel, type Shape, type ValueInfo } from '@imago/onnx'
import { ArgumentError, NotFoundError, UnsupportedError } from '@imago/tensor'
import { activeValues, maskedValues, readersOf } from './activity.js'
import { assemble } from './assemble.js'
import { constantsOf } from './constants.js'
import { type Carrier, contextOf, type Workspace } from './context.js'
import { defaultRules } from './default-rules.js'
import { sumOf } from './emit.js'
import type { NoiseInput, StatisticUpdate, VjpProgram } from './program.js'
import { entryOf, type RuleTable, ruleKey } from './rule.js'

export interface VjpOptions {
  /** Names of initializers or graph inputs to differentiate with respect to. Initializers among them become inputs of `forward`. */
  readonly wrt: readonly string[]
  /** Outputs that a cotangent is given for. Default: every output of the graph that is a float tensor. */
  readonly seeds?: readonly string[]
  /** One entry per op. Default `defaultRules`; extend it with `{ ...defaultRules, MyOp: rule }`. */
  readonly rules?: RuleTable
  /** Types and shapes of values, where `inferShapes` cannot tell them (or over what it tells). */
  readonly shapes?: ReadonlyMap<string, ValueInfo>
  /** Inputs of the graph that are dropout masks; `training` makes them. */
  readonly noise?: readonly NoiseInput[]
  /** Running statistics and the values that move them; `training` makes them. */
  readonly statistics?: readonly StatisticUpdate[]
}

/**
 * Reverse-mode differentiation of a graph: the forward graph that also puts out what backward needs, and the backward graph
 * from dLoss/dOutput to dLoss/dwrt. One walk from the outputs to the inputs; each node answers by its entry in the rule table
 * (Griewank & Walther, Evaluating Derivatives, §3.2). The graph may have symbolic sizes; the two results then serve any size.
 *
 * @throws UnsupportedError where a node between `wrt` and `seeds` has no rule, or refuses
 * @throws NotFoundError where `wrt` or `seeds` name what the graph does not have
 */
export function vjp(graph: Graph, options: VjpOptions): VjpProgram {
  const { wrt, rules = defaultRules, noise = [], statistics = [] } = options
  checkWrt(graph, wrt)
  const fed = new Set(wrt)
  const shapes = knownShapes(graph, options.shapes)
  const constants = constantsOf(graph, fed)
  const seeds = options.seeds ?? floatOutputs(graph, shapes)
  checkSeeds(graph, seeds)

  const forward = builder(graph)
  const b = builder()
  for (const name of namesOf(graph)) b.unique(name)
  const cotangents = new Map<string, string[]>()
  const carriers: Carrier[] = []
  const seedInputs: { [output: string]: string } = {}
  for (const output of seeds) {
    const { type, shape } = typedShape(output, shapes)
    const name = b.input(b.unique(`cotangent:${output}`), type, shape)
    seedInputs[output] = name
    cotangents.set(output, [name])
    for (const [axis, dim] of shape.entries()) if (typeof dim === 'string') carriers.push({ value: name, axis, dim })
  }
  const active = activeValues(graph, wrt, rules, shapes)
  const readers = readersOf(graph)
  const masked = maskedValues(graph, new Set(noise.map((input) => input.name)), readers)
  const work: Workspace = {
    ...{ b, forward, shapes, constants, active, readers, rules, carriers, masked },
    again: new Set(),
    emitted: new Map(),
    differentiate: (inner, { wrt, seeds }) => vjp(inner, { wrt, seeds, rules }),
    backpropagate: (node, flowing, into) => backpropagate(node, flowing, into, work),
  }

  const nodes = [...graph.nodes]
  for (let i = nodes.length - 1; i >= 0; i--) {
    const node = nodes[i]!
    const flowing = node.outputs.map((output) => (active.has(output) ? sumOf(output, cotangents, b) : undefined))
    if (flowing.every((value) => value === undefined)) continue
    nodes[i] = backpropagate(node, flowing, cotangents, work)
  }

  return assemble({
    graph,
    work,
    nodes,
    wrt,
    gradients: new Map(wrt.map((name) => [name, sumOf(name, cotangents, b)])),
    seeds: seedInputs,
    noise,
    statistics,
  })
}

/** Run the rule of one node, which adds to the cotangents of its inputs; gives the forward node, rewritten if the rule asks for it. */
function backpropagate(
  node: Node,
  flowing: readonly (string | undefined)[],
  cotangents: Map<string, string[]>,
  work: Workspace,
): Node {
  const entry = entryOf(node, work.rules)
  if (entry === undefined)
    throw new UnsupportedError(
      `${nodeLabel(node)} cannot be differentiated`,
      `there is no gradient rule for ${ruleKey(node)}. Replace the op, freeze what lies before it, or give a rule: ` +
        `vjp(graph, { wrt, rules: { ...defaultRules, '${ruleKey(node)}': (node, ctx, cotangents) => … } })`,
    )
  if ('zero' in entry) return node
  if ('refused' in entry) throw new UnsupportedError(`${nodeLabel(node)} cannot be differentiated`, entry.refused)
  let used = node
  let rule = entry
  if (typeof rule !== 'function') {
    const rewritten = rule.forward(node, contextOf(node, work))
    used = rewritten.node
    for (const value of rewritten.values) work.shapes.set(value.name, value)
    rule = rule.gradient
  }
  const ctx = contextOf(used, work)
  const given = rule(used, ctx, flowing)
  for (const [i, input] of used.inputs.entries()) {
    if (!work.active.has(input)) continue
    const gradient = given[i]
    if (gradient === undefined)
      return ctx.refuse(`its rule gives no gradient for its input ${i}, "${input}"; leave that out of "wrt"`)
    if (gradient !== null) cotangents.set(input, [...(cotangents.get(input) ?? []), gradient])
  }
  return used
}

function knownShapes(graph: Graph, given: ReadonlyMap<string, ValueInfo> = new Map()): Map<string, ValueInfo> {
  const shapes = new Map<string, ValueInfo>()
  const constants = [...graph.initializers.values()].map(({ name, type, dims }) => ({ name, type, shape: dims }))
  const told = [...graph.values, ...graph.outputs, ...graph.inputs, ...constants]
  for (const value of [...told, ...inferShapes(graph).values(), ...given.values()])
    shapes.set(value.name, { ...shapes.get(value.name), ...value })
  return shapes
}

function typedShape(
  name: string,
  shapes: ReadonlyMap<string, ValueInfo>,
): { readonly type: 'float32' | 'float64'; readonly shape: Shape } {
  const { type, shape } = shapes.get(name) ?? {}
  if (type !== 'float32' && type !== 'float64')
    throw new UnsupportedError(
      `output "${name}"`,
      `it is ${type ?? 'of unknown type'}; a cotangent is float32 or float64 (name the outputs to differentiate in "seeds", or give the type in "shapes")`,
    )
  if (shape === undefined)
    throw new UnsupportedError(`output "${name}"`, 'its rank is not known; give it in the option "shapes"')
  return { type, shape }
}

// An output of unknown type stays in, and is refused by name: leaving it out would lose its gradient in silence.
function floatOutputs(graph: Graph, shapes: ReadonlyMap<string, ValueInfo>): string[] {
  const names = graph.outputs.map((output) => output.name)
  return names.filter((name) => /^(float32|float64)$/.test(shapes.get(name)?.type ?? 'float32'))
}

function checkWrt(graph: Graph, wrt: readonly string[]): void {
  const inputs = new Set(graph.inputs.map((input) => input.name))
  const seen = new Set<string>()
  for (const name of wrt) {
    if (!inputs.has(name) && !graph.initializers.has(name))
      throw new NotFoundError(
        `vjp: "wrt" names "${name}", which is neither an initializer nor an input of the graph`,
        'Gradients are made with respect to initializers (parameters) and graph inputs',
      )
    if (seen.has(name)) throw new ArgumentError('vjp', 'wrt', 'a list of distinct names', name)
    seen.add(name)
  }
}

function checkSeeds(graph: Graph, seeds: readonly string[]): void {
  const outputs = graph.outputs.map((output) => output.name)
  for (const name of seeds)
    if (!outputs.includes(name))
      throw new NotFoundError(
        `vjp: "seeds" names "${name}", which is no output of the graph`,
        `Its outputs are ${outputs.map((output) => `"${output}"`).join(', ')}`,
      )
}

function namesOf(graph: Graph): Set<string> {
  return new Set([
    ...graph.inputs.map((input) => input.name),
    ...graph.initializers.keys(),
    ...graph.nodes.flatMap((node) => node.outputs),
  ])
}
