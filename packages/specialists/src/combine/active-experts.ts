import { topK } from '@imago/kernels'
import type { Tensor } from '@imago/tensor'
import type { ClassSet } from '../sets/class-set.js'

/**
 * The rows that each expert is asked about: those where its set has one of the generalist's n most probable classes (Hinton, Vinyals & Dean 2015, §5.3,
 * steps 1 and 2; the paper takes n = 1).
 *
 * @param general logits or probabilities `[N, C]`, float32
 * @returns for each set its rows in ascending order
 */
export function activeRows(general: Tensor<'float32'>, sets: readonly ClassSet[], n: number): Uint32Array[] {
  const [rows = 0, classes = 0] = general.dims
  const k = Math.min(n, classes)
  const covering = Array.from({ length: classes }, (): number[] => [])
  for (const [m, { classes: own }] of sets.entries()) for (const c of own) covering[c]!.push(m)
  const active: number[][] = sets.map(() => [])
  const { indices } = topK({ logits: general, k })
  for (let r = 0; r < rows; r++)
    for (let i = 0; i < k; i++)
      for (const m of covering[indices.data[r * k + i]!]!) if (active[m]!.at(-1) !== r) active[m]!.push(r)
  return active.map((own) => Uint32Array.from(own))
}
