import { ArgumentError } from '@imago/tensor'
import { fraction } from '../guard.js'

/** The probability of an element to be dropped, in [0, 1), to the nearest 1/65536, which leaves something. */
export function dropProbability(caller: string, value: unknown): number {
  const probability = fraction(caller, 'probability', value, true)
  if (Math.round(65536 * probability) === 65536)
    throw new ArgumentError(caller, 'probability', 'at most 1 − 2⁻¹⁷: nothing would be kept', probability)
  return probability
}
