import { vectors } from './layout.js'
import type { HiddenPair, LossGraph } from './loss-graph.js'
import { hiddenLoss } from './scene.js'

/**
 * Similarity-preserving distillation (Tung & Mori 2019, eq. 2–4): the mean over pairs of rows of (G(u) − G(v))², G the products of all rows of the batch
 * with each other, each row of G divided by its Euclidean norm. Tensors of any two sizes can meet; a batch is not the mean of its rows.
 *
 * Parts: `similarity`.
 *
 * @throws ArgumentError for tensors that are neither [C] nor [C, H, W]
 */
export function similarityPreserving(options: HiddenPair): LossGraph {
  const { student, teacher } = options
  const tensors = { student: [student], teacher: [teacher], ranks: [1, 3] }
  return hiddenLoss('similarityPreserving', { ...options, ...tensors }, (scene) => {
    const { op, sum, transpose } = scene
    const similarity = (x: string): string => {
      const g = op('MatMul', x, transpose(x, [1, 0]))
      return op('Div', g, op('Sqrt', op('Max', sum(op('Mul', g, g), 1), 1e-24)))
    }
    const difference = op(
      'Sub',
      similarity(vectors(scene, scene.student[0]!, student)),
      similarity(vectors(scene, scene.teacher[0]!, teacher)),
    )
    return { similarity: scene.meanOfPairs(op('Mul', difference, difference)) }
  })
}
