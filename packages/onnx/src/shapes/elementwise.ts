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

type Element = Dim | undefined

/** Element by element over scalars and vectors of one length; undefined where the values are not known as lists. */
function zip(inputs: readonly Known[], compute: (items: readonly Element[]) => Element): Known['value'] {
  const values = inputs.map((input) => input.value)
  const length = values.reduce((most, value) => Math.max(most, value?.length ?? 0), 0)
  if (!values.every((value) => value !== undefined && (value.length === 1 || value.length === length))) return undefined
  return Array.from({ length }, (_, i) => compute(values.map((value) => value![value!.length === 1 ? 0 : i])))
}

/** A binary op that also computes on the small integer vectors that shapes are made of. */
const arithmetic =
  (compute: (a: Dim, b: Dim) => Element): ShapeRule =>
  (node, inputs, context) => {
    const value = zip(inputs, ([a, b]) => (a === undefined || b === undefined ? undefined : compute(a, b)))
    return [{ ...at(binary(node, inputs, context), 0), value }]
  }

/** Sizes are never negative, so a symbol differs from −1 (as exporters ask, to find the sizes that Expand shall keep). */
const equal: ShapeRule = (node, inputs, context) => {
  const value = zip(inputs, ([a, b]) => {
    if (a === undefined || b === undefined) return undefined
    if (a === b) return 1
    const differ = (typeof a === 'number' && (a < 0 || typeof b === 'number')) || (typeof b === 'number' && b < 0)
    return differ ? 0 : undefined
  })
  return [{ ...at(compare(node, inputs, context), 0), value }]
}

const where: ShapeRule = (node, inputs, context) => {
  const shapes = [0, 1, 2].map((i) => at(inputs, i).shape)
  const value = zip(inputs, ([which, a, b]) => (which === undefined ? undefined : which === 0 ? b : a))
  return [{ type: at(inputs, 1).type ?? at(inputs, 2).type, shape: broadcast(node, shapes, context), value }]
}

const identity: ShapeRule = (_node, inputs) => [at(inputs, 0)]

const cast: ShapeRule = (node, inputs) => {
  const { shape, value } = at(inputs, 0)
  const type = typeOfCode(intAttribute(node, 'to', 0))
  return [{ type, shape, value: type === 'int64' || type === 'int32' ? value : undefined }]
}

const eyeLike: ShapeRule = (node, inputs) => {
  const { type, shape } = at(inputs, 0)
  return [{ type: typeOfCode(intAttribute(node, 'dtype', 0)) ?? type, shape }]
}

const castLike: ShapeRule = (_node, inputs) => [{ type: at(inputs, 1).type, shape: at(inputs, 0).shape }]

/** The mask was of the data's type before opset 10. */
const dropout: ShapeRule = (_node, inputs, context) => {
  const { type, shape } = at(inputs, 0)
  return [
    { type, shape },
    { type: context.opset < 10 ? type : 'bool', shape },
  ]
}

/** Integer division of the format truncates towards zero. */
const quotient = (a: Dim, b: Dim): Dim | undefined =>
  typeof a === 'number' && typeof b === 'number' ? (b === 0 ? undefined : Math.trunc(a / b)) : divDim(a, b)

/** Sizes are not negative, so that both signs that the format knows for a rest are one; of a multiple nothing is left. */
const rest = (a: Dim, b: Dim): Dim | undefined => {
  if (typeof a === 'number' && typeof b === 'number') return a >= 0 && b > 0 ? a % b : undefined
  return divDim(a, b) === undefined ? undefined : 0
}

const all = (ops: string, rule: ShapeRule): ShapeRules => Object.fromEntries(ops.split(' ').map((op) => [op, rule]))

export const elementwiseRules: ShapeRules = {
  ...all(
    'Relu LeakyRelu PRelu Elu Selu Celu Sigmoid Tanh Softplus Softsign Clip HardSigmoid HardSwish Gelu Mish Swish CumProd',
    same,
  ),
  ...all('ThresholdedRelu Shrink Erf Exp Log Sqrt Neg Abs Reciprocal Sign Floor Ceil Round Not BitwiseNot', same),
  ...all('Sin Cos Tan Asin Acos Atan Sinh Cosh Asinh Acosh Atanh Trilu CumSum ScatterElements ScatterND Scatter', same),
  ...all('Pow Max Min Sum Mean BitShift BitwiseAnd BitwiseOr BitwiseXor', binary),
  ...all('Greater Less GreaterOrEqual LessOrEqual And Or Xor', compare),
  ...all('IsNaN IsInf', like('bool')),
  Add: arithmetic(addDim),
  Sub: arithmetic(subDim),
  Mul: arithmetic(mulDim),
  Div: arithmetic(quotient),
  Mod: arithmetic(rest),
  Equal: equal,
  Where: where,
  Identity: identity,
  Cast: cast,
  CastLike: castLike,
  EyeLike: eyeLike,
  Dropout: dropout,
}

/** Elementwise ops of ONNX Runtime's own domain. */
export const microsoftElementwiseRules: ShapeRules = all('Gelu FastGelu QuickGelu BiasGelu', same)
