import { attribute, float, intAttribute, intsAttribute } from '../attributes.js'
import type { Node } from '../ir.js'
import type { Scene } from './scene.js'

/**
 * γ·(x − μ)/√(σ² + ε) + β over the last axis, as exporters before opset 17 write it. Given the quotient, the node in place of the last sum
 * (Ba, Kiros & Hinton 2016, §3).
 */
export function layerNormalization(
  quotient: Node,
  scene: Scene,
): { readonly last: Node; readonly fused: Node } | undefined {
  const [centred = '', deviation = ''] = quotient.op === 'Div' && quotient.domain === '' ? quotient.inputs : []
  const difference = scene.made(centred, 'Sub')
  const x = difference?.inputs[0] ?? ''
  const mean = scene.made(difference?.inputs[1] ?? '', 'ReduceMean')
  const root = scene.made(deviation, 'Sqrt')
  const sum = scene.made(root?.inputs[0] ?? '', 'Add')
  if (mean === undefined || sum === undefined || mean.inputs[0] !== x || !isOverLast(mean, x, scene)) return undefined
  const variance = sum.inputs.map((name) => scene.made(name, 'ReduceMean')).find((node) => node !== undefined)
  const epsilon = variance && scene.number(scene.other(sum, variance.outputs[0]!))
  if (variance === undefined || epsilon === undefined || !isOverLast(variance, centred, scene)) return undefined
  const square = scene.made(variance.inputs[0]!, 'Pow', 'Mul')
  const isSquare = square?.op === 'Pow' ? scene.number(square.inputs[1]!) === 2 : square?.inputs[1] === centred
  if (square?.inputs[0] !== centred || !isSquare) return undefined

  const scaled = scene.reader(quotient.outputs[0]!, 'Mul')
  const last = scaled && scene.reader(scaled.outputs[0]!, 'Add')
  if (last === undefined) return undefined
  const gamma = scene.other(scaled!, quotient.outputs[0]!)
  const beta = scene.other(last, scaled!.outputs[0]!)
  const size = scene.shapes.get(x)?.shape?.at(-1)
  const isVector = (name: string): boolean => {
    const shape = scene.shapes.get(name)?.shape
    return shape?.length === 1 && shape[0] === size && typeof size === 'number'
  }
  if (!isVector(gamma) || !isVector(beta)) return undefined
  const attributes = new Map([
    ['axis', attribute(-1)],
    ['epsilon', float(epsilon)],
  ])
  const inputs = [x, gamma, beta]
  const fused = { name: last.name, op: 'LayerNormalization', domain: '', inputs, outputs: last.outputs, attributes }
  return { last, fused }
}

function isOverLast(mean: Node, x: string, { shapes }: Scene): boolean {
  const [axis, ...others] = intsAttribute(mean, 'axes', [])
  const rank = shapes.get(x)?.shape?.length
  const isLast = axis === -1 || (rank !== undefined && axis === rank - 1)
  return isLast && others.length === 0 && intAttribute(mean, 'keepdims', 1) === 1
}
