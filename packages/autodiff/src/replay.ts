import { type ConstantTensor, inferShapes, type Node, nodeLabel, readsOf } from '@imago/onnx'
import { UnsupportedError } from '@imago/tensor'
import { activeOutputs } from './activity.js'
import type { Workspace } from './context.js'
import { sumOf } from './emit.js'

/**
 * Gradients by way of other ops: the nodes that `compute` emits are forward nodes to their own rules, and backward nodes to the
 * program (the forward graph keeps its op, and saves no more than the op's inputs).
 */
export function replay(
  node: Node,
  cotangents: readonly (string | undefined)[],
  compute: () => readonly (string | undefined)[],
  work: Workspace,
): readonly (string | null | undefined)[] {
  const { b, active } = work
  const before = b.graph().nodes.length
  const outputs = compute()
  const nodes = b.graph().nodes.slice(before)
  learn(nodes, node, outputs, work)
  const flowing = new Map<string, string[]>()
  for (const [i, output] of outputs.entries()) {
    const cotangent = cotangents[i]
    if (output !== undefined && cotangent !== undefined)
      flowing.set(output, [...(flowing.get(output) ?? []), cotangent])
  }
  try {
    for (const one of [...nodes].reverse()) {
      const given = one.outputs.map((output) => (active.has(output) ? sumOf(output, flowing, b) : undefined))
      if (given.some((value) => value !== undefined)) work.backpropagate(one, given, flowing)
    }
  } catch (error) {
    if (!(error instanceof UnsupportedError)) throw error
    throw new UnsupportedError(`${nodeLabel(node)} cannot be differentiated`, `of its parts, ${error.message}`)
  }
  // An input that is read twice gets its whole gradient once.
  return node.inputs.map((input, i) =>
    active.has(input) && node.inputs.indexOf(input) === i ? (sumOf(input, flowing, b) ?? null) : null,
  )
}

/** Shapes of the new values, and which of them gradients pass. */
function learn(nodes: readonly Node[], node: Node, outputs: readonly (string | undefined)[], work: Workspace): void {
  const { b, shapes, constants, active, again } = work
  const read = new Set(nodes.flatMap(readsOf))
  const initializers = new Map<string, ConstantTensor>()
  for (const name of read) {
    const constant = constants.get(name) ?? b.graph().initializers.get(name)
    if (constant === undefined) continue
    initializers.set(name, constant)
    if (!shapes.has(name)) shapes.set(name, { name, type: constant.type, shape: constant.dims })
  }
  const inputs = [...read].flatMap((name) => shapes.get(name) ?? [])
  // All that is known goes along, so that no symbol for a new size is one that has a meaning already.
  const values = [...shapes.values()]
  const found = inferShapes({ name: '', nodes, inputs, outputs: [], initializers, values })
  for (const one of nodes) {
    for (const output of one.outputs) {
      again.add(output)
      const info = found.get(output)
      if (info !== undefined) shapes.set(output, info)
    }
    for (const output of activeOutputs(one, active, work.rules, shapes)) active.add(output)
  }
  for (const [i, output] of outputs.entries()) {
    const info = shapes.get(node.outputs[i] ?? '')
    if (output !== undefined && info !== undefined && again.has(output))
      shapes.set(output, { ...info, ...shapes.get(output), name: output })
  }
}
