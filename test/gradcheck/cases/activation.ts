import { float } from '@imago/onnx'
import type { GradcheckCase, Values } from '../case.js'

function unary(
  op: string,
  values: Values = 'normal',
  attributes: Parameters<Parameters<GradcheckCase['build']>[0]['op']>[2] = {},
  title = '',
): GradcheckCase {
  return { ops: [op], title, inputs: { x: ['N', 3, 4] }, values, build: (b) => b.op(op, ['x'], attributes) }
}

export const activation: readonly GradcheckCase[] = [
  unary('Relu', 'away'),
  unary('LeakyRelu', 'away', { alpha: float(0.2) }),
  unary('LeakyRelu', 'away', { alpha: float(-0.2) }, 'negative alpha'),
  unary('Sigmoid'),
  unary('Tanh'),
  unary('Exp'),
  unary('Log', 'positive'),
  unary('Sqrt', 'positive'),
  unary('Neg'),
  unary('Abs', 'away'),
  unary('Reciprocal', 'positive'),
  unary('Sin'),
  unary('Cos'),
]
