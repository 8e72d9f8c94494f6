import { ArgumentError, type Rng, tensor } from '@imago/tensor'
import { channels, checkAlike, positions, sameSize } from './layout.js'
import { linear } from './linear.js'
import type { HiddenPair, LossGraph } from './loss-graph.js'
import { hiddenLoss } from './scene.js'

export interface VidOptions extends HiddenPair {
  /** Where the regressor's weights start. */
  readonly rng: Rng
  /** Channels of the regressor's two inner layers; default the teacher's. */
  readonly middle?: number
  /** σ² > 1e-5 at the start; default 5. */
  readonly variance?: number
}

const eps = 1e-5

/**
 * Variational information distillation (Ahn et al. 2019, eq. 5, 6, and their code): the mean over elements of ½·((v − μ(u))²/σ² + ln σ²), μ three linear maps
 * over channels with Relu between them, σ² = ln(1 + e^s) + 1e-5 with a learned s for each of the teacher's channels. Maps of different sizes meet
 * at the smaller one, by average pooling. The value may be negative.
 *
 * Parameters: `regressor.0.weight` … `regressor.2.weight`, `scale`. Parts: `vid`.
 *
 * @throws ArgumentError for tensors that are none of [C], [T, C], [C, H, W], and for options out of range
 */
export function vid(options: VidOptions): LossGraph {
  const { student, teacher, rng, middle = channels(teacher), variance = 5 } = options
  if (!(Number.isSafeInteger(middle) && middle > 0))
    throw new ArgumentError('vid', 'middle', 'a whole number ≥ 1', middle)
  if (!(variance > eps && variance < 1e30)) throw new ArgumentError('vid', 'variance', `> ${eps} and < 1e30`, variance)
  checkAlike('vid', student, teacher)
  return hiddenLoss('vid', { ...options, student: [student], teacher: [teacher], ranks: [1, 2, 3] }, (scene) => {
    const { op } = scene
    const [[u, a], [v, c]] = sameSize(scene, [scene.student[0]!, student], [scene.teacher[0]!, teacher])
    const outputs = channels(c)
    const layer = (x: string, i: number, inputs: number, width: number): string =>
      linear(scene, x, `regressor.${i}`, { inputs, outputs: width }, rng, false)
    const first = op('Relu', layer(positions(scene, u, a), 0, channels(a), middle))
    const mean = layer(op('Relu', layer(first, 1, middle, middle)), 2, middle, outputs)
    // s = ln(e^(σ² − ε) − 1), the inverse of σ² = ln(1 + e^s) + ε.
    const wanted = variance - eps
    const start = wanted + Math.log(-Math.expm1(-wanted))
    const scale = scene.parameter('scale', tensor('float32', [outputs], new Float32Array(outputs).fill(start)))
    // ln(1 + e^s), where e^s may be too large to be written.
    const soft = op('Log', op('Add', op('Exp', op('Neg', op('Abs', scale))), 1))
    const spread = op('Add', op('Add', op('Max', scale, 0), soft), eps)
    const error = op('Sub', mean, positions(scene, v, c))
    const nats = op('Div', op('Add', op('Div', op('Mul', error, error), spread), op('Log', spread)), 2)
    const perRow = outputs * (c.dims.length === 3 ? Number(c.dims[1]) * Number(c.dims[2]) : 1)
    return { vid: scene.mean(op('Div', scene.sum(scene.reshape(nats, [-1, perRow]), 1), perRow)) }
  })
}
