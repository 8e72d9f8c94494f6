import { crossEntropy, softTargetLoss } from '@imago/kernels'
import type { Loss } from '@imago/losses'
import { ArgumentError, dims, NotFoundError, type Tensor, type TensorMap, tensor, tensorMap } from '@imago/tensor'
import { type ClassSet, checkClassSet, placesOf } from '../sets/class-set.js'

export interface SpecialHardLossOptions {
  readonly set: ClassSet
  /** How many classes there are in all. */
  readonly classes: number
  /** T of the soft term; 1 unless given. */
  readonly temperature?: number | undefined
  /** The student output that holds logits [N, C]; default `logits`. */
  readonly output?: string | undefined
}

/**
 * How a specialist with all classes learns (Hinton, Vinyals & Dean 2015, §6.1): hard targets for rows of the special classes, the generalist's soft
 * targets for the others, in nats: Σ_r [y_r ∈ S ? CE(z, y) : T²·KL(softmax(v/T) ‖ softmax(z/T))] / N.
 *
 * Targets: `logits` [N, C] of the generalist and `labels` [N]. A row without a label (−1) has the soft term; one with −100 is left out.
 * Parts: `hard`, `soft`, each over all rows that count.
 *
 * @throws ArgumentError for a set that is none
 */
export function specialHardLoss(options: SpecialHardLossOptions): Loss {
  const caller = 'specialHardLoss'
  const { set, classes, temperature = 1, output = 'logits' } = options
  checkClassSet(caller, set, classes)
  const places = placesOf(set, classes)
  return {
    needs: { student: [output], targets: ['logits', 'labels'] },
    evaluate(student, targets) {
      const z = named(caller, student, output)
      const v = named(caller, targets, 'logits')
      const y = named(caller, targets, 'labels')
      dims(caller, {
        [`student.${output}`]: [z, `N ${classes}`, 'float32'],
        'targets.logits': [v, `N ${classes}`, ['float32', 'float16', 'bfloat16']],
        'targets.labels': [y, 'N', 'int32'],
      })
      const { hardLabels, softWeights, rows, softRows } = divided(
        caller,
        y.data as Int32Array,
        places,
        set.classes.length,
      )
      const soft = softTargetLoss({
        student: z,
        teacher: v as Tensor<'float32'>,
        temperature,
        rowWeights: tensor('float32', y.dims, softWeights),
      })
      const hard = crossEntropy({ student: z, labels: tensor('int32', y.dims, hardLabels) })
      // The soft term is a mean over its own rows, the hard one over all that count.
      const share = rows === 0 ? 0 : softRows / rows
      const [own, gradient] = [soft.gradient.data, hard.gradient.data]
      for (let i = 0; i < gradient.length; i++) gradient[i]! += share * own[i]!
      const parts = { hard: hard.value, soft: share * soft.value }
      return { value: parts.hard + parts.soft, parts, cotangents: tensorMap([[output, hard.gradient]]) }
    },
  }
}

/** Which rows have which term: labels of the special ones (−1 elsewhere), weights of the others. */
function divided(caller: string, labels: Int32Array, places: Int32Array, size: number) {
  const hardLabels = new Int32Array(labels.length)
  const softWeights = new Float32Array(labels.length)
  let [rows, softRows] = [0, 0]
  for (const [r, label] of labels.entries()) {
    if (label >= places.length || (label < -1 && label !== -100))
      throw new ArgumentError(caller, `labels[${r}]`, `a class in [0, ${places.length}), −1 or −100`, label)
    const isSpecial = label >= 0 && places[label]! < size
    hardLabels[r] = label === -100 || isSpecial ? label : -1
    softWeights[r] = label === -100 || isSpecial ? 0 : 1
    if (label !== -100) rows++
    softRows += softWeights[r]!
  }
  return { hardLabels, softWeights, rows, softRows }
}

function named(caller: string, map: TensorMap, name: string): Tensor {
  const found = map[name]
  if (found === undefined)
    throw new NotFoundError(`${caller}: no tensor "${name}"`, `There are: ${Object.keys(map).join(', ') || 'none'}`)
  return found
}
