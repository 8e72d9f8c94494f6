import { type Rng, ShapeError } from '@imago/tensor'
import { channels, checkAlike, positions, sameSize } from './layout.js'
import { linear } from './linear.js'
import type { HiddenPair, LossGraph } from './loss-graph.js'
import { hiddenLoss } from './scene.js'

export interface HintOptions extends HiddenPair {
  /** Where the regressor's weights start; absent: no regressor, and as many channels on both sides. */
  readonly rng?: Rng
}

/**
 * Hints (FitNets: Romero et al. 2015, eq. 3): the mean over all elements of (r(u) − v)², u of the student, v of the teacher, r a learned
 * linear map over channels (a 1×1 convolution) at every position. The paper has ½‖r(u) − v‖², the mean is that of the CRD authors' benchmark (HintLoss). Maps of
 * different sizes meet at the smaller one, by average pooling.
 *
 * Parameters: `regressor.weight` [C of the teacher, C of the student], `regressor.bias`. Parts: `hint`.
 *
 * @throws ArgumentError for tensors that are none of [C], [T, C], [C, H, W]; ShapeError where they cannot meet
 */
export function hint(options: HintOptions): LossGraph {
  const { student, teacher, rng } = options
  checkAlike('hint', student, teacher)
  return hiddenLoss('hint', { ...options, student: [student], teacher: [teacher], ranks: [1, 2, 3] }, (scene) => {
    const [[u, a], [v, c]] = sameSize(scene, [scene.student[0]!, student], [scene.teacher[0]!, teacher])
    const sizes = { inputs: channels(a), outputs: channels(c) }
    if (rng === undefined && sizes.inputs !== sizes.outputs)
      throw new ShapeError('hint', 'student', `${sizes.outputs} channels, or an rng for a regressor`, `${sizes.inputs}`)
    const points = positions(scene, u, a)
    const regressed = rng === undefined ? points : linear(scene, points, 'regressor', sizes, rng)
    const error = scene.op('Sub', regressed, positions(scene, v, c))
    const perRow = sizes.outputs * (c.dims.length === 3 ? Number(c.dims[1]) * Number(c.dims[2]) : 1)
    const rows = scene.sum(scene.reshape(scene.op('Mul', error, error), [-1, perRow]), 1)
    return { hint: scene.mean(scene.op('Div', rows, perRow)) }
  })
}
