import type { KernelOf } from '../signatures.js'

/** average ← decay·average + (1 − decay)·x. */
export const ema: KernelOf<'ema'> = ([average, x], [n, decay]) => {
  for (let i = 0; i < n; i++) average[i] = decay * average[i]! + (1 - decay) * x[i]!
}
