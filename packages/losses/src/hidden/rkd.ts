import { ArgumentError } from '@imago/tensor'
import { vectors } from './layout.js'
import type { HiddenPair, LossGraph } from './loss-graph.js'
import { hiddenLoss, type Scene } from './scene.js'

export interface RkdOptions extends HiddenPair {
  /** Weight ≥ 0 of the distances; default 25, the authors'. */
  readonly distance?: number
  /** Weight ≥ 0 of the angles; default 50. */
  readonly angle?: number
}

/**
 * Relational knowledge distillation (Park et al. 2019, eq. 5–9): 25·D + 50·A. D is the mean over pairs of rows of the Huber distance ℓ between d_ij of student and
 * teacher, distances of rows over their mean; A the mean over triples of ℓ between the cosines of the angles at i between j and k.
 * Tensors of any two sizes can meet; a batch is not the mean of its rows. Memory grows with the third power of the rows.
 *
 * Parts: `distance` and `angle`, without their weights.
 *
 * @throws ArgumentError for tensors that are neither [C] nor [C, H, W], and weights < 0
 */
export function rkd(options: RkdOptions): LossGraph {
  const { student, teacher, distance = 25, angle = 50 } = options
  for (const [name, value] of Object.entries({ distance, angle }))
    if (!(value >= 0 && value < Number.POSITIVE_INFINITY))
      throw new ArgumentError('rkd', name, 'a finite number ≥ 0', value)
  const tensors = { student: [student], teacher: [teacher], ranks: [1, 3] }
  return hiddenLoss('rkd', { ...options, ...tensors }, (scene) => {
    const { op, total, reshape, weights } = scene
    const [s, t] = [
      relations(scene, vectors(scene, scene.student[0]!, student)),
      relations(scene, vectors(scene, scene.teacher[0]!, teacher)),
    ]
    const far = scene.meanOfPairs(huber(scene, op('Sub', s.distances, t.distances)))
    const [i, j, k] = [
      [-1, 1, 1],
      [1, -1, 1],
      [1, 1, -1],
    ].map((dims) => reshape(weights, dims)) as [string, string, string]
    const triples = op('Mul', op('Mul', i, j), k)
    const whole = op('Max', total(weights), 1e-30)
    const sum = total(op('Mul', triples, huber(scene, op('Sub', s.cosines, t.cosines))))
    const wide = op('Div', sum, op('Mul', whole, op('Mul', whole, whole)))
    return { rkd: op('Add', op('Mul', far, distance), op('Mul', wide, angle)), distance: far, angle: wide }
  })
}

/** Distances [N, N] over their mean, and cosines [N, N, N] of the angles at i between the rows j and k. */
function relations(scene: Scene, rows: string): { readonly distances: string; readonly cosines: string } {
  const { op, sum, total, transpose, reshape, weights, type } = scene
  const { b } = scene
  const counts = reshape(b.op('Cast', [op('Greater', weights, 0)], { to: type === 'float64' ? 11 : 1 }), [-1, 1])
  const both = op('MatMul', counts, transpose(counts, [1, 0]))
  const apart = op('Mul', both, op('Sub', 1, b.op('EyeLike', [both])))
  // Differences do not see a shift, and products of centred rows round less.
  const centre = op('Div', sum(rows, 0), op('Max', total(counts), 1))
  const x = op('Mul', op('Sub', rows, centre), counts)
  const g = op('MatMul', x, transpose(x, [1, 0]))
  const square = sum(op('Mul', x, x), 1)
  const squares = op('Sub', op('Add', square, transpose(square, [1, 0])), op('Mul', g, 2))
  const d = op('Mul', op('Sqrt', op('Max', squares, 1e-12)), apart)
  const mean = op('Div', total(d), op('Max', total(apart), 1))
  const distances = op('Div', d, op('Max', mean, 1e-12))
  // (x_j − x_i)·(x_k − x_i) = g_jk − g_ij − g_ik + g_ii
  const at = op('Sub', op('Add', reshape(g, [1, 0, -1]), reshape(square, [-1, 1, 1])), unsqueezed(scene, g, 2))
  const products = op('Sub', at, unsqueezed(scene, g, 1))
  const inverse = op('Div', apart, op('Max', d, 1e-12))
  const lengths = op('Mul', unsqueezed(scene, inverse, 2), unsqueezed(scene, inverse, 1))
  return { distances, cosines: op('Mul', products, lengths) }
}

function unsqueezed({ b }: Scene, x: string, axis: number): string {
  return b.op('Unsqueeze', [x, b.ints([axis])])
}

/** ½x² up to |x| = 1, then |x| − ½: m·(|x| − m/2) with m = min(|x|, 1). */
function huber({ op }: Scene, x: string): string {
  const size = op('Abs', x)
  const m = op('Min', size, 1)
  return op('Mul', m, op('Sub', size, op('Div', m, 2)))
}
