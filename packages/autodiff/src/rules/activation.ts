import { floatAttribute, stringAttribute } from '@imago/onnx'
import { mask, unbroadcast } from '../emit.js'
import type { Rule, RuleContext, RuleTable } from '../rule.js'

/** A small language for formulas: every operator is a backward node, a number a constant of the type of `x`. */
interface Formula {
  readonly x: string
  readonly y: string
  readonly dY: string
  op(op: string, ...operands: (string | number)[]): string
  mask(condition: string): string
  readonly node: Parameters<Rule>[0]
  readonly ctx: RuleContext
}

/** A rule for an op of one input that maps element by element. */
function elementwise(derivative: (formula: Formula) => string): Rule {
  return (node, ctx, [dY]) => {
    if (!ctx.needs(0)) return []
    const x = node.inputs[0]!
    const op: Formula['op'] = (name, ...operands) =>
      ctx.b.op(
        name,
        operands.map((operand) => (typeof operand === 'number' ? ctx.scalar(operand, x) : operand)),
      )
    return [derivative({ x, y: node.outputs[0]!, dY: dY!, op, mask: (c) => mask(ctx, c, x), node, ctx })]
  }
}

const SELU_ALPHA = 1.6732632423543772
const SELU_GAMMA = 1.0507009873554805
const TWO_OVER_SQRT_PI = 1.1283791670955126

const leakyRelu = elementwise(({ x, y, dY, op, node }) => {
  const alpha = floatAttribute(node, 'alpha', 0.01)
  // The output has the sign of the input unless α is negative, and is kept more often.
  return op('Where', op('Greater', alpha > 0 ? y : x, 0), dY, op('Mul', dY, alpha))
})

const elu = elementwise(({ x, y, dY, op, node }) => {
  const alpha = floatAttribute(node, 'alpha', 1)
  return op('Mul', dY, op('Where', op('Greater', alpha > 0 ? y : x, 0), 1, op('Add', y, alpha)))
})

const selu = elementwise(({ x, y, dY, op, node }) => {
  const alpha = floatAttribute(node, 'alpha', SELU_ALPHA)
  const gamma = floatAttribute(node, 'gamma', SELU_GAMMA)
  return op('Mul', dY, op('Where', op('Greater', x, 0), gamma, op('Add', y, alpha * gamma)))
})

/** y = max(0, x) + min(0, α(e^(x/α) − 1)) */
const celu = elementwise(({ x, dY, op, node }) => {
  const alpha = floatAttribute(node, 'alpha', 1)
  return op('Mul', dY, op('Where', op('Greater', x, 0), 1, op('Exp', op('Div', x, alpha))))
})

const hardSigmoid = elementwise(({ y, dY, op, mask, node }) => {
  const inside = op('And', op('Greater', y, 0), op('Less', y, 1))
  return op('Mul', op('Mul', dY, floatAttribute(node, 'alpha', 0.2)), mask(inside))
})

const hardSwish = elementwise(({ x, dY, op }) => {
  const slope = op('Div', op('Add', op('Mul', x, 2), 3), 6)
  return op('Mul', dY, op('Where', op('Less', x, -3), 0, op('Where', op('Greater', x, 3), 1, slope)))
})

/** y = x·tanh(softplus(x)) */
const mish = elementwise(({ x, dY, op }) => {
  const t = op('Tanh', op('Softplus', x))
  const tail = op('Mul', op('Mul', x, op('Sigmoid', x)), op('Sub', 1, op('Mul', t, t)))
  return op('Mul', dY, op('Add', t, tail))
})

/** y = x·s, s = sigmoid(αx) */
const swish = elementwise(({ x, y, dY, op, node }) => {
  const alpha = floatAttribute(node, 'alpha', 1)
  const s = op('Sigmoid', alpha === 1 ? x : op('Mul', x, alpha))
  const tail = op('Mul', y, op('Sub', 1, s))
  return op('Mul', dY, op('Add', s, alpha === 1 ? tail : op('Mul', tail, alpha)))
})

/** u = √(2/π)(x + 0.044715x³);  d/dx ½x(1 + tanh u) = ½(1 + t) + ½x(1 − t²)·√(2/π)(1 + 3·0.044715x²) */
function geluByTanh({ x, dY, op }: Formula): string {
  const c = Math.sqrt(2 / Math.PI)
  const square = op('Mul', x, x)
  const t = op('Tanh', op('Mul', op('Mul', x, c), op('Add', op('Mul', square, 0.044715), 1)))
  const slope = op('Mul', op('Add', op('Mul', square, 3 * 0.044715), 1), c)
  const tail = op('Mul', op('Mul', x, op('Sub', 1, op('Mul', t, t))), slope)
  return op('Mul', dY, op('Mul', op('Add', op('Add', t, 1), tail), 0.5))
}

const gelu = elementwise((formula) => {
  const { x, dY, op, node } = formula
  if (stringAttribute(node, 'approximate', 'none') === 'tanh') return geluByTanh(formula)
  // d/dx x·Φ(x) = Φ(x) + x·φ(x), with z = x/√2: ½(1 + erf z + z·e^(−z²)·2/√π)
  const z = op('Mul', x, Math.SQRT1_2)
  const density = op('Mul', op('Mul', z, TWO_OVER_SQRT_PI), op('Exp', op('Neg', op('Mul', z, z))))
  return op('Mul', dY, op('Mul', op('Add', op('Add', op('Erf', z), density), 1), 0.5))
})

const fastGelu = elementwise((formula) => {
  if (formula.node.inputs[1]) return formula.ctx.refuse('its bias is fused into it; export the model without fusion')
  return geluByTanh(formula)
})

/** The slope may be trained: dSlope = Σ dY·min(x, 0). */
const pRelu: Rule = (node, ctx, [dY]) => {
  const { b } = ctx
  const [x, slope] = node.inputs as [string, string]
  const nought = ctx.scalar(0, x)
  const dSlope = (): string => unbroadcast(ctx, b.op('Mul', [dY!, b.op('Min', [x, nought])]), node.outputs[0]!, slope)
  return [
    ctx.needs(0) ? b.op('Where', [b.op('Greater', [x, nought]), dY!, b.op('Mul', [dY!, slope])]) : undefined,
    ctx.needs(1) ? dSlope() : undefined,
  ]
}

/** y = min(max(x, lo), hi): the gradient flows where the output lies strictly between the bounds. Bounds that cross give hi. */
const clip: Rule = (node, ctx, [dY]) => {
  const { b } = ctx
  const [x, lo, hi] = node.inputs as [string, string?, string?]
  const y = node.outputs[0]!
  const above = lo ? b.op('Greater', [y, lo]) : undefined
  const below = hi ? b.op('Less', [y, hi]) : undefined
  const inside = above && below ? b.op('And', [above, below]) : (above ?? below)
  const dX = (): string => (inside === undefined ? dY! : b.op('Mul', [dY!, mask(ctx, inside, x)]))
  const atLow = (low: string, high: string | undefined): string => {
    const below = b.op('Less', [x, low])
    return high ? b.op('And', [below, b.op('LessOrEqual', [low, high])]) : below
  }
  const atHigh = (low: string | undefined, high: string): string => {
    const above = b.op('Greater', [x, high])
    return low ? b.op('Or', [above, b.op('Greater', [low, high])]) : above
  }
  const dBound = (beyond: string, bound: string): string =>
    unbroadcast(ctx, b.op('Mul', [dY!, mask(ctx, beyond, x)]), y, bound)
  return [
    ctx.needs(0) ? dX() : undefined,
    lo && ctx.needs(1) ? dBound(atLow(lo, hi), lo) : undefined,
    hi && ctx.needs(2) ? dBound(atHigh(lo, hi), hi) : undefined,
  ]
}

export const activation: RuleTable = {
  // Greater, Cast and Mul are three fast kernels; one Where, or Sign, takes longer in ONNX Runtime.
  Relu: elementwise(({ y, dY, op, mask, ctx }) => op('Mul', dY, mask(op('Greater', ctx.masked(y) ?? y, 0)))),
  LeakyRelu: leakyRelu,
  PRelu: pRelu,
  Elu: elu,
  Selu: selu,
  Celu: celu,
  ThresholdedRelu: elementwise(({ x, dY, op, mask, node }) =>
    op('Mul', dY, mask(op('Greater', x, floatAttribute(node, 'alpha', 1)))),
  ),
  Sigmoid: elementwise(({ y, dY, op }) => op('Mul', op('Mul', dY, y), op('Sub', 1, y))),
  Tanh: elementwise(({ y, dY, op }) => op('Mul', dY, op('Sub', 1, op('Mul', y, y)))),
  Softplus: elementwise(({ x, dY, op }) => op('Mul', dY, op('Sigmoid', x))),
  Softsign: elementwise(({ x, dY, op }) => {
    const scale = op('Add', op('Abs', x), 1)
    return op('Div', dY, op('Mul', scale, scale))
  }),
  HardSigmoid: hardSigmoid,
  HardSwish: hardSwish,
  Clip: clip,
  Gelu: gelu,
  'com.microsoft.Gelu': gelu,
  'com.microsoft.FastGelu': fastGelu,
  Erf: elementwise(({ x, dY, op }) =>
    op('Mul', dY, op('Mul', op('Exp', op('Neg', op('Mul', x, x))), TWO_OVER_SQRT_PI)),
  ),
  Exp: elementwise(({ y, dY, op }) => op('Mul', dY, y)),
  Log: elementwise(({ x, dY, op }) => op('Div', dY, x)),
  Sqrt: elementwise(({ y, dY, op }) => op('Div', op('Mul', dY, 0.5), y)),
  Neg: elementwise(({ dY, op }) => op('Neg', dY)),
  Abs: elementwise(({ x, dY, op }) => op('Mul', dY, op('Sign', x))),
  Reciprocal: elementwise(({ y, dY, op }) => op('Neg', op('Mul', dY, op('Mul', y, y)))),
  Mish: mish,
  Swish: swish,
  Shrink: elementwise(({ x, dY, op, mask, node }) =>
    op('Mul', dY, mask(op('Greater', op('Abs', x), floatAttribute(node, 'lambd', 0.5)))),
  ),
}
