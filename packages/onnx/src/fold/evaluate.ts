import type { Tensor } from '@imago/tensor'
import type { Node } from '../ir.js'
import { arithmeticEvaluators } from './arithmetic.js'
import { movementEvaluators } from './movement.js'

/** The value of a node of constants; `dims` is its output's shape. Undefined where imago leaves it to the runtime. */
export type Evaluator = (
  node: Node,
  inputs: readonly (Tensor | undefined)[],
  dims: readonly number[],
) => Tensor | undefined

export type Evaluators = { readonly [op: string]: Evaluator }

const evaluators = new Map<string, Evaluator>(Object.entries({ ...arithmeticEvaluators, ...movementEvaluators }))
const moving = new Set(Object.keys(movementEvaluators).filter((op) => op !== 'Expand'))

/** Elements that a computed constant may have, and one that is only moved about (it was in the file already). */
const most = 2 ** 16
const mostMoved = 2 ** 26

export function evaluatorOf(node: Node, count: number): Evaluator | undefined {
  if (node.domain !== '' || count > (moving.has(node.op) ? mostMoved : most)) return undefined
  // Min and Max of any other number of inputs are left alone.
  if ((node.op === 'Min' || node.op === 'Max') && node.inputs.length !== 2) return undefined
  return evaluators.get(node.op)
}
