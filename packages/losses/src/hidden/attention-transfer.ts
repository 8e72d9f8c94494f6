import { ArgumentError } from '@imago/tensor'
import { checkAlike, sameSize } from './layout.js'
import type { HiddenPair, LossGraph } from './loss-graph.js'
import { hiddenLoss } from './scene.js'

export interface AttentionTransferOptions extends HiddenPair {
  /** Power p of the activations, an even whole number; default 2. */
  readonly power?: number
}

/**
 * Attention transfer (Zagoruyko & Komodakis 2017, §3.1, and their code): the mean over positions of (Q(u) − Q(v))², Q(x) = q/‖q‖₂ with q the mean of
 * x^p over channels, at every position of a map [C, H, W]. Channels may differ; maps of different sizes meet at the smaller one.
 *
 * Parts: `attention`.
 *
 * @throws ArgumentError for tensors that are not [C, H, W] and powers that are not even
 */
export function attentionTransfer(options: AttentionTransferOptions): LossGraph {
  const { student, teacher, power = 2 } = options
  if (!(Number.isSafeInteger(power) && power > 0 && power % 2 === 0))
    throw new ArgumentError('attentionTransfer', 'power', 'an even whole number ≥ 2', power)
  checkAlike('attentionTransfer', student, teacher)
  const tensors = { student: [student], teacher: [teacher], ranks: [3] }
  return hiddenLoss('attentionTransfer', { ...options, ...tensors }, (scene) => {
    const { op, sum, reshape } = scene
    const [[u, a], [v]] = sameSize(scene, [scene.student[0]!, student], [scene.teacher[0]!, teacher])
    const area = Number(a.dims[1]) * Number(a.dims[2])
    // The mean over channels is a sum here: a factor that the norm takes away.
    const attention = (x: string): string => {
      const q = reshape(sum(op('Pow', x, power), 1), [-1, area])
      return op('Div', q, op('Sqrt', op('Max', sum(op('Mul', q, q), 1), 1e-24)))
    }
    const difference = op('Sub', attention(u), attention(v))
    return { attention: scene.mean(op('Div', sum(op('Mul', difference, difference), 1), area)) }
  })
}
