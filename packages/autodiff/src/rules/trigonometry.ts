import { formulas } from '../emit.js'
import type { Rule, RuleTable } from '../rule.js'

type Slope = (x: string, y: string, op: ReturnType<typeof formulas>) => string

/** dX = dY·slope, or dY/slope where the slope is easier said that way. */
function slope(how: 'Mul' | 'Div', of: Slope): Rule {
  return (node, ctx, [dY]) => {
    const x = node.inputs[0]!
    const op = formulas(ctx, x)
    return [op(how, dY!, of(x, node.outputs[0]!, op))]
  }
}

export const trigonometry: RuleTable = {
  Sin: slope('Mul', (x, _y, op) => op('Cos', x)),
  Cos: slope('Mul', (x, _y, op) => op('Neg', op('Sin', x))),
  Tan: slope('Mul', (_x, y, op) => op('Add', op('Mul', y, y), 1)),
  Asin: slope('Div', (x, _y, op) => op('Sqrt', op('Sub', 1, op('Mul', x, x)))),
  Acos: slope('Div', (x, _y, op) => op('Neg', op('Sqrt', op('Sub', 1, op('Mul', x, x))))),
  Atan: slope('Div', (x, _y, op) => op('Add', op('Mul', x, x), 1)),
  // Of e^x, which ONNX Runtime has in float64 as well.
  Sinh: slope('Mul', (x, _y, op) => op('Mul', op('Add', op('Exp', x), op('Exp', op('Neg', x))), 0.5)),
  Cosh: slope('Mul', (x, _y, op) => op('Mul', op('Sub', op('Exp', x), op('Exp', op('Neg', x))), 0.5)),
  Asinh: slope('Div', (x, _y, op) => op('Sqrt', op('Add', op('Mul', x, x), 1))),
  Acosh: slope('Div', (x, _y, op) => op('Sqrt', op('Sub', op('Mul', x, x), 1))),
  Atanh: slope('Div', (x, _y, op) => op('Sub', 1, op('Mul', x, x))),
}
