import { vectors } from './layout.js'
import type { HiddenPair, LossGraph } from './loss-graph.js'
import { hiddenLoss } from './scene.js'

const eps = 1e-7

/**
 * Probabilistic knowledge transfer (Passalis & Tefas 2018, eq. 5–7 with the cosine kernel, and their code): the mean over pairs of rows of
 * p_ij·ln((p_ij + ε)/(q_ij + ε)), p (teacher) and q (student) being (cos + 1)/2 of rows i and j, divided by its sum over j. Tensors of any
 * two sizes can meet; a batch is not the mean of its rows.
 *
 * Parts: `pkt`.
 *
 * @throws ArgumentError for tensors that are neither [C] nor [C, H, W]
 */
export function pkt(options: HiddenPair): LossGraph {
  const { student, teacher } = options
  const tensors = { student: [student], teacher: [teacher], ranks: [1, 3] }
  return hiddenLoss('pkt', { ...options, ...tensors }, (scene) => {
    const { op, sum, transpose, where, reshape } = scene
    const counts = reshape(op('Greater', scene.weights, 0), [1, -1])
    const affinity = (x: string): string => {
      const norm = op('Sqrt', op('Max', sum(op('Mul', x, x), 1), 1e-30))
      const unit = op('Div', x, op('Add', norm, eps))
      const cosine = op('MatMul', unit, transpose(unit, [1, 0]))
      const kernel = where(counts, op('Div', op('Add', cosine, 1), 2))
      return op('Div', kernel, op('Max', sum(kernel, 1), 1e-30))
    }
    const q = affinity(vectors(scene, scene.student[0]!, student))
    const p = affinity(vectors(scene, scene.teacher[0]!, teacher))
    const ratio = op('Sub', op('Log', op('Add', p, eps)), op('Log', op('Add', q, eps)))
    return { pkt: scene.meanOfPairs(op('Mul', p, ratio)) }
  })
}
