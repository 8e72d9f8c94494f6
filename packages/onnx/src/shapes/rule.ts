import { type DataType, ShapeError } from '@imago/tensor'
import { nodeLabel } from '../attributes.js'
import type { ConstantTensor, Dim, Node, Shape } from '../ir.js'

/** What is known of a value while shapes are inferred. */
export interface Known {
  readonly type?: DataType | undefined
  readonly shape?: Shape | undefined
  /** Elements of a small integer scalar or vector, row-major: shapes, axes, repeats. Undefined elements are unknown. */
  readonly value?: readonly (Dim | undefined)[] | undefined
}

export interface ShapeContext {
  /** Version of the standard operators. */
  readonly opset: number
  /** An initializer, or the value of a Constant node. */
  constant(name: string): ConstantTensor | undefined
  /** A symbol for a size that cannot be spelled; the same `key` (an expression in canonical sizes) gives the same symbol. */
  fresh(key?: string): string
}

/** What a node's outputs are, from what its inputs are. Left-out inputs and unknown values come as `{}`. */
export type ShapeRule = (node: Node, inputs: readonly Known[], context: ShapeContext) => readonly Known[]

export type ShapeRules = { readonly [op: string]: ShapeRule }

const nothing: Known = {}

export function at(inputs: readonly Known[], i: number): Known {
  return inputs[i] ?? nothing
}

/** True where a node has its i-th input (it is neither beyond the list nor left out by an empty name). */
export function hasInput(node: Node, i: number): boolean {
  return (node.inputs[i] ?? '') !== ''
}

/** An axis counted from the front. */
export function axisOf(node: Node, axis: number, rank: number): number {
  const positive = axis < 0 ? axis + rank : axis
  if (positive < 0 || positive >= rank)
    throw new ShapeError(nodeLabel(node), 'axis', `in [${-rank}, ${rank - 1}]`, String(axis))
  return positive
}

/** A dim of a shape that is long enough by then. */
export function dimAt(shape: Shape, i: number): Dim {
  return shape[i]!
}

/** Refuse shapes that contradict each other. */
export function mismatch(node: Node, expected: string, ...shapes: (Shape | undefined)[]): never {
  throw new ShapeError(
    nodeLabel(node),
    node.inputs.slice(0, shapes.length).join('", "'),
    expected,
    shapes.map((shape) => (shape === undefined ? '?' : `[${shape.join(', ')}]`)).join(' and '),
  )
}

/** The whole value of a known integer vector, or undefined where an element is missing or symbolic. */
export function numbers(value: Known['value']): readonly number[] | undefined {
  return value?.every((item) => typeof item === 'number') ? (value as readonly number[]) : undefined
}
