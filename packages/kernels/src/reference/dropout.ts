import type { KernelOf } from '../signatures.js'
import { dropoutMask } from './dropout_mask.js'

/** out_i = x_i·m_i where the mask m_i is not 0, else 0. */
export const dropout: KernelOf<'dropout'> = ([x, out], scalars) => {
  const mask = new Float32Array(scalars[0])
  dropoutMask([mask], scalars)
  for (let i = 0; i < mask.length; i++) out[i] = mask[i] === 0 ? 0 : x[i]! * mask[i]!
}
