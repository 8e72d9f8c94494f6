import { intAttribute } from '../attributes.js'
import { typeOfCode } from '../data-types.js'
import { addDim, divDim, mulDim, subDim } from '../dim.js'
import type { Dim } from '../ir.js'
import { broadcast } from './broadcast.js'
import { at, type Known, type ShapeRule, type ShapeRules } from './rule.js'

/** The first output is like the first input. */
export const same: ShapeRule = (_node, inputs) => {
  const { type, shape } = at(inputs, 0)
  return [{ type, shape }]
}

const like =
  (type: Known['type']): ShapeRule =>
  (_node, inputs) => [{ type, shape: at(inputs, 0).shape }]

const binary: ShapeRule = (node, inputs, context) => {
  const shape = broadcast(
    node,
    inputs.map((input) => input.shape),
    context,
  )
  return [{ type: inputs.find((input) => input.type !== undefined)?.type, shape }]
}

const compare: ShapeRule = (node, inputs, context) => [{ ...at(binary(node, inputs, context), 0), type: 'bool' }]

/** A binary op that also computes on the small integer vectors that shapes are made of. */
const arithmetic =
  (compute: (a: Dim, b: Dim) => Dim | undefined): ShapeRule =>
  (node, inputs, context) => {
    const result = at(binary(node, inputs, context), 0)
    const a = at(inputs, 0).value
    const b = at(inputs, 1).value
    if (a === undefined || b === undefined) return [result]
    const length = a.length === 1 ? b.length : a.length
    if (b.length !== 1 && b.length !== length) return [result]
    const value = Array.from({ length }, (_, i) => {
      const x = a[a.length === 1 ? 0 : i]
      const y = b[b.length === 1 ? 0 : i]
      return x === undefined || y === undefined ? undefined : compute(x, y)
    })
    return [{ ...result, value }]
  }

const where: ShapeRule = (node, inputs, context) => {
  const shape = broadcast(
    node,
    [0, 1, 2].map((i) => at(inputs, i).shape),
    context,
  )
  return [{ type: at(inputs, 1).type ?? at(inputs, 2).type, shape }]
}

const identity: ShapeRule = (_node, inputs) => [at(inputs, 0)]

const cast: ShapeRule = (node, inputs) => {
  const { shape, value } = at(inputs, 0)
  const type = typeOfCode(intAttribute(node, 'to', 0))
  return [{ type, shape, value: type === 'int64' || type === 'int32' ? value : undefined }]
}

const castLike: ShapeRule = (_node, inputs) => [{ type: at(inputs, 1).type, shape: at(inputs, 0).shape }]

const dropout: ShapeRule = (_node, inputs) => {
  const { type, shape } = at(inputs, 0)
  return [
    { type, shape },
    { type: 'bool', shape },
  ]
}

/** Integer division of the format truncates towards zero. */
const quotient = (a: Dim, b: Dim): Dim | undefined =>
  typeof a === 'number' && typeof b === 'number' ? (b === 0 ? undefined : Math.trunc(a / b)) : divDim(a, b)

const all = (ops: string, rule: ShapeRule): ShapeRules => Object.fromEntries(ops.split(' ').map((op) => [op, rule]))

export const elementwiseRules: ShapeRules = {
  ...all(
    'Relu LeakyRelu PRelu Elu Selu Celu Sigmoid Tanh Softplus Softsign Clip HardSigmoid HardSwish Gelu Mish',
    same,
  ),
  ...all('ThresholdedRelu Shrink Erf Exp Log Sqrt Neg Abs Reciprocal Sign Floor Ceil Round Not BitwiseNot', same),
  ...all('Sin Cos Tan Asin Acos Atan Sinh Cosh Asinh Acosh Atanh Trilu CumSum ScatterElements ScatterND Scatter', same),
  ...all('Pow Max Min Sum Mean Mod BitShift BitwiseAnd BitwiseOr BitwiseXor', binary),
  ...all('Equal Greater Less GreaterOrEqual LessOrEqual And Or Xor', compare),
  ...all('IsNaN IsInf', like('bool')),
  Add: arithmetic(addDim),
  Sub: arithmetic(subDim),
  Mul: arithmetic(mulDim),
  Div: arithmetic(quotient),
  Where: where,
  Identity: identity,
  Cast: cast,
  CastLike: castLike,
  Dropout: dropout,
}

/** Elementwise ops of ONNX Runtime's own domain. */
export const microsoftElementwiseRules: ShapeRules = all('Gelu FastGelu QuickGelu BiasGelu', same)
