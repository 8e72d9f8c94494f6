import { type DataType, type Tensor, zeros } from '@imago/tensor'
import { intAttribute, tensorAttribute } from '../attributes.js'
import { tensorOf } from '../constant-tensor.js'
import { typeOfCode } from '../data-types.js'
import type { Evaluator, Evaluators } from './evaluate.js'
import { broadcastStrides, walk } from './strided.js'

type Numbers = { [i: number]: number }
type Wide = { [i: number]: bigint }

/** Types in which the elements of the array are the numbers themselves and a float64 holds them exactly. */
const narrow = new Set<DataType>(['float32', 'float64', 'int8', 'int16', 'int32', 'uint8', 'uint16', 'uint32'])

/**
 * An op whose result in the element type is the float64 result rounded once: true for + − · ÷ √ of float32 (float64 has more
 * than twice its digits), for comparisons, and modulo 2ⁿ for integers as long as the float64 result is exact.
 */
const binary =
  (small: (a: number, b: number) => number, wide: (a: bigint, b: bigint) => bigint | undefined): Evaluator =>
  (_node, [a, b], dims) => {
    if (a === undefined || b === undefined || a.type !== b.type) return undefined
    const result = zeros(a.type, dims)
    const left = at(dims, broadcastStrides(a.dims, dims))
    const right = at(dims, broadcastStrides(b.dims, dims))
    if (a.type === 'int64') {
      for (const i of left.keys()) {
        const value = wide((a.data as Wide)[left[i]!]!, (b.data as Wide)[right[i]!]!)
        if (value === undefined) return undefined
        ;(result.data as Wide)[i] = value
      }
      return result
    }
    if (!narrow.has(a.type)) return undefined
    const isInteger = !a.type.startsWith('float')
    for (const i of left.keys()) {
      const value = small((a.data as Numbers)[left[i]!]!, (b.data as Numbers)[right[i]!]!)
      if (isInteger && !Number.isSafeInteger(value)) return undefined
      ;(result.data as Numbers)[i] = value
    }
    return result
  }

function at(dims: readonly number[], strides: readonly number[]): number[] {
  const positions: number[] = []
  walk(dims, strides, 0, (position) => positions.push(position))
  return positions
}

const unary =
  (compute: (x: number) => number): Evaluator =>
  (_node, [x], dims) => {
    if (x === undefined || (x.type !== 'float32' && x.type !== 'float64')) return undefined
    const result = zeros(x.type, dims)
    for (let i = 0; i < x.data.length; i++) (result.data as Numbers)[i] = compute((x.data as Numbers)[i]!)
    return result
  }

const divide: Evaluator = (node, tensors, dims) => {
  const float = tensors[0]?.type.startsWith('float') === true
  return binary(
    (a, b) => (float ? a / b : b === 0 ? Number.NaN : Math.trunc(a / b)),
    (a, b) => (b === 0n ? undefined : a / b),
  )(node, tensors, dims)
}

/** Between numbers that the target holds; what overflows there is left to the runtime. */
const cast: Evaluator = (node, [x], dims) => {
  const to = typeOfCode(intAttribute(node, 'to', 0))
  if (x === undefined || to === undefined) return undefined
  const known = (type: DataType): boolean => narrow.has(type) || type === 'int64' || type === 'bool'
  if (!known(x.type) || !known(to)) return undefined
  const result = zeros(to, dims)
  for (let i = 0; i < x.data.length; i++) {
    const value = x.data[i] as number | bigint
    if (to === 'bool') (result.data as Numbers)[i] = Number(value) === 0 ? 0 : 1
    else if (to.startsWith('float')) (result.data as Numbers)[i] = Number(value)
    else {
      const whole = typeof value === 'bigint' ? value : Number.isFinite(value) ? BigInt(Math.trunc(value)) : undefined
      if (whole === undefined) return undefined
      if (to === 'int64') (result.data as Wide)[i] = whole
      else (result.data as Numbers)[i] = Number(whole)
      if (BigInt(result.data[i] as number) !== whole) return undefined
    }
  }
  return result
}

const constantOfShape: Evaluator = (node, _tensors, dims) => {
  const value = tensorAttribute(node, 'value')
  const fill: Tensor = value === undefined ? zeros('float32', [1]) : tensorOf(value)
  const result = zeros(fill.type, dims)
  ;(result.data as { fill(value: unknown): unknown }).fill(fill.data[0])
  return result
}

const smaller = <T extends number | bigint>(a: T, b: T): T => (a < b ? a : b)
const larger = <T extends number | bigint>(a: T, b: T): T => (a > b ? a : b)

/** Ops that compute; only those whose result is the same on every machine. */
export const arithmeticEvaluators: Evaluators = {
  Add: binary(
    (a, b) => a + b,
    (a, b) => BigInt.asIntN(64, a + b),
  ),
  Sub: binary(
    (a, b) => a - b,
    (a, b) => BigInt.asIntN(64, a - b),
  ),
  Mul: binary(
    (a, b) => a * b,
    (a, b) => BigInt.asIntN(64, a * b),
  ),
  Div: divide,
  Min: binary((a, b) => (Number.isNaN(a) || Number.isNaN(b) ? Number.NaN : smaller(a, b)), smaller),
  Max: binary((a, b) => (Number.isNaN(a) || Number.isNaN(b) ? Number.NaN : larger(a, b)), larger),
  Neg: unary((x) => -x),
  Abs: unary(Math.abs),
  Sqrt: unary(Math.sqrt),
  Cast: cast,
  ConstantOfShape: constantOfShape,
}
