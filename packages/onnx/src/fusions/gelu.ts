import type { Node } from '../ir.js'
import { isNear, type Scene } from './scene.js'

/**
 * x·½·(1 + erf(x/√2)), as exporters before opset 20 write it, in each of the three orders of the products (Hendrycks & Gimpel
 * 2016, §2). Given the Erf, the node in place of the last product.
 */
export function gelu(erf: Node, scene: Scene): { readonly last: Node; readonly fused: Node } | undefined {
  const scaled = scene.made(erf.inputs[0] ?? '', 'Div', 'Mul')
  if (erf.op !== 'Erf' || erf.domain !== '' || scaled === undefined) return undefined
  const x = scene.number(scaled.inputs[0]!) === undefined ? scaled.inputs[0]! : scaled.inputs[1]!
  const scale = scene.number(scene.other(scaled, x))
  if (
    !isNear(scale, scaled.op === 'Div' ? Math.SQRT2 : Math.SQRT1_2) ||
    (scaled.op === 'Div' && scaled.inputs[0] !== x)
  )
    return undefined
  const plus = scene.reader(erf.outputs[0]!, 'Add')
  if (plus === undefined || scene.number(scene.other(plus, erf.outputs[0]!)) !== 1) return undefined
  const first = scene.reader(plus.outputs[0]!, 'Mul')
  if (first === undefined) return undefined
  const operand = scene.other(first, plus.outputs[0]!)
  const half = scene.made(operand, 'Mul')
  if (half?.inputs.includes(x) && scene.number(scene.other(half, x)) === 0.5) return made(first, x)
  const last = scene.reader(first.outputs[0]!, 'Mul')
  if (last === undefined) return undefined
  const rest = scene.other(last, first.outputs[0]!)
  const isWhole = (operand === x && scene.number(rest) === 0.5) || (rest === x && scene.number(operand) === 0.5)
  return isWhole ? made(last, x) : undefined
}

function made(last: Node, x: string): { readonly last: Node; readonly fused: Node } {
  const fused = {
    name: last.name,
    op: 'Gelu',
    domain: 'com.microsoft',
    inputs: [x],
    outputs: last.outputs,
    attributes: new Map(),
  }
  return { last, fused }
}
