import type { Builder, Graph, Node, Shape, ValueInfo } from '@imago/onnx'
import type { DataType, Tensor } from '@imago/tensor'
import type { VjpProgram } from './program.js'

/**
 * The gradient of one op: given the cotangents of the node's outputs (undefined: nothing flows back from that output), emit
 * backward nodes through `ctx.b` and give the cotangents of the node's inputs (undefined where `ctx.needs` says no, null where
 * nothing flows back to that input on purpose).
 *
 * Forward values are referenced by their own names; what a rule names this way becomes part of the saved set, so a rule
 * prefers a value that is kept anyway (the output of Relu, which the next layer needs) and never names what it can do without.
 */
export type Rule = (
  node: Node,
  ctx: RuleContext,
  cotangents: readonly (string | undefined)[],
) => readonly (string | null | undefined)[]

/** A rule that needs more of the forward node than the model asks for (the indices of a MaxPool). */
export interface RewritingRule {
  readonly gradient: Rule
  /** The node to run instead, and what is known of its new outputs. `gradient` then gets the new node. */
  readonly forward: (node: Node, ctx: RuleContext) => { readonly node: Node; readonly values: readonly ValueInfo[] }
}

/** The op's derivative is zero wherever it is defined, or it carries no numbers: nothing flows back, on purpose. */
export interface Zero {
  readonly zero: string
}

/** imago knows the op and does not differentiate it; `refused` is the reason, and says what to do. */
export interface Refusal {
  readonly refused: string
}

export type RuleEntry = Rule | RewritingRule | Zero | Refusal

/** Rules by op; ops outside ai.onnx are keyed `domain.Op`. */
export type RuleTable = { readonly [op: string]: RuleEntry }

/** Nothing flows back through this op, on purpose. */
export const zero: Zero = { zero: 'its derivative is zero almost everywhere' }

/** The op is refused with a reason; the reason ends up in the error of `vjp` and in the report of `inspectGradients`. */
export function refuse(reason: string): Refusal {
  return { refused: reason }
}

export type FloatType = 'float32' | 'float64'

/** What a rule may ask and use. Values are named as in the forward graph. */
export interface RuleContext {
  /** The backward graph. */
  readonly b: Builder
  /** Is the gradient of this input wanted? A rule emits nothing for the others. */
  needs(input: number): boolean
  /** Undefined where even the rank is unknown. */
  shape(value: string): Shape | undefined
  /** The shape; refuses where the rank is unknown. */
  ranked(value: string): Shape
  type(value: string): FloatType
  /** The element type whatever it is; undefined where it is not known. */
  typeOf(value: string): DataType | undefined
  /** The tensor behind an initializer or a Constant node; undefined for anything that is fed, trained or computed. */
  constant(value: string): Tensor | undefined
  /** A scalar constant of the type of `like`. */
  scalar(value: number, like: string): string
  /** A 1-D int64 tensor that holds the run-time shape of a forward value. Costs nothing where the sizes can be told without it. */
  shapeOf(value: string): string
  /**
   * The product of a value with a fed dropout mask, where nothing else reads the value: it has the value's sign wherever the
   * cotangent is not zero, and is kept anyway, so a rule that asks only for the sign can name it instead.
   */
  masked(value: string): string | undefined
  /** The forward nodes that read a value. */
  readers(value: string): readonly Node[]
  /**
   * The gradients of the node's inputs by way of other ops: `compute` emits backward nodes that compute the node's outputs again
   * (undefined where no cotangent came), and these are differentiated by their own rules.
   */
  replay(
    cotangents: readonly (string | undefined)[],
    compute: () => readonly (string | undefined)[],
  ): readonly (string | null | undefined)[]
  /** `vjp` of another graph by the same rules: the body of a loop. */
  differentiate(
    graph: Graph,
    options: { readonly wrt: readonly string[]; readonly seeds: readonly string[] },
  ): VjpProgram
  /** A fresh name for an extra output of a forward node. */
  forwardName(hint: string): string
  /** Refuse this node: throws UnsupportedError that names it. */
  refuse(reason: string): never
}

/** What a table says of a node; ops are named by files, so that names of `Object.prototype` are no entries. */
export function entryOf(node: Node, rules: RuleTable): RuleEntry | undefined {
  const key = ruleKey(node)
  return Object.hasOwn(rules, key) ? rules[key] : undefined
}

/** The key of a node in a rule table. */
export function ruleKey(node: Node): string {
  return node.domain === '' || node.domain === 'ai.onnx' ? node.op : `${node.domain}.${node.op}`
}
