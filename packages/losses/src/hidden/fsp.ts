import { ArgumentError, ShapeError } from '@imago/tensor'
import { channels, sameSize } from './layout.js'
import type { HiddenPair, HiddenTensor, LossGraph } from './loss-graph.js'
import { hiddenLoss, type Scene } from './scene.js'

export interface FspOptions extends Omit<HiddenPair, 'student' | 'teacher'> {
  /** Two layers, the earlier one first. */
  readonly student: readonly [HiddenTensor, HiddenTensor]
  readonly teacher: readonly [HiddenTensor, HiddenTensor]
}

/**
 * Flow of the solution procedure (Yim et al. 2017, eq. 1, 2): the mean over the elements of (G(student) − G(teacher))², where G [C₁, C₂] is the
 * mean over positions of products of a channel of one layer with one of a later layer. Channels must be those of the teacher; in each model
 * the larger map is pooled to the smaller one.
 *
 * Parts: `fsp`.
 *
 * @throws ArgumentError for tensors that are not [C, H, W] or not two; ShapeError where the channels differ
 */
export function fsp(options: FspOptions): LossGraph {
  const { student, teacher } = options
  for (const [side, layers] of Object.entries({ student, teacher }))
    if (layers.length !== 2) throw new ArgumentError('fsp', side, 'two tensors, the earlier one first', layers.length)
  const [wanted, got] = [teacher.map(channels), student.map(channels)]
  if (`${wanted}` !== `${got}`)
    throw new ShapeError('fsp', 'student', `the teacher's ${wanted.join(' and ')} channels`, got.join(' and '))
  return hiddenLoss('fsp', { ...options, ranks: [3] }, (scene) => {
    const { op } = scene
    const difference = op('Sub', flow(scene, scene.student, student), flow(scene, scene.teacher, teacher))
    const [first, second] = wanted as [number, number]
    const squares = scene.reshape(op('Mul', difference, difference), [-1, first * second])
    return { fsp: scene.mean(op('Div', scene.sum(squares, 1), first * second)) }
  })
}

/** G [N, C₁, C₂] */
function flow(scene: Scene, values: readonly string[], layers: readonly [HiddenTensor, HiddenTensor]): string {
  const [[x, a], [y, c]] = sameSize(scene, [values[0]!, layers[0]], [values[1]!, layers[1]])
  const area = Number(a.dims[1]) * Number(a.dims[2])
  const flat = (value: string, tensor: HiddenTensor): string => scene.reshape(value, [-1, channels(tensor), area])
  const product = scene.op('MatMul', flat(x, a), scene.transpose(flat(y, c), [0, 2, 1]))
  return scene.op('Div', product, area)
}
