import {
  type Builder,
  type ConstantTensor,
  type Dim,
  divDim,
  type Node,
  nodeLabel,
  type Shape,
  tensorOf,
  type ValueInfo,
} from '@imago/onnx'
import { UnsupportedError } from '@imago/tensor'
import { replay } from './replay.js'
import type { FloatType, RuleContext, RuleTable } from './rule.js'

/** What the rules of one program share. */
export interface Workspace {
  /** The backward graph. */
  readonly b: Builder
  /** The forward graph, for extra nodes and names. */
  readonly forward: Builder
  readonly shapes: Map<string, ValueInfo>
  readonly constants: ReadonlyMap<string, ConstantTensor>
  readonly active: Set<string>
  /** Forward value → the nodes that read it. */
  readonly readers: ReadonlyMap<string, readonly Node[]>
  /** Values that are forward values computed again, among the backward nodes. */
  readonly again: Set<string>
  readonly rules: RuleTable
  readonly differentiate: RuleContext['differentiate']
  /** Run the rule of a node, which adds to these cotangents; gives the forward node, rewritten if the rule asked for it. */
  readonly backpropagate: (
    node: Node,
    flowing: readonly (string | undefined)[],
    cotangents: Map<string, string[]>,
  ) => Node
  /** Symbolic sizes that can be read off a backward input (a cotangent) without saving anything. */
  readonly carriers: readonly Carrier[]
  /** Value → its product with a dropout mask, where nothing else reads it. */
  readonly masked: ReadonlyMap<string, string>
  /** Memo of emitted sizes and shapes. */
  readonly emitted: Map<string, string>
}

export interface Carrier {
  readonly value: string
  readonly axis: number
  readonly dim: Dim
}

/** The context in which the rule of `node` runs. */
export function contextOf(node: Node, work: Workspace): RuleContext {
  const { b, shapes, constants } = work
  const refuse = (reason: string): never => {
    throw new UnsupportedError(`${nodeLabel(node)} cannot be differentiated`, reason)
  }
  const shape = (value: string): Shape | undefined => shapes.get(value)?.shape
  const type = (value: string): FloatType => {
    const found = shapes.get(value)?.type
    if (found === 'float32' || found === 'float64') return found
    return refuse(
      found === undefined
        ? `the type of "${value}" is not known; give it in the option "shapes"`
        : `"${value}" is ${found}; gradients are made in float32 and float64 (cast the model first)`,
    )
  }
  return {
    b,
    needs: (input) => work.active.has(node.inputs[input] ?? ''),
    shape,
    ranked: (value) =>
      shape(value) ??
      refuse(`the rank of "${value}" is not known; fold constants first, or give it in the option "shapes"`),
    type,
    typeOf: (value) => shapes.get(value)?.type,
    constant: (value) => {
      const found = constants.get(value) ?? b.graph().initializers.get(value)
      return found === undefined ? undefined : tensorOf(found)
    },
    scalar: (value, like) => b.scalar(value, type(like)),
    shapeOf: (value) => shapeOf(value, shape(value), work),
    masked: (value) => work.masked.get(value),
    readers: (value) => work.readers.get(value) ?? [],
    replay: (cotangents, compute) => replay(node, cotangents, compute, work),
    differentiate: work.differentiate,
    forwardName: (hint) => forwardName(hint, work),
    refuse,
  }
}

function shapeOf(value: string, shape: Shape | undefined, work: Workspace): string {
  const { b } = work
  const parts = shape && runs(shape).map((run) => (Array.isArray(run) ? b.ints(run) : sizeOf(run as string, work)))
  if (parts?.every((part) => part !== undefined))
    return parts.length === 1 ? parts[0]! : parts.length === 0 ? b.ints([]) : b.op('Concat', parts, { axis: 0 })
  return once(`shape of ${value}`, work, () => {
    if (work.again.has(value)) return b.op('Shape', [value])
    const name = forwardName(`shape:${value}`, work)
    work.forward.op('Shape', [value], {}, { outputs: [name] })
    work.shapes.set(name, { name, type: 'int64', ...(shape && { shape: [shape.length] }) })
    return name
  })
}

/** A symbolic size at run time, as a 1-D tensor of one, read off a cotangent that has a multiple or a part of it. */
function sizeOf(dim: string, work: Workspace): string | undefined {
  const { b } = work
  for (const carrier of work.carriers) {
    const times = divDim(dim, carrier.dim)
    const parts = divDim(carrier.dim, dim)
    if (typeof times !== 'number' && typeof parts !== 'number') continue
    return once(`size ${dim}`, work, () => {
      const size = b.op('Shape', [carrier.value], { start: carrier.axis, end: carrier.axis + 1 })
      if (times === 1) return size
      return typeof times === 'number'
        ? b.op('Mul', [size, b.ints([times])])
        : b.op('Div', [size, b.ints([Number(parts)])])
    })
  }
  return undefined
}

/** Consecutive numbers as one array each, symbols alone. */
function runs(shape: Shape): (number[] | string)[] {
  const found: (number[] | string)[] = []
  for (const dim of shape) {
    const last = found.at(-1)
    if (typeof dim === 'string') found.push(dim)
    else if (Array.isArray(last)) last.push(dim)
    else found.push([dim])
  }
  return found
}

function once(key: string, { emitted }: Workspace, make: () => string): string {
  const known = emitted.get(key)
  if (known !== undefined) return known
  const name = make()
  emitted.set(key, name)
  return name
}

// Forward names are taken in the backward graph too: there a name means the forward's value.
function forwardName(hint: string, { forward, b }: Workspace): string {
  const name = forward.unique(hint)
  b.unique(name)
  return name
}
