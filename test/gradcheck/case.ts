import type { Builder, Shape } from '@imago/onnx'

/** Where an input's values come from: a distribution that keeps away from the kinks of the op. */
export type Values = 'normal' | 'positive' | 'away' | 'distinct' | 'unit'

/**
 * One row of the gradcheck: a graph, and what of it is differentiated. Sizes `N` are run at 1, 2 and 5 with one and the same pair of graphs.
 */
export interface GradcheckCase {
  /** Keys of the rule table that the row speaks for. */
  readonly ops: readonly string[]
  readonly title: string
  /** Differentiated inputs, name → shape. */
  readonly inputs: { readonly [name: string]: Shape }
  /**
   * normal: N(0, 1); positive: in [0.5, 2]; away: N(0, 1), at least 0.1 from 0 (and from ±1, ±3); distinct: all different by
   * at least 0.01, for maxima; unit: in [0.1, 0.9]. Default normal.
   */
  readonly values?: Values | { readonly [input: string]: Values }
  /** Emit the forward graph, give its outputs. */
  readonly build: (b: Builder, type: 'float32' | 'float64') => string | readonly string[]
  /** Shape of the output, where inferShapes does not know the op. */
  readonly output?: Shape
  /** Opset of the graphs. Default 17. */
  readonly opset?: number
  /**
   * The same outputs by ops that ONNX Runtime has in float64, for an op that it has not: the gradient is then made in float32 by
   * the op's rule, and the differences are taken of these.
   */
  readonly reference?: (b: Builder, type: 'float32' | 'float64') => string | readonly string[]
  /** Sizes of N. Default [1, 2, 5]. */
  readonly sizes?: readonly number[]
}
