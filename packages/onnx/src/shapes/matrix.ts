import { intAttribute, stringAttribute } from '../attributes.js'
import { equalDim } from '../dim.js'
import type { Dim, Node, Shape } from '../ir.js'
import { broadcast } from './broadcast.js'
import { at, dimAt, type Known, mismatch, type ShapeContext, type ShapeRule, type ShapeRules } from './rule.js'

/** C [M, N] = A' [M, K] · B' [K, N] + C. */
const gemm: ShapeRule = (node, inputs) => {
  const { type = at(inputs, 1).type, shape: a } = at(inputs, 0)
  const b = at(inputs, 1).shape
  if (a === undefined || b === undefined) return [{ type }]
  if (a.length !== 2 || b.length !== 2) mismatch(node, 'two matrices', a, b)
  const transA = intAttribute(node, 'transA', 0) !== 0
  const transB = intAttribute(node, 'transB', 0) !== 0
  agree(node, dimAt(a, transA ? 0 : 1), dimAt(b, transB ? 1 : 0), a, b)
  return [{ type, shape: [dimAt(a, transA ? 1 : 0), dimAt(b, transB ? 0 : 1)] }]
}

const product = (node: Node, a: Known, b: Known, context: ShapeContext): readonly Known[] => {
  const type = a.type ?? b.type
  if (a.shape === undefined || b.shape === undefined) return [{ type }]
  if (a.shape.length === 0 || b.shape.length === 0) mismatch(node, 'no scalars', a.shape, b.shape)
  const left = a.shape.length === 1 ? [1, ...a.shape] : a.shape
  const right = b.shape.length === 1 ? [...b.shape, 1] : b.shape
  agree(node, dimAt(left, left.length - 1), dimAt(right, right.length - 2), a.shape, b.shape)
  const batch = broadcast(node, [left.slice(0, -2), right.slice(0, -2)], context)!
  const rows = a.shape.length === 1 ? [] : [dimAt(left, left.length - 2)]
  const columns = b.shape.length === 1 ? [] : [dimAt(right, right.length - 1)]
  return [{ type, shape: [...batch, ...rows, ...columns] }]
}

const matMul: ShapeRule = (node, inputs, context) => product(node, at(inputs, 0), at(inputs, 1), context)

/** MatMul of ONNX Runtime with transposed operands: transA/B swap the last two axes, transBatchA/B rotate the batch axes behind the rows. */
const fusedMatMul: ShapeRule = (node, inputs, context) => {
  const a = turned(node, at(inputs, 0), 'A')
  const b = turned(node, at(inputs, 1), 'B')
  return product(node, a, b, context)
}

function turned(node: Node, known: Known, side: 'A' | 'B'): Known {
  let { shape } = known
  if (shape === undefined || shape.length < 2) return known
  if (intAttribute(node, `transBatch${side}`, 0) !== 0)
    shape = [...shape.slice(1, -1), dimAt(shape, 0), dimAt(shape, shape.length - 1)]
  if (intAttribute(node, `trans${side}`, 0) !== 0)
    shape = [...shape.slice(0, -2), dimAt(shape, shape.length - 1), dimAt(shape, shape.length - 2)]
  return { type: known.type, shape }
}

function agree(node: Node, a: Dim, b: Dim, left: Shape, right: Shape): void {
  if (typeof a === 'number' && typeof b === 'number' && !equalDim(a, b))
    mismatch(node, `matrices whose inner sizes agree (${a} and ${b} do not)`, left, right)
}

/** The sizes of the indices that the result names; an ellipsis is left to the runtime. */
const einsum: ShapeRule = (node, inputs) => {
  const { type } = at(inputs, 0)
  const [left = '', right] = stringAttribute(node, 'equation', '').replace(/\s/g, '').split('->')
  if (left.includes('.') || right === undefined || right.includes('.')) return [{ type }]
  const sizes = new Map<string, Dim>()
  for (const [i, term] of left.split(',').entries()) {
    const { shape } = at(inputs, i)
    if (shape?.length !== term.length) return [{ type }]
    for (const [axis, letter] of [...term].entries())
      if (!sizes.has(letter) || sizes.get(letter) === 1) sizes.set(letter, dimAt(shape, axis))
  }
  const shape = [...right].map((letter) => sizes.get(letter))
  return [{ type, shape: shape.every((dim) => dim !== undefined) ? (shape as Dim[]) : undefined }]
}

/** Opset 23: Q, K, V as [N, heads, length, size] or [N, length, heads·size]; keys and values of a cache come first. */
const attention: ShapeRule = (node, inputs) => {
  const [q, k, v, , pastKey, pastValue] = [0, 1, 2, 3, 4, 5].map((i) => at(inputs, i))
  const { type, shape } = q!
  const others = [{ type }, { type }, { type }]
  if (shape === undefined || v?.shape === undefined || k?.shape === undefined) return [{ type }, ...others]
  const groups = intAttribute(node, 'kv_num_heads', 1)
  const heads = intAttribute(node, 'q_num_heads', 1)
  const width = dimAt(v.shape, v.shape.length - 1)
  if (shape.length === 3) {
    const wide = typeof width === 'number' ? (width / groups) * heads : Number.NaN
    return [{ type, shape: !Number.isInteger(wide) ? undefined : [...shape.slice(0, 2), wide] }, ...others]
  }
  const made = [...shape.slice(0, 3), width]
  if (pastKey?.shape !== undefined || pastValue?.shape !== undefined) return [{ type, shape: made }, ...others]
  const scores = [...shape.slice(0, 3), dimAt(k.shape, 2)]
  return [
    { type, shape: made },
    { type, shape: k.shape },
    { type, shape: v.shape },
    { type, shape: scores },
  ]
}

export const matrixRules: ShapeRules = { Gemm: gemm, MatMul: matMul, Einsum: einsum, Attention: attention }

export const microsoftMatrixRules: ShapeRules = { FusedMatMul: fusedMatMul, TransposeMatMul: fusedMatMul }
