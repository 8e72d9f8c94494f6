import { equalDim } from '../dim.js'
import type { Shape } from '../ir.js'
import type { Known } from '../shapes/rule.js'

/**
 * A computed target of Reshape as a constant one that means the same whatever its symbols stand for: one symbolic size is left
 * open (−1); of several, those that the input has at the same place are copied (0). Undefined where that cannot be said.
 */
export function reshapeTarget(
  input: Shape | undefined,
  target: Known['value'],
  allowZero: boolean,
): readonly number[] | undefined {
  if (target === undefined || target.length === 0) return undefined
  const open = target.filter((size) => typeof size !== 'number' || size === -1)
  if (open.every((size) => size === -1)) return undefined
  const result = target.map((size, i): number => {
    if (typeof size === 'number') return size
    return open.length > 1 && !allowZero && equalDim(input?.[i], size) ? 0 : -1
  })
  const isSound = result.filter((size) => size === -1).length <= 1 && !(allowZero && result.includes(0))
  return isSound && result.every(Number.isSafeInteger) ? result : undefined
}
