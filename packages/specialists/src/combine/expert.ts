import { softmax } from '@imago/kernels'
import { ArgumentError, dims, type Predict, type Tensor, tensor } from '@imago/tensor'
import { type ClassSet, checkClassSet, placesOf } from '../sets/class-set.js'

/** A specialist, ready to be asked. */
export interface Expert {
  readonly set: ClassSet
  /** Inputs → `logits`: `[N, |S| + 1]`, the dustbin last, or `[N, C]` where `head` is `full`. */
  readonly predict: Predict
  /** `dustbin` unless given; `full`: all classes (section 6.1), those outside the set are summed into the dustbin. */
  readonly head?: 'dustbin' | 'full' | undefined
  /** Added to the dustbin's logit (or to those of all classes outside the set), in nats; for a specialist whose file was not corrected. */
  readonly offset?: number | undefined
}

/** @throws ArgumentError naming the expert */
export function checkExperts(caller: string, experts: readonly Expert[], classes: number): void {
  for (const [m, { set }] of experts.entries()) checkClassSet(caller, set, classes, `experts[${m}].set`)
}

/**
 * What an expert says of some rows, as probabilities `[n, |S| + 1]` of its classes and of its dustbin.
 *
 * @param logits as the expert's model gave them
 * @throws ShapeError where it has not as many outputs as its set asks for
 */
export function expertAnswers(
  caller: string,
  { set, head = 'dustbin', offset = 0 }: Expert,
  logits: Tensor,
  classes: number,
): Tensor<'float32'> {
  const size = set.classes.length
  const outputs = head === 'full' ? classes : size + 1
  const { N } = dims(caller, { [`logits of ${set.name}`]: [logits, `N ${outputs}`, 'float32'] }) as { N: number }
  if (!Number.isFinite(offset)) throw new ArgumentError(caller, `offset of ${set.name}`, 'a finite number', offset)
  if (offset === 0 && head !== 'full') return softmax({ logits })
  const places = placesOf(set, classes)
  const dustbin = (c: number): boolean => (head === 'full' ? places[c] === size : c === size)
  const moved =
    offset === 0
      ? logits
      : tensor(
          'float32',
          logits.dims,
          (logits.data as Float32Array).map((z, i) => (dustbin(i % outputs) ? z + offset : z)),
        )
  const p = softmax({ logits: moved })
  if (head !== 'full') return p
  const folded = new Float32Array(N * (size + 1))
  for (let r = 0; r < N; r++)
    for (let c = 0; c < classes; c++) folded[r * (size + 1) + places[c]!]! += p.data[r * classes + c]!
  return tensor('float32', [N, size + 1], folded)
}
